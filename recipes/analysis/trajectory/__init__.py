"""Trajectories in: the readers, what is known of a run, and positions unwrapped across the boundary."""
