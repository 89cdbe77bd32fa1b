"""Dynamics in LAMMPS: a process that takes commands, and the engine that gives them."""
