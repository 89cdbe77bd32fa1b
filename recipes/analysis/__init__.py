"""Structure and transport from trajectories: those of our runs, and those that other programs wrote."""
