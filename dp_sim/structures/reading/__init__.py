"""Readers of structure files by other programs: what a file states is kept, noted or refused."""
