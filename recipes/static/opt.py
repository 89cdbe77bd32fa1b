"""Geometry optimisation, of the positions alone or together with the cell."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.io import write
from ase.optimize import BFGS, FIRE, LBFGS
from ase.optimize.optimize import Optimizer
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.failed_evaluations import WayBack
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.recipes.results.frames import append_frame, evaluated_copy, whole_frames, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.static.mode_analysis import analyse_modes
from dp_sim.recipes.static.normal_modes import NormalModes
from dp_sim.recipes.static.settings import OptSettings
from dp_sim.recipes.static.verdict import stationary_point, stationary_point_words
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPTIMIZERS: dict[str, type[Optimizer]] = {"bfgs": BFGS, "lbfgs": LBFGS, "fire": FIRE}
TRAJECTORY = "trajectory.extxyz"
#: How far from a saddle point the search goes on (Angstrom, the atom that moves most), and how many are left.
LEAVE_A = 0.1
MOST_SADDLES = 3


@dataclass(frozen=True, kw_only=True)
class OptResult(Result):
    """An optimised structure and the steps to it.

    Attributes
    ----------
    atoms
        The last structure, with energy and forces.
    energy_eV
        Its energy, without the p V term.
    fmax_eV_A
        Largest force on an atom, constraints taken into account; with a relaxed cell the largest row of the generalised
        force of `ase.filters.FrechetCellFilter`.
    steps
        Optimiser steps of all sessions.
    energies_eV, fmaxes_eV_A
        (steps + 1,) the same at every step, from step 0.
    volume_A3, stress_GPa
        Of the last structure, the stress (6,) in Voigt order; None unless the cell was relaxed.
    frequencies_cm1
        (M,) of the last structure, imaginary ones negative; None unless `check_minimum` was asked for.
    saddles_left_cm1
        The lowest frequency of each saddle point that was found and left.
    """

    recipe: ClassVar[str] = "opt"
    title: ClassVar[str] = "Geometry optimisation"

    atoms: Atoms
    energy_eV: float
    fmax_eV_A: float
    steps: int
    energies_eV: NDArray[np.float64]
    fmaxes_eV_A: NDArray[np.float64]
    volume_A3: float | None = None
    stress_GPa: NDArray[np.float64] | None = None
    frequencies_cm1: NDArray[np.float64] | None = None
    saddles_left_cm1: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """`minimum`, `transition state`, `saddle point of order n`, `not relaxed`, or `not checked`."""
        if self.frequencies_cm1 is None:
            return "not checked"
        # A saddle point that could not be left is relaxed, though the result is not converged.
        return stationary_point(self.frequencies_cm1, relaxed=True)

    @property
    @override
    def outcome(self) -> str:
        if self.frequencies_cm1 is None:
            return ""
        return stationary_point_words(self.frequencies_cm1, relaxed=True)

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        unchecked = "a minimum or a saddle point? check_minimum (--check-minimum) tells, and goes on downhill"
        quantities: dict[str, Quantity | Estimate] = {
            "verdict": Quantity(None if self.frequencies_cm1 is None else self.verdict, "", unchecked),
            "energy": Quantity(self.energy_eV, "eV"),
            "energy_change": Quantity(float(self.energies_eV[-1] - self.energies_eV[0]), "eV"),
            "fmax": Quantity(self.fmax_eV_A, "eV/Angstrom"),
            "steps": Quantity(self.steps),
        }
        if self.saddles_left_cm1:
            quantities["saddle_points_left"] = Quantity(list(self.saddles_left_cm1), "cm^-1")
        if self.frequencies_cm1 is not None:
            quantities["lowest_frequencies"] = Quantity(self.frequencies_cm1[:6], "cm^-1")
        if self.volume_A3 is not None and self.stress_GPa is not None:
            quantities["volume"] = Quantity(self.volume_A3, "Angstrom^3")
            quantities["stress"] = Quantity(self.stress_GPa, "GPa")
        return quantities

    @override
    def figures(self) -> dict[str, Figure]:
        from matplotlib.ticker import MaxNLocator

        figure, (energy, force) = new_panels([("step", "energy above the last (meV)"), ("step", "fmax (eV/Å)")])
        energy.plot(1000 * (self.energies_eV - self.energies_eV[-1]), ".-", color=COLOURS[0])
        for panel in (energy, force):
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        force.semilogy(self.fmaxes_eV_A, ".-", color=COLOURS[1])
        return {"convergence": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("optimized.extxyz"), self.atoms)


@documented(OptSettings)
def optimize(
    atoms: Atoms,
    calc: Any,
    *,
    fmax: float = 0.01,
    steps: int = 500,
    optimizer: str = "bfgs",
    cell: bool = False,
    pressure_GPa: float = 0.0,
    check_minimum: bool = False,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> OptResult:
    """Relax a structure until no force exceeds `fmax`.

    Parameters
    ----------
    atoms
        The structure; its constraints are kept.
    calc
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    OptResult
        The last structure and the way to it.

    Raises
    ------
    InputError
        A setting out of range, `cell` without full periodicity, or from `prepare_atoms` and `RunDirectory`.

    Notes
    -----
    A resumed run starts the optimiser afresh (without its memory of the curvature) from the last structure written.
    """
    settings = OptSettings.taken_from(locals())
    atoms = prepare_atoms(atoms, calc)
    if settings.cell:
        _check_cell(atoms)
    if settings.check_minimum:
        mobile_atoms(atoms)  # refuses constraints that normal modes cannot keep, before any work
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        return run.finish(_relax(atoms, run, progress, settings))


def _check_cell(atoms: Atoms) -> None:
    if not atoms.pbc.all():
        raise InputError(
            "periodicity-unsupported",
            f"cell=True needs a structure periodic in all directions, got pbc={atoms.pbc.tolist()}",
        )
    if "stress" not in atoms.calc.implemented_properties:
        raise InputError(
            "stress-missing", f"cell=True needs the stress, which {type(atoms.calc).__name__} does not compute"
        )


class _Trace:
    """Energy and fmax at each step: in memory, and in the trajectory file, one frame a step."""

    def __init__(self, atoms: Atoms, target: Any, trajectory: Path | None, log: Callable[[str], object]) -> None:
        self.atoms, self.target, self.trajectory = atoms, target, trajectory
        self.energies: list[float] = []
        self.fmaxes: list[float] = []
        self.way_back = WayBack(target, log)

    def take_over(self) -> None:
        """Go on from an earlier session: its frames are the trace so far, its last frame is the structure."""
        if self.trajectory is None or not self.trajectory.is_file():
            return
        frames = whole_frames(self.trajectory)
        self.trajectory.unlink()
        if not frames:
            return
        self.atoms.set_cell(frames[-1].cell)
        self.atoms.set_positions(frames[-1].positions, apply_constraint=False)
        # The last frame is evaluated and recorded again as the first of this session.
        self.energies = [frame.get_potential_energy() for frame in frames[:-1]]
        self.fmaxes = [frame.info["fmax"] for frame in frames[:-1]]
        if frames[:-1]:
            write(self.trajectory, frames[:-1], format="extxyz")

    def record(self) -> None:
        frame = evaluated_copy(self.atoms)
        frame.info["fmax"] = float(np.linalg.norm(self.target.get_forces(), axis=1).max())
        self.energies.append(frame.get_potential_energy())
        self.fmaxes.append(frame.info["fmax"])
        if self.trajectory is not None:
            append_frame(self.trajectory, frame)


def _relax(atoms: Atoms, run: RunDirectory, progress: bool, settings: OptSettings) -> OptResult:
    """Relax; with `check_minimum` leave each saddle point that is reached, and relax again."""
    target = (
        FrechetCellFilter(atoms, scalar_pressure=settings.pressure_GPa / EV_PER_A3_IN_GPA) if settings.cell else atoms
    )
    trace = _Trace(atoms, target, run.path(TRAJECTORY), run.log)
    if run.resumed:
        trace.take_over()
    frequencies: NDArray[np.float64] | None = None
    left: list[float] = []
    while True:
        converged = _descend(target, trace, run, progress, settings)
        cause = "" if converged else _cause(trace, settings)
        frequencies = None
        if not (converged and settings.check_minimum):
            break
        mobile = mobile_atoms(atoms)
        modes = analyse_modes(atoms, mobile, log=run.log, progress=progress).modes
        frequencies = modes.frequencies_cm1
        run.log(stationary_point_words(frequencies, relaxed=True))
        if not modes.n_imaginary:
            break
        if len(left) == MOST_SADDLES:
            cause = f"after leaving {len(left)} saddle points it is at another; displace it by hand, or start elsewhere"
            break
        left.append(float(frequencies[0]))
        leave_saddle(atoms, mobile, modes)
    return OptResult(
        converged=not cause,
        cause=cause,
        atoms=evaluated_copy(atoms),
        energy_eV=trace.energies[-1],
        fmax_eV_A=trace.fmaxes[-1],
        steps=len(trace.energies) - 1,
        energies_eV=np.array(trace.energies),
        fmaxes_eV_A=np.array(trace.fmaxes),
        volume_A3=atoms.get_volume() if settings.cell else None,
        stress_GPa=atoms.get_stress() * EV_PER_A3_IN_GPA if settings.cell else None,
        frequencies_cm1=frequencies,
        saddles_left_cm1=tuple(left),
    )


def _descend(target: Any, trace: _Trace, run: RunDirectory, progress: bool, settings: OptSettings) -> bool:
    """Take steps until no force exceeds the bound, as far as the number of steps allows; whether it came so far.

    Where the calculator fails (an SCF that does not converge), the step that led there is halved, a few times.
    """
    with progress_bar("opt", total=settings.steps, show=progress) as advance:
        advance(len(trace.energies))
        while True:
            optimiser = OPTIMIZERS[settings.optimizer](target, logfile=None)
            converged = False
            try:
                for done in optimiser.irun(fmax=settings.fmax, steps=max(0, settings.steps - len(trace.energies))):
                    converged = bool(done)
                    trace.record()
                    trace.way_back.evaluated()
                    advance(1, f"fmax {trace.fmaxes[-1]:.3f} eV/Å")
                    run.log(
                        f"step {len(trace.energies) - 1}: {trace.energies[-1]:.6f} eV, fmax {trace.fmaxes[-1]:.5f} eV/Å"
                    )
                    if not np.isfinite(trace.fmaxes[-1]):
                        break
                return converged
            except Exception as error:  # the way back knows which of them are the calculator's
                if not trace.way_back.shorten(error, f"after step {len(trace.energies) - 1}"):
                    target.get_forces()
                    return False


def _cause(trace: _Trace, settings: OptSettings) -> str:
    if trace.way_back.words:
        return trace.way_back.cause
    return (
        f"fmax is {trace.fmaxes[-1]:.4g} eV/Angstrom after {len(trace.energies) - 1} steps and {settings.fmax:.4g} was "
        "asked for; continue with more steps, or start nearer to a minimum"
    )


def leave_saddle(atoms: Atoms, mobile: NDArray[np.intp], modes: NormalModes) -> None:
    """Move `atoms` off a saddle point, along all imaginary modes at once, to the side of lower energy.

    Along one of them alone a symmetry could keep it on the ridge of another.
    """
    shift = np.zeros((len(atoms), 3))
    shift[mobile] = modes.displacements[: modes.n_imaginary].sum(axis=0)
    shift *= LEAVE_A / np.linalg.norm(shift, axis=1).max()
    sides = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.set_positions(atoms.positions + sign * shift, apply_constraint=False)
        sides.append((atoms.calc.get_potential_energy(moved), -sign, moved.positions))
    atoms.set_positions(min(sides, key=lambda side: side[:2])[2], apply_constraint=False)
