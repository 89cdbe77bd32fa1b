"""HCN to HNC at GFN2-xTB: minima, saddle point and reaction coordinate, once for all tests."""

from typing import NamedTuple

import pytest
from ase import Atoms

from dp_sim.recipes.paths.irc.follow import IrcResult, follow_irc
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.static.opt import optimize


class Isomerisation(NamedTuple):
    """The three stationary points, and how they are joined."""

    hcn: Atoms
    hnc: Atoms
    saddle: Atoms
    irc: IrcResult


@pytest.fixture(scope="session")
def xtb():
    tblite = pytest.importorskip("tblite.ase", reason="the reaction is one of GFN2-xTB", exc_type=ImportError)
    return tblite.TBLite(method="GFN2-xTB", accuracy=0.1, verbosity=0)


@pytest.fixture(scope="session")
def isomers(xtb):
    def relaxed(hydrogen: float) -> Atoms:
        start = Atoms("HCN", positions=[[hydrogen, 0, 0], [0, 0, 0], [1.15, 0, 0]])
        return optimize(start, xtb, fmax=1e-3, progress=False).atoms

    saddle = refine_ts(
        Atoms("HCN", positions=[[0.25, 1.15, 0], [0, 0, 0], [1.2, 0, 0]]), xtb, fmax=1e-3, progress=False
    )
    assert saddle.converged, saddle.cause
    return Isomerisation(relaxed(-1.06), relaxed(2.15), saddle.atoms, follow_irc(saddle, xtb, progress=False))
