"""Deep Potentials inside other programs: ASE, OpenMM, OpenMM-ML, LAMMPS."""
