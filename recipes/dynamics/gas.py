"""Whether a structure under a barostat is a gas: molecules in a box that is mostly empty."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import vdw_radii

from dp_sim.recipes.dynamics.engines.molecules import find_molecules
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Share of the box that spheres of the van der Waals radii fill, below which it is mostly empty. They fill 0.6 and more
#: of molecular crystals and of liquids (spheres of bonded atoms overlap, and count twice).
FILLED = 0.1
#: Radius of an element that has none in the table, Angstrom.
ORDINARY_RADIUS_A = 2.0


def gas_remark(atoms: Atoms, temperature_K: float, pressure_bar: float) -> str:
    """Say in a sentence that the structure is a gas at this temperature and pressure; empty where its box is filled.

    Parameters
    ----------
    atoms
        Periodic along all three axes.
    temperature_K, pressure_bar
        What is held constant.
    """
    radii = vdw_radii[atoms.numbers]
    spheres = float((4 / 3 * np.pi * np.where(np.isfinite(radii), radii, ORDINARY_RADIUS_A) ** 3).sum())
    volume = float(atoms.get_volume())
    if spheres > FILLED * volume:
        return ""
    bonds, _ = find_molecules(atoms)
    number = len(atoms) - len(bonds)
    what = "one molecule" if number == 1 and len(atoms) > 1 else f"{number} molecules or atoms"
    empty = 100 - 100 * spheres / volume
    return (
        f"{what} in {volume:,.0f} A^3: the box is empty to {empty:.0f} %, and the structure is a gas. "
        f"{_expansion(volume / number, temperature_K, pressure_bar)}; for a molecule in vacuum take constant "
        "volume (nvt), for a liquid start near its density"
    )


def _expansion(volume_A3: float, temperature_K: float, pressure_bar: float) -> str:
    """Say what volume an ideal gas takes for each molecule, beside the one that it has."""
    if pressure_bar <= 0:
        return f"At {pressure_bar:g} bar it expands without bound"
    ideal = KB_EV_PER_K * temperature_K / (pressure_bar / EV_PER_A3_IN_BAR)
    change = "expands" if ideal > volume_A3 else "is compressed"
    return (
        f"At {temperature_K:g} K and {pressure_bar:g} bar an ideal gas takes {ideal:,.0f} A^3 a molecule where it has "
        f"{volume_A3:,.0f}: unless it condenses the box {change}"
    )
