"""Frames of a run in the forms of other programs: DCD and MDTraj's HDF5, made from the extended XYZ file at the end."""
