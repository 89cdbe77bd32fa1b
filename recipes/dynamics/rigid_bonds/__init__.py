"""Rigid bonds: which are held, and what that changes in momenta, vibrations and pressure; no engine."""
