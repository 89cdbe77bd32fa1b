"""The LAMMPS of this environment."""

import pytest

from dp_sim.compiled.library import register_operators
from dp_sim.errors import MissingPackageError
from dp_sim.plugins.lammps.installed import Lammps, find_lammps


def lammps_or_skip() -> Lammps:
    """Find LAMMPS; skip the test, saying why, where there is none or nothing is compiled."""
    if reason := register_operators():
        pytest.skip(reason)
    try:
        return find_lammps()
    except MissingPackageError as error:
        pytest.skip(str(error))
