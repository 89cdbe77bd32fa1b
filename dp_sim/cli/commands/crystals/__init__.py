"""Commands on crystals."""
