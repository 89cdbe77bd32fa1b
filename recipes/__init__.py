"""Recipes: (structure, any ASE calculator, options) -> a frozen result."""
