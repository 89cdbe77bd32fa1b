"""The speed of a model on a machine, beside its peers."""
