"""Recipes on crystals: phonons and what follows from them, equation of state, elastic constants."""
