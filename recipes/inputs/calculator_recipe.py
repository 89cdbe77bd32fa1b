"""How a calculator is made anew in another process: by its SPEC, or from a pickled copy."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path
from typing import Any

from ase.calculators.calculator import FileIOCalculator
from ase.calculators.genericfileio import GenericFileIOCalculator

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import calculator_from_spec, calculator_settings, given_arguments

#: ("spec", (SPEC, arguments)) or ("pickle", bytes).
Recipe = tuple[str, Any]


def recipe_of(calculator: Any) -> Recipe:
    """Say how to make a calculator like this one.

    Raises
    ------
    InputError
        It can be made anew in no way.
    """
    arguments = given_arguments(calculator)
    if arguments is not None:
        return "spec", (calculator_settings(calculator)["calculator"], arguments)
    try:
        if type(calculator).__module__ == "__main__":
            raise TypeError("its class is defined in the script that runs")
        return "pickle", pickle.dumps(calculator)
    except Exception as error:  # objects that hold libraries raise anything
        raise InputError(
            "calculator-not-copied",
            f"processes: {type(calculator).__name__} cannot be made anew in other processes ({error}); leave processes "
            "out, or name the calculator by a SPEC: --calculator tblite:GFN2-xTB, --calculator package.module:Class",
        ) from error


def made_from(recipe: Recipe) -> Any:
    """Make the calculator, for this process alone: one that runs a program through files gets a folder of its own."""
    kind, content = recipe
    calculator = calculator_from_spec(*content) if kind == "spec" else pickle.loads(content)
    if isinstance(calculator, (FileIOCalculator, GenericFileIOCalculator)) or hasattr(calculator, "command"):
        calculator.directory = Path(calculator.directory) / f"{socket.gethostname()}-{os.getpid()}"
    return calculator
