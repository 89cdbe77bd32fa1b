"""Pairs of atoms within a cutoff: two searches, and the only home of the sign rule of pair vectors."""
