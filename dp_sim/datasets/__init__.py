"""Labelled frames: one reader for each format, checks, and what the data say before anything is trained."""
