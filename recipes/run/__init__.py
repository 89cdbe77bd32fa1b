"""A run on disk and on the terminal: its directory, progress, interrupts and provenance."""
