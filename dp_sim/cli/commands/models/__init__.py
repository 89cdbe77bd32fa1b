"""Commands that make, measure and show models and data."""
