"""The optimisers of ASE by name, each set up for the structure that it moves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.optimize import BFGS, FIRE, FIRE2, LBFGS
from ase.optimize.optimize import Optimizer
from ase.optimize.precon import Exp, PreconLBFGS
from numpy.typing import NDArray

OPTIMIZERS = ("auto", "bfgs", "lbfgs", "precon-lbfgs", "fire", "fire2")
#: Up to so many atoms `auto` takes BFGS. Beyond, diagonalising its Hessian costs more than the forces of a Deep
#: Potential, and LBFGS takes the same steps.
MOST_ATOMS_OF_BFGS = 100
#: The longest step of an atom, Angstrom: that of ASE's other optimisers, where PreconLBFGS has 0.04.
_LONGEST_STEP_A = 0.2
#: Curvature of the cell's coordinates, eV/Angstrom^2: V B / N of a solid with 10 Angstrom^3 an atom and B = 100 GPa.
_CELL_CURVATURE = 6.0


class NoLowerEnergyError(Exception):
    """A line search found no lower energy in the direction of the forces."""


class _PreconditionedLBFGS(PreconLBFGS):
    """PreconLBFGS that tells apart a line search without success and a calculator that fails."""

    failure: Exception | None = None

    def func(self, x: NDArray[np.float64]) -> float:
        try:
            return float(super().func(x))
        except Exception as error:
            self.failure = error
            raise

    def line_search(self, *arguments: Any) -> None:
        self.failure = None
        try:
            super().line_search(*arguments)
        except RuntimeError as error:
            if self.failure is not None:
                raise self.failure from None
            raise NoLowerEnergyError(str(error)) from error


def chosen_optimizer(name: str, n_atoms: int) -> str:
    """Return the optimiser that `name` stands for: itself, or for `auto` the one for this number of atoms."""
    if name != "auto":
        return name
    return "bfgs" if n_atoms <= MOST_ATOMS_OF_BFGS else "lbfgs"


def make_optimizer(name: str, target: Any, atoms: Atoms) -> Optimizer:
    """Make an optimiser.

    Parameters
    ----------
    name
        One of `OPTIMIZERS`, but `auto`.
    target
        What it moves: the structure, or the structure with its cell.
    atoms
        The structure, with its calculator.
    """
    if name == "precon-lbfgs":
        return _PreconditionedLBFGS(
            target, logfile=None, precon=_preconditioner(atoms, target), maxstep=_LONGEST_STEP_A
        )
    kind: type[Optimizer] = {"bfgs": BFGS, "lbfgs": LBFGS, "fire": FIRE, "fire2": FIRE2}[name]
    return kind(target, logfile=None)


def _preconditioner(atoms: Atoms, target: Any) -> Exp | None:
    """Make the preconditioner of D. Packwood et al., J. Chem. Phys. 144, 164109 (2016), eq. 8.

    None where some atom has no neighbour, whose row of the matrix would be empty: LBFGS with a line search.
    """
    nearest = _nearest_distances(atoms)
    if nearest is None:
        return None
    precon = Exp(r_NN=float(nearest.max()), r_cut=2 * float(nearest.max()), solver="direct")
    with quiet():
        precon.estimate_mu(atoms)
    precon.mu_c = _CELL_CURVATURE if target is not atoms else None
    return precon


def _nearest_distances(atoms: Atoms, reach: float = 6.0) -> NDArray[np.float64] | None:
    """Find the distance of each atom to its nearest neighbour (N,), Angstrom; None where one has none in reach."""
    center, distance = neighbor_list("id", atoms, reach)
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, center, distance)
    return nearest if np.isfinite(nearest).all() else None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what optimisers say on the way (a flat direction, a line search that starts anew) off the terminal."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
