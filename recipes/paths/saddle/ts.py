"""Transition state: from a guess to the first-order saddle point nearby."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.band.tangent import TANGENT
from dp_sim.recipes.paths.saddle.result import TransitionStateResult
from dp_sim.recipes.paths.saddle.search import Search
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.paths.saddle.surface import Array, Surface
from dp_sim.recipes.run.directory import RunDirectory

__all__ = ["TransitionStateResult", "refine_ts"]


@documented(TSSettings)
def refine_ts(
    guess: Atoms,
    calc: Any,
    *,
    fmax: float = 0.01,
    steps: int = 200,
    method: str = "auto",
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> TransitionStateResult:
    """Find the first-order saddle point near `guess`, such as `find_path(...).highest`.

    One mode is climbed and all others are descended, with a Hessian that is exact at the start where the calculator
    has `get_hessian`, else made of one evaluation for each internal motion; it is updated (Bofill) and computed anew
    where it fails. A structure with the array `tangent` (N, 3), as the highest image of a path has, is followed along
    it. The normal modes at the end tell whether it is a saddle point. From one of higher order the search goes on
    downhill, along the modes that are too many. `converged` requires exactly one imaginary frequency (below -10 cm^-1),
    of a mode that does not just move parts of the structure against each other which have drifted apart.

    Parameters
    ----------
    guess : ase.Atoms
        The structure to start from.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    TransitionStateResult
        The saddle point: energy (eV), frequencies (M,) in cm^-1 and the reaction mode (N, 3).

    Raises
    ------
    InputError
        Bad structure, calculator or setting; a constraint other than `FixAtoms`; a single atom, which has no saddle
        point; a `tangent` of another shape.

    Notes
    -----
    `resume` goes on from the last step that was saved, with its Hessian.
    """
    settings = TSSettings.taken_from(locals())
    atoms = prepare_atoms(guess, calc, "the guess")
    mobile = mobile_atoms(atoms)
    surface = Surface(atoms, mobile)
    surface.find_free_motions()
    if not surface.internal(surface.here).shape[1]:
        raise InputError(
            "saddle-without-motion",
            f"the guess ({atoms.get_chemical_formula()}) has no motion but that of the whole, which costs no energy: "
            "one atom alone has no saddle point; give a structure of two atoms or more",
        )
    tangent = _tangent(atoms)
    with RunDirectory.of(
        settings, out, structures=[guess], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        search = Search(surface, settings, tangent, run)
        return run.finish(search.run(progress=progress))


def _tangent(atoms: Atoms) -> Array | None:
    """Take the direction of a path (N, 3) from the structure; fixed atoms have no part in it."""
    found = atoms.arrays.pop(TANGENT, None)
    if found is None:
        return None
    direction = np.asarray(found, dtype=float)
    if direction.shape != (len(atoms), 3) or not np.isfinite(direction).all():
        raise InputError(
            "tangent-invalid",
            f"the array '{TANGENT}' of the guess must hold three finite numbers for each of its {len(atoms)} atoms, "
            f"got shape {direction.shape}; correct it, or leave it out to follow the lowest mode",
        )
    return direction if np.linalg.norm(direction) > 0 else None
