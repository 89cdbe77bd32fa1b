"""Engines: the programs that move the atoms, all behind `protocol.Engine`.

A new one is a module here with a class that has the methods of `protocol.Engine`, and a line in `ENGINES`. The
command line, the checks and the documentation take its name from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dp_sim.recipes.dynamics.engines.protocol import Engine

#: Name of an engine -> the module of this package and the class in it. Names, so that none is loaded before it is used.
ENGINES: Mapping[str, tuple[str, str]] = {
    "ase": ("ase_engine", "ASEEngine"),
    "openmm": ("openmm_engine", "OpenMMEngine"),
    "lammps": ("lammps.engine", "LammpsEngine"),
}


def engine_class(name: str) -> type[Engine]:
    """Load the class of an engine.

    Parameters
    ----------
    name
        A key of `ENGINES`.
    """
    module, attribute = ENGINES[name]
    found: type[Engine] = getattr(import_module(f"{__name__}.{module}"), attribute)
    return found
