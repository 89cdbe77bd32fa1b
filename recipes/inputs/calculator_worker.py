"""A process of `CalculatorPool`: makes a calculator and evaluates what comes in, until nothing does."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

from ase import Atoms

from dp_sim.errors import first_line
from dp_sim.recipes.inputs.calculator_recipe import made_from
from dp_sim.recipes.inputs.failed_evaluations import is_failure


def main() -> None:
    """Read the recipe of the calculator from the standard input, then groups of structures; write what they give."""
    # What the calculator prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    calculator = made_from(pickle.load(sys.stdin.buffer))
    while (group := _next_group(sys.stdin.buffer)) is not None:
        pickle.dump(_evaluated(calculator, *group), answers)
        answers.flush()


def _next_group(source: BinaryIO) -> tuple[list[Atoms], bool] | None:
    try:
        group: tuple[list[Atoms], bool] = pickle.load(source)
    except EOFError:
        return None
    return group


def _evaluated(calculator: Any, structures: list[Atoms], dipole: bool) -> list[tuple[Any, ...]] | str:
    """Return energy, forces and dipole of each; a sentence where the calculator fails."""
    values = []
    for atoms in structures:
        try:
            energy, forces = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
            values.append((energy, forces, calculator.get_dipole_moment(atoms) if dipole else None))
        except Exception as error:
            if not is_failure(error):
                raise
            return first_line(error)
    return values


if __name__ == "__main__":
    main()
