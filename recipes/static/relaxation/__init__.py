"""Relaxation of structures: what may move, which optimiser moves it, when it ends and why."""
