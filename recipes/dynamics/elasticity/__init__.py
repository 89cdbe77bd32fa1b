"""Elastic constants of a crystal whose cell was free to change its shape."""
