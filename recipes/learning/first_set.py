"""The first structures of a run that has no members yet: the start, displaced atoms, and short reference dynamics."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.engines.velocities import fixed_atoms
from dp_sim.recipes.learning.labelling.reference import Reference

#: Time between two structures of the reference dynamics, fs.
_BETWEEN_FS = 5.0


class ReferenceCalculator(Calculator):
    """The label calculator, in its process, for dynamics here."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self._reference = reference

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Compute energy and forces."""
        super().calculate(atoms, properties, system_changes)
        label = self._reference.label(self.atoms)
        self.results = {"energy": label["energy"], "forces": np.array(label["forces"])}


def first_structures(
    atoms: Atoms, reference: Reference, conditions: Conditions, *, count: int, displacement_A: float, seed: int
) -> list[Atoms]:
    """Make structures for the first labels: one half with displaced atoms, the rest from dynamics.

    Parameters
    ----------
    atoms
        The start, which is labelled already.
    reference
        The label calculator.
    conditions
        Of the run: temperature and time step of the dynamics.
    count
        How many, the start included.
    displacement_A
        Standard deviation of the displacements (Angstrom); fixed atoms keep their places.
    seed
        Of the displacements.

    Raises
    ------
    EvaluationError
        The calculator fails on the way.
    """
    displaced = (count - 1) // 2
    rng = np.random.default_rng(seed)
    moving = np.ones((len(atoms), 1))
    moving[fixed_atoms(atoms)] = 0.0
    structures = []
    for _ in range(displaced):
        copy = atoms.copy()
        copy.positions += moving * rng.normal(scale=displacement_A, size=copy.positions.shape)
        structures.append(copy)
    engine = ASEEngine.make(atoms, ReferenceCalculator(reference), conditions)
    for _ in range(count - 1 - displaced):
        engine.run(max(1, round(_BETWEEN_FS / conditions.timestep_fs)))
        structures.append(engine.structure())
    return structures
