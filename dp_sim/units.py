"""Units: eV, Angstrom, amu, K, fs inside; kJ/mol, nm, ps only at the OpenMM edge.

The constants are CODATA 2014, the set ASE uses, so that dp-sim and ASE agree to the last digit.
"""

from ase import units as _ase

#: One eV in kJ/mol.
EV_IN_KJ_PER_MOL: float = _ase.mol / _ase.kJ
#: One Angstrom in nm.
ANGSTROM_IN_NM: float = 0.1
#: One eV/Angstrom in kJ/mol/nm.
EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM: float = EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM
#: Boltzmann's constant in eV/K.
KB_EV_PER_K: float = _ase.kB
#: One eV/Angstrom^3 in bar and in GPa.
EV_PER_A3_IN_BAR: float = 1.0 / (_ase.bar)
EV_PER_A3_IN_GPA: float = 1.0 / _ase.GPa
