"""The nudged elastic band between two structures: its ends, its first path, its solver, its result."""
