"""Campaigns: many runs of recipes from one plan, on the engine that is there; the run directories are the truth."""
