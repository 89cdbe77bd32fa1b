"""The command line `dp-sim`."""
