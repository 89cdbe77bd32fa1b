"""Commands on reaction paths."""
