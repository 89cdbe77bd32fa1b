"""Commands on one structure without dynamics."""
