"""Recipes that make and measure models: labels, training, accuracy."""
