"""Engines of dynamics, all behind one protocol (`protocol.Engine`)."""
