"""Panels of the help, in which commands of a kind stand together."""

START = "Start here"
MODELS = "Models"
STATIC = "Structures and vibrations"
DYNAMICS = "Dynamics"
PATHS = "Reaction paths"
REPORTS = "Reports"
