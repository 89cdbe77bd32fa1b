"""Panels of the help, in which commands of a kind stand together."""

START = "Start here"
MODELS = "Models"
STATIC = "Structures and vibrations"
CRYSTALS = "Crystals"
DYNAMICS = "Dynamics"
PATHS = "Reaction paths"
REPORTS = "Reports"
