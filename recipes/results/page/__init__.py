"""The page of a run: one HTML file with its numbers, plots, and structures that turn."""
