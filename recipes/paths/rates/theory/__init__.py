"""Transition-state theory: free energies, tunnelling, k(T), fits, and the file for Cantera."""
