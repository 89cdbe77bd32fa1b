"""`dp-sim calibrate`: what the spread of a committee is worth, measured on held-out frames."""
