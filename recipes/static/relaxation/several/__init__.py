"""Relaxation of many structures: in batches where a Deep Potential evaluates them, each with its own ending."""
