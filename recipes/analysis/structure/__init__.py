"""Structure: radial distribution functions, coordination numbers, structure factors."""
