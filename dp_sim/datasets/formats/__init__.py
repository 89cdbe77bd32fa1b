"""Readers of labelled structures, one a format."""
