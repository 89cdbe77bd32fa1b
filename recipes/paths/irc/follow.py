"""Intrinsic reaction coordinate: downhill in mass-weighted coordinates from a saddle point to both minima."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.irc.course import Course
from dp_sim.recipes.paths.irc.expected import read_expected
from dp_sim.recipes.paths.irc.result import IrcResult
from dp_sim.recipes.paths.irc.settings import IRCSettings
from dp_sim.recipes.paths.irc.stages import Stages
from dp_sim.recipes.paths.saddle.curvature import StationaryModes, modes_of, stationary_modes
from dp_sim.recipes.paths.saddle.result import TransitionStateResult
from dp_sim.recipes.paths.saddle.surface import Surface
from dp_sim.recipes.paths.saddle.verdict import saddle_verdict
from dp_sim.recipes.run.directory import RunDirectory

__all__ = ["IrcResult", "follow_irc"]

#: The Hessian that came with a saddle point is this calculator's where energy (eV) and forces (eV/Angstrom) agree.
SAME_EV, SAME_FORCE = 1e-5, 1e-3
PARTIAL = "hessian_columns.npy"


@documented(IRCSettings)
def follow_irc(
    ts: Atoms | TransitionStateResult,
    calc: Any,
    *,
    step: float | None = None,
    fmax: float = 0.05,
    steps: int = 200,
    reactant: Atoms | str | os.PathLike[str] | None = None,
    product: Atoms | str | os.PathLike[str] | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> IrcResult:
    """Follow the reaction coordinate from a saddle point down both sides, and relax both ends to their minima.

    The path is Fukui's (Acc. Chem. Res. 14, 363 (1981)): steepest descent in mass-weighted coordinates, by a predictor
    and corrector with a Hessian (Hratchian, Schlegel, J. Chem. Phys. 120, 9918 (2004)): the exact one every few steps
    where the calculator has `get_hessian`, else updated from that of the saddle point. The last points are relaxed, and
    their normal modes must be those of minima.

    Parameters
    ----------
    ts : ase.Atoms or TransitionStateResult
        A saddle point: exactly one imaginary frequency, no force above `fmax`; or what `refine_ts` returned, whose
        Hessian is then not computed again.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    IrcResult
        The path: energies (images,) in eV and mass-weighted distances (images,) in amu^1/2 Angstrom, with the minima at
        its ends. `converged` is false where a side or an end did not come to its end, an end is no minimum or not the
        one expected, or the energy does not fall all the way.

    Raises
    ------
    InputError
        The start is not stationary or not a first-order saddle point; a constraint other than `FixAtoms`; an expected
        end that cannot be read or holds other atoms.

    Notes
    -----
    `resume` goes on behind the last stage that has ended, and on a side from its last point.
    """
    files = {name: None if isinstance(one, Atoms) else one for name, one in _named(reactant, product)}
    given = {name: value for name, value in locals().items() if name in IRCSettings.model_fields}
    settings = IRCSettings.check({**given, **files})
    start = ts.atoms if isinstance(ts, TransitionStateResult) else ts
    atoms = prepare_atoms(start, calc, "the saddle point")
    expected = {name: read_expected(one, name, atoms) for name, one in _named(reactant, product)}
    surface = Surface(atoms, mobile_atoms(atoms))
    with RunDirectory.of(
        settings, out, structures=[start], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        surface.find_free_motions()
        stages = Stages(run)
        modes = _saddle_modes(surface, ts, settings.fmax, run, stages)
        course = Course(surface, settings, modes, run, stages)
        return run.finish(course.result(expected["reactant"], expected["product"], progress=progress))


def _named(reactant: Any, product: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
    return ("reactant", reactant), ("product", product)


def _saddle_modes(
    surface: Surface, ts: Atoms | TransitionStateResult, fmax: float, run: RunDirectory, stages: Stages
) -> StationaryModes:
    """Find the normal modes at the start, and check that it is a first-order saddle point.

    Raises
    ------
    InputError
        Forces above `fmax`, or another number of imaginary frequencies than one.
    """
    point = surface.point(surface.here)
    if point.largest_force > fmax:
        raise InputError(
            "structure-not-stationary",
            f"the structure is not stationary: its largest force is {point.largest_force:.3g} eV/Angstrom, at most "
            f"{fmax:g} is wanted; refine it first (refine_ts, dp-sim ts)",
        )
    if (saved := stages.load("saddle")) is not None:
        known, source = saved["hessian"], str(saved["source"])
        modes = modes_of(surface, point.x, point.gradient, known, source, run.log)
    elif isinstance(ts, TransitionStateResult) and ts.hessian is not None and _is_same(ts, point.energy, point.forces):
        modes = modes_of(surface, point.x, point.gradient, ts.hessian, ts.hessian_source, run.log)
    else:
        modes = stationary_modes(surface, point.x, log=run.log, partial=run.path(PARTIAL))
    if verdict := saddle_verdict(modes.frequencies_cm1):
        raise InputError("structure-not-saddle", f"the structure is no first-order saddle point: {verdict}")
    stages.save("saddle", hessian=modes.hessian, source=np.array(modes.source))
    return modes


def _is_same(ts: TransitionStateResult, energy: float, forces: Any) -> bool:
    """Tell whether the Hessian that came with a saddle point is that of this calculator."""
    return bool(
        abs(ts.energy_eV - energy) < SAME_EV
        and np.abs(ts.atoms.get_forces(apply_constraint=False) - forces).max() < SAME_FORCE
    )
