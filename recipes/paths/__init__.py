"""Recipes on reaction paths: from two minima over the saddle point between them, and back down."""
