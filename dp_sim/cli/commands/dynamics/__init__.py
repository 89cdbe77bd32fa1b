"""Commands that run dynamics."""
