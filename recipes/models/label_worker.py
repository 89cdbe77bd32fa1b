"""The process of a label calculator: structures in, labelled copies or reasons out."""

from __future__ import annotations

from collections.abc import Callable

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculator_recipe import Recipe, made_from
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.frames import evaluated_copy
from dp_sim.recipes.run.process import serve


def prepare(recipe: Recipe) -> Callable[[tuple[Atoms, str]], Atoms | str]:
    """Make the calculator, which answers (structure, its name)."""
    calculator = made_from(recipe)
    return lambda message: labelled(message[0], calculator, message[1])


def labelled(atoms: Atoms, calculator: object, name: str) -> Atoms | str:
    """Return a labelled copy of a structure, or why there is none."""
    try:
        return evaluated_copy(prepare_atoms(atoms, calculator, name))
    except InputError as error:
        return str(error)


if __name__ == "__main__":
    serve(prepare)
