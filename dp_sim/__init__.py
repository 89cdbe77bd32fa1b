"""dp-sim: Deep Potentials trained on your data, run in ASE and OpenMM, with recipes that report error bars."""
