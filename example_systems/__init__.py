"""Example systems that ship with dp-sim: structures, training data, settings, trained models."""
