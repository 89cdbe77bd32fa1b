"""Normal modes in the Molden format, which Molden, Jmol, Avogadro and others animate."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray


def molden_text(atoms: Atoms, frequencies_cm1: NDArray[np.float64], modes: NDArray[np.float64]) -> str:
    """Write structure and normal modes in the Molden format.

    Parameters
    ----------
    atoms
        The structure; the file has its positions in Bohr.
    frequencies_cm1
        (M,) imaginary ones negative.
    modes
        (M, N, 3) Cartesian displacements.

    Returns
    -------
    str
        The file's content.
    """
    bohr = atoms.positions / units.Bohr
    lines = ["[Molden Format]", "[FREQ]", *(f"{value:.4f}" for value in frequencies_cm1), "[FR-COORD]"]
    lines += [f"{s:2s} {x:.8f} {y:.8f} {z:.8f}" for s, (x, y, z) in zip(atoms.symbols, bohr, strict=True)]
    lines.append("[FR-NORM-COORD]")
    for number, mode in enumerate(modes, start=1):
        lines.append(f"vibration {number}")
        lines += [f"{x:.8f} {y:.8f} {z:.8f}" for x, y, z in mode]
    return "\n".join(lines) + "\n"
