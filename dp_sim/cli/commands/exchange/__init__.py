"""Commands that turn one model file into another."""
