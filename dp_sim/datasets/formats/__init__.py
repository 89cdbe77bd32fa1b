"""Readers of labelled structures, one per format."""
