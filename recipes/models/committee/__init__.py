"""Committees: members trained side by side, and what the run of all of them shows."""
