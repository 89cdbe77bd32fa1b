"""A process that makes one replica: a recipe of dynamics, called as a user calls it."""

from __future__ import annotations

import os
import pickle
import sys
from importlib import import_module

from dp_sim.errors import DPSimError
from dp_sim.recipes.inputs.calculator_recipe import made_from


def main() -> None:
    """Read function, atoms, calculator and keywords from the standard input; write the result, or an error."""
    # What the recipe prints must not mix with the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, atoms, recipe, keywords = pickle.load(sys.stdin.buffer)
    calculator = made_from(recipe)
    module, _, name = function.partition(":")
    try:
        result = getattr(import_module(module), name)(atoms, calculator, **keywords)
    except DPSimError as error:
        pickle.dump(error, answer)
    else:
        pickle.dump(result, answer)
    answer.flush()


if __name__ == "__main__":
    main()
