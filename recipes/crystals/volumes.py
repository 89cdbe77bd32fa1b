"""A crystal at other volumes: atoms, and the shape of the cell where it has one, relaxed there."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.relaxation import relax_crystal
from dp_sim.recipes.crystals.start import Start


def at_volume(start: Start, ratio: float, fmax: float) -> Atoms:
    """Scale the primitive cell to `ratio` times its volume, and relax atoms and, where it can, shape there."""
    scaled = start.primitive.copy()
    scaled.set_cell(scaled.cell.array * ratio ** (1 / 3), scale_atoms=True)
    scaled.calc = start.primitive.calc
    return relax_crystal(
        scaled,
        fmax=fmax,
        cell=shape_relaxes(start),
        constant_volume=True,
        name=f"the crystal at {ratio:.3f} of its volume",
    )


def relaxed_energy(start: Start, frame: Atoms, calculator: Any, fmax: float) -> float:
    """Relax what `at_volume` relaxes once more with another calculator, from `frame` on; its energy, eV."""
    other = frame.copy()
    other.calc = calculator
    shape = shape_relaxes(start)
    relaxed = relax_crystal(other, fmax=fmax, cell=shape, constant_volume=True, name="the crystal of a member")
    return float(relaxed.get_potential_energy())


def shape_relaxes(start: Start) -> bool:
    """Whether the cell has a shape to relax, and the calculator the stress that it takes."""
    return not is_cubic(start.crystal) and "stress" in start.primitive.calc.implemented_properties


def is_cubic(crystal: Crystal) -> bool:
    """Whether symmetry fixes the shape of the cell: space groups from 195 on."""
    return crystal.number >= 195


def relaxed_words(start: Start) -> str:
    """Say what is relaxed at each volume."""
    if is_cubic(start.crystal):
        return "atoms (the shape of a cubic cell is fixed by symmetry)"
    return "atoms and shape of the cell" if shape_relaxes(start) else "atoms, in cells of one shape: there is no stress"
