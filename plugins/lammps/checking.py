"""The self-check of a plugin: one small box in LAMMPS and in ASE."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.io import read

from dp_sim.errors import DPSimError
from dp_sim.model.kernel_export import SUFFIX, export_for_kernels
from dp_sim.plugins.lammps.evaluation import evaluate_in_lammps
from dp_sim.plugins.lammps.installed import Lammps

#: Relative, of the largest number: sums in another order differ by a thousandth of it.
TOLERANCE = 1e-10


class Deviation(NamedTuple):
    """How far LAMMPS is from ASE, relative to the largest number of each kind.

    Attributes
    ----------
    ranks
        Processes that LAMMPS ran in.
    energy, forces, virial
        Deviations.
    """

    ranks: int
    energy: float
    forces: float
    virial: float


def check_plugin(lammps: Lammps, plugins: Path) -> list[Deviation]:
    """Compare the shipped model of water in LAMMPS and in ASE: 64 molecules, float64, one rank and two.

    Parameters
    ----------
    lammps
        The program.
    plugins
        Folder of the plugin.

    Raises
    ------
    DPSimError
        LAMMPS fails, or its numbers are others.
    """
    from dp_sim.plugins.ase_calculator import DPCalculator

    spec = find_spec("dp_sim.example_systems")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    water = Path(spec.submodule_search_locations[0]) / "water"
    atoms = read(water / "water.extxyz")
    atoms.calc = DPCalculator(water / "water.pt", dtype="float64")
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = folder / f"water{SUFFIX}"
        export_for_kernels(water / "water.pt", model, dtype="float64")
        for ranks in (1, 2) if lammps.mpirun else (1,):
            got = evaluate_in_lammps(lammps, plugins, [model], atoms, folder, ranks=ranks)
            virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
            expected = (
                (got.energy, atoms.get_potential_energy()),
                (got.forces, atoms.get_forces()),
                (got.virial, virial),
            )
            found.append(Deviation(ranks, *(_relative(ours, theirs) for ours, theirs in expected)))
    worst = max(max(row[1:]) for row in found)
    if not worst < TOLERANCE:
        raise DPSimError(
            "lammps-differs", f"LAMMPS with pair_style dp_sim deviates from ASE by {worst:.1e}, expected {TOLERANCE:g}"
        )
    return found


def _relative(got: object, expected: object) -> float:
    return float(np.abs(np.asarray(got) - np.asarray(expected)).max() / np.abs(np.asarray(expected)).max())
