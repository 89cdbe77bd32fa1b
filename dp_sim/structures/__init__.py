"""Structures: read, checked and laid out as batches of tensors, with their species and devices."""
