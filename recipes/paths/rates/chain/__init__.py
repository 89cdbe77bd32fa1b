"""Reactions of several elementary steps: the minima on the way, the steps between them, and their common rate."""
