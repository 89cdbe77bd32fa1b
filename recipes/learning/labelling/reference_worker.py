"""The process of the label calculator: structures in, labels or reasons out; it ends with the process that asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from dp_sim.errors import first_line
from dp_sim.recipes.inputs.calculator_recipe import Recipe, made_from
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.failed_evaluations import check_converged
from dp_sim.recipes.run.process import serve


def prepare(recipe: Recipe) -> Callable[[Atoms], tuple[dict[str, Any] | None, str]]:
    """Make the calculator; it answers each structure with a label, or why there is none."""
    calculator = made_from(recipe)
    return lambda atoms: labelled(atoms, calculator)


def labelled(atoms: Atoms, calculator: Any) -> tuple[dict[str, Any] | None, str]:
    """Evaluate a structure: (label, "") or (None, why there is none).

    A foreign calculator may raise anything, and what is not finite is no label.
    """
    try:
        atoms.calc = calculator
        accept_state(atoms, calculator)
        energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces())
        stress = _stress(atoms)
        check_converged(calculator)
    except Exception as error:
        return None, f"{type(error).__name__}: {first_line(error)}"
    numbers = [np.array(energy), forces] if stress is None else [np.array(energy), forces, stress]
    if not all(np.isfinite(one).all() for one in numbers):
        return None, "energy, forces or stress are not finite"
    return {"energy": energy, "forces": forces.tolist(), "stress": None if stress is None else stress.tolist()}, ""


def _stress(atoms: Atoms) -> Any:
    if not atoms.pbc.all():
        return None
    try:
        return np.array(atoms.get_stress())
    except (PropertyNotImplementedError, NotImplementedError):
        return None


if __name__ == "__main__":
    serve(prepare)
