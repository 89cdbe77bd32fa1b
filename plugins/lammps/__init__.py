"""LAMMPS with Deep Potentials: the plugin with `pair_style dp_sim`, its compilation, and runs to check it."""
