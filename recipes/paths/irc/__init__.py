"""Intrinsic reaction coordinates: the way down from a saddle point, and where it ends."""
