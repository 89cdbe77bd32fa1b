"""Recipes on one structure without dynamics: one evaluation, optimisation, vibrations."""
