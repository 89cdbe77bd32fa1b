"""Labelled frames: a reader for each format, checks, and statistics of the data before training."""
