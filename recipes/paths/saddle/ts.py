"""Transition state: from a guess to the first-order saddle point nearby."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.failed_evaluations import ADVICE, WayBack, failure_words, is_failure
from dp_sim.recipes.inputs.forces import largest_force, mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.paths.saddle.verdict import saddle_verdict
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.static.hessian import difference_hessian, exact_hessian
from dp_sim.recipes.static.vib import VibResult, vibrations

#: Displacement of the differences of forces, Angstrom.
DELTA_A = 5e-3
#: How often Sella's own bound on the forces is halved, at most, until the forces obey ours.
MOST_HALVINGS = 8
#: The reaction mode is written as one period, with this amplitude (Angstrom, of the atom that moves most) and frames.
SWING_A = 0.3
SWING_FRAMES = 20


@dataclass(frozen=True, kw_only=True)
class TransitionStateResult(Result):
    """A saddle point and its curvature.

    Attributes
    ----------
    atoms
        The structure, with energy and forces.
    energy_eV
        Its potential energy, eV.
    frequencies_cm1
        (M,) cm^-1, ascending, imaginary ones negative; without rigid motions and fixed atoms. None where the calculator
        failed at a displaced structure.
    mode
        (N, 3) displacements along the lowest mode, of length 1; None with the frequencies.
    largest_force
        Largest force on an atom, eV/Angstrom.
    steps
        Optimiser steps taken.
    """

    recipe: ClassVar[str] = "ts"
    title: ClassVar[str] = "Transition state"

    atoms: Atoms
    energy_eV: float
    frequencies_cm1: NDArray[np.float64] | None
    mode: NDArray[np.float64] | None
    largest_force: float
    steps: int

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        found, cause = self.frequencies_cm1, "" if self.frequencies_cm1 is not None else "the calculator failed"
        return {
            "energy": Quantity(self.energy_eV, "eV"),
            "lowest_frequency": Quantity(None if found is None else found[0], "cm^-1", cause),
            "frequencies": Quantity(found, "cm^-1", cause),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "steps": Quantity(self.steps),
        }

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("ts.extxyz"), self.atoms)
        if self.mode is None:
            return
        swing = []
        amplitude = SWING_A / np.linalg.norm(self.mode, axis=1).max()
        for phase in np.linspace(0, 2 * np.pi, SWING_FRAMES, endpoint=False):
            frame = self.atoms.copy()
            frame.positions += amplitude * np.sin(phase) * self.mode
            swing.append(frame)
        write_frames(path("mode.extxyz"), swing)


@documented(TSSettings)
def refine_ts(
    guess: Atoms,
    calc: Any,
    *,
    fmax: float = 0.01,
    steps: int = 200,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> TransitionStateResult:
    """Find the first-order saddle point near `guess`, such as `find_path(...).highest`.

    Partitioned rational-function optimisation with Sella (Hermes, Sargsyan, Najm, Zador, J. Chem. Theory Comput. 15,
    6536 (2019)) on full Hessians: exact where the calculator has `get_hessian`, else from 6N forces. The normal modes
    at the end tell whether it is a saddle point: `converged` requires exactly one imaginary frequency.

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
        Bad structure, calculator or setting; a constraint other than `FixAtoms`.
    """
    settings = TSSettings.taken_from(locals())
    atoms = prepare_atoms(guess, calc, "the guess")
    mobile = mobile_atoms(atoms)
    with RunDirectory.of(
        settings, out, structures=[guess], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        reached, taken, failure = _search(atoms, mobile, settings.fmax, settings.steps, run, progress)
        vib: VibResult | None = None
        try:
            vib = vibrations(atoms, atoms.calc, progress=progress)
        except Exception as error:
            if not is_failure(error):
                raise
            failure = failure or f"{failure_words(error, 'in the normal modes')}; {ADVICE}"
        return run.finish(_result(reached, vib, settings.fmax, taken, failure))


def _search(
    atoms: Atoms, mobile: NDArray[np.intp], fmax: float, steps: int, run: RunDirectory, progress: bool
) -> tuple[Atoms, int, str]:
    """Move `atoms` to the saddle point; where the calculator fails, the step that led there is halved, a few times.

    Returns
    -------
    reached
        The last structure that was evaluated, with energy and forces.
    steps
        Taken.
    failure
        Why the calculator ended it, as a sentence; empty where it did not.
    """
    from sella import Sella  # a heavy import (jax)

    def hessian(moving: Atoms) -> NDArray[np.float64]:
        run.log("Hessian")
        exact = exact_hessian(moving)
        return _difference_hessian(moving, mobile) if exact is None else exact

    # Fixed atoms hold the orientation already, and a periodic cell does.
    free = not atoms.pbc.any() and not atoms.constraints
    way_back = WayBack(atoms, run.log)
    reached = evaluated_copy(atoms)
    taken = before = 0  # steps in all, and before the calculator failed last
    with progress_bar("ts", total=steps, show=progress) as advance:

        def follow() -> None:
            nonlocal reached, taken
            taken = before + optimizer.nsteps
            force = largest_force(atoms)
            reached = evaluated_copy(atoms)
            way_back.evaluated()
            run.log(f"step {taken}: {atoms.get_potential_energy():.6f} eV, {force:.5f} eV/Angstrom")
            advance(1, f"{force:.3f} eV/Å")

        while True:
            try:
                optimizer = Sella(atoms, logfile=None, order=1, hessian_function=hessian, proj_rot=free)
                optimizer.attach(follow)
                # Sella leaves out the forces along the rotation that it holds, which far from the guess is not quite
                # the rigid one. `fmax` bounds the whole force, so Sella may have to go on to a smaller bound.
                for halvings in range(MOST_HALVINGS):
                    optimizer.run(fmax=fmax / 2**halvings, steps=max(0, steps - taken))
                    if largest_force(atoms) <= fmax or taken >= steps:
                        break
            except Exception as error:  # the way back knows which of them are the calculator's
                if way_back.shorten(error, f"after step {taken}"):
                    before = taken + 1  # the shorter step is a step
                    continue
            return reached, taken, way_back.cause


def _difference_hessian(atoms: Atoms, mobile: NDArray[np.intp]) -> NDArray[np.float64]:
    """Compute the Hessian (3N, 3N), eV/Angstrom^2, by differences; zero for fixed atoms, which Sella does not move."""
    rows = (3 * mobile[:, None] + np.arange(3)).ravel()
    block = difference_hessian(atoms, delta=DELTA_A, mobile=mobile, partial=None, progress=False)[:, rows]
    hessian = np.zeros((3 * len(atoms), 3 * len(atoms)))
    hessian[np.ix_(rows, rows)] = (block + block.T) / 2
    return hessian


def _result(atoms: Atoms, vib: VibResult | None, fmax: float, steps: int, failure: str) -> TransitionStateResult:
    force = largest_force(atoms)
    causes = []
    if failure:
        causes.append(f"{failure}; the largest force is {force:.3g} eV/Angstrom")
    elif force > fmax:
        causes.append(
            f"the largest force is {force:.3g} eV/Angstrom after {steps} steps, {fmax:g} was asked for; "
            "allow more steps or start nearer to the saddle point"
        )
    if vib is not None and (verdict := saddle_verdict(vib.frequencies_cm1)):
        causes.append(verdict)
    return TransitionStateResult(
        converged=not causes,
        cause="; ".join(causes),
        atoms=atoms,
        energy_eV=float(atoms.get_potential_energy()),
        frequencies_cm1=None if vib is None else vib.frequencies_cm1,
        mode=None if vib is None else vib.modes[0],
        largest_force=force,
        steps=steps,
    )
