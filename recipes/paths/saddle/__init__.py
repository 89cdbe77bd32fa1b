"""Saddle points: the search for one, and what tells that it is one."""
