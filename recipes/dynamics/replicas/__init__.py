"""Replicas: the same run with other seeds, side by side, pooled into one result and compared with one another."""
