"""Geometry optimisation, of the positions alone or together with the cell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.calculators import member_calculators
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.relaxation.freedom import check_freedom
from dp_sim.recipes.static.relaxation.result import OptResult
from dp_sim.recipes.static.relaxation.several.many import ManyRelaxations, Start, starts_of
from dp_sim.recipes.static.relaxation.several.many_result import ManyOptResult
from dp_sim.recipes.static.relaxation.single import bounds_of, relax_one
from dp_sim.recipes.static.settings import OptSettings

__all__ = ["ManyOptResult", "OptResult", "optimize"]

TRAJECTORY = "trajectory.extxyz"
#: Members of a committee relax the cell to this share of the bounds.
TIGHTER = 0.1


@documented(OptSettings)
def optimize(
    atoms: Atoms | Sequence[Atoms],
    calc: Any,
    *,
    fmax: float = 0.01,
    steps: int = 500,
    optimizer: str = "auto",
    cell: bool = False,
    cell_mask: Sequence[str] = (),
    keep_shape: bool = False,
    keep_volume: bool = False,
    pressure_GPa: float = 0.0,
    max_stress_GPa: float | None = None,
    symmetry: bool = False,
    symprec_A: float | None = None,
    check_minimum: bool = False,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> Any:
    """Relax structures until no force exceeds `fmax`, and with `cell` no stress `max_stress_GPa`.

    Parameters
    ----------
    atoms
        The structure, or several; their constraints are kept. Several go in batches through a Deep Potential.
    calc
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    OptResult
        The last structure and the way to it; of several structures a `ManyOptResult`, with `results` by number.

    Raises
    ------
    InputError
        A setting out of range; constraints that leave nothing to move, or that do not go with the cell, the symmetry
        or `check_minimum`; a cell that cannot be relaxed; or from `prepare_atoms` and `RunDirectory`. Of several
        structures those that are refused are reported in the result, unless all are.

    Notes
    -----
    Of several structures the last ones are written, and no trajectory.
    A resumed run starts the optimiser afresh (without its memory of the curvature) from the last structure written.
    """
    settings = OptSettings.taken_from(locals())
    if not isinstance(atoms, Atoms) and isinstance(atoms, Sequence):
        starts = starts_of(atoms, calc, settings)
        return _optimize_many(starts, settings, out, overwrite=overwrite, resume=resume, progress=progress)
    atoms = prepare_atoms(atoms, calc)
    notes = check_freedom(atoms, settings)
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        for sentence in notes:
            run.note(sentence)
        result = relax_one(atoms, settings, run, progress=progress, trajectory=run.path(TRAJECTORY))
        if settings.cell and result.converged:
            result = replace(result, member_cells_A=_member_cells_A(result, atoms, settings, run))
        return run.finish(result)


def _member_cells_A(
    result: OptResult, atoms: Atoms, settings: OptSettings, run: RunDirectory
) -> NDArray[np.float64] | None:
    """Let each member of a committee relax the cell from where the mean is at rest; None where one does not."""
    stress = bounds_of(settings, atoms).stress_GPa
    asked = settings.model_dump(exclude={"check_minimum", "fmax", "max_stress_GPa"})
    cells = []
    for number, calculator in enumerate(member_calculators(atoms.calc), 1):
        # Tighter than the mean: what is left of its stress would be no spread.
        bounds = {"fmax": TIGHTER * settings.fmax, "max_stress_GPa": None if stress is None else TIGHTER * stress}
        found = optimize(result.atoms.copy(), calculator, **{**asked, **bounds}, progress=False)
        if not found.converged:
            run.note(f"the model's error of the cell is not known: member {number} does not relax it ({found.cause})")
            return None
        run.log(f"member {number}: {found.steps} steps, {found.volume_A3:.4f} Angstrom^3")
        cells.append(found.atoms.cell.array)
    return np.array(cells) if cells else None


def _optimize_many(
    starts: Sequence[Start],
    settings: OptSettings,
    out: str | os.PathLike[str] | None,
    *,
    overwrite: bool,
    resume: bool,
    progress: bool,
) -> ManyOptResult:
    structures = [start.atoms for start in starts]
    calculator = next(start.atoms.calc for start in starts if start.refusal is None)
    with RunDirectory.of(
        settings, out, structures=structures, calculator=calculator, overwrite=overwrite, resume=resume
    ) as run:
        for sentence in dict.fromkeys(sentence for start in starts for sentence in start.notes):
            run.note(sentence)
        return run.finish(ManyRelaxations(starts, settings, run, progress=progress).relax())
