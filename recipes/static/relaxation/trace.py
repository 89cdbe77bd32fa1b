"""The way of a relaxation, step by step: in memory, and in the trajectory file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase.constraints import FixConstraint
from ase.io import write
from numpy.typing import NDArray

from dp_sim.recipes.results.frames import append_frame, evaluated_copy, whole_frames
from dp_sim.recipes.static.relaxation.moving import Left, Moving


class Trace:
    """Energy, forces and stress left at each step, from step 0.

    Parameters
    ----------
    moving
        What is relaxed.
    trajectory
        File of the frames, one a step; None: none.
    constraints
        Those of the frames: what the structure came with, where the run has set others.

    Attributes
    ----------
    energies_eV
        Of the structure alone, without p V and constraints.
    earlier_steps
        Steps of an earlier session that are not in this trace.
    objectives_eV, work_eV
        Of this session: what is minimised at each step, and the work of the forces from the step before.
    """

    def __init__(
        self, moving: Moving, trajectory: Path | None = None, constraints: Sequence[FixConstraint] = ()
    ) -> None:
        self.moving, self.trajectory, self.constraints = moving, trajectory, list(constraints)
        self.earlier_steps = 0
        self.energies_eV: list[float] = []
        self.left: list[Left] = []
        self.objectives_eV: list[float] = []
        self.work_eV: list[float] = []
        self._last: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def steps(self) -> int:
        """Number of steps of all sessions so far."""
        return self.earlier_steps + len(self.energies_eV) - 1

    def take_over(self) -> None:
        """Go on from an earlier session: its frames are the trace so far, its last frame is the structure."""
        if self.trajectory is None or not self.trajectory.is_file():
            return
        frames = whole_frames(self.trajectory)
        self.trajectory.unlink()
        if not frames:
            return
        atoms = self.moving.atoms
        atoms.set_cell(frames[-1].cell, apply_constraint=False)
        atoms.set_positions(frames[-1].positions, apply_constraint=False)
        # The last frame is evaluated and recorded again as the first of this session.
        for frame in frames[:-1]:
            self.energies_eV.append(frame.get_potential_energy())
            self.left.append(Left(float(frame.info["fmax"]), frame.info.get("stress_left")))
        if frames[:-1]:
            write(self.trajectory, frames[:-1], format="extxyz")

    def record(self) -> None:
        """Take in the structure as it is now, evaluated.

        Raises
        ------
        FloatingPointError
            Its energy, forces or stress are not finite.
        """
        moving = self.moving
        left, energy = moving.left(), float(moving.atoms.calc.results["energy"])
        if not (left.finite and np.isfinite(energy)):
            raise FloatingPointError("energy, forces or stress are not finite")
        place, forces = moving.target.get_positions().copy(), moving.target.get_forces().copy()
        if self._last is not None:
            # Trapezoid rule: exact for a parabola, which every minimum is from near.
            before, forces_before = self._last
            self.work_eV.append(float(np.sum((forces_before + forces) * (place - before)) / 2))
        self._last = place, forces
        self.objectives_eV.append(moving.objective_eV())
        self.energies_eV.append(energy)
        self.left.append(left)
        if self.trajectory is not None:
            frame = evaluated_copy(moving.atoms)
            frame.info |= {"fmax": left.fmax_eV_A} | (
                {} if left.stress_GPa is None else {"stress_left": left.stress_GPa}
            )
            frame.set_constraint(self.constraints)
            append_frame(self.trajectory, frame)

    def last_place(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the coordinates and forces of the last step, as the filter has them."""
        assert self._last is not None  # something has been recorded
        return self._last

    def jump(self) -> None:
        """Forget the last place: the next step is not one along the forces."""
        self._last = None

    def fmaxes_eV_A(self) -> NDArray[np.float64]:
        """Return the largest force at each step (steps + 1,)."""
        return np.array([one.fmax_eV_A for one in self.left])

    def stresses_left_GPa(self) -> NDArray[np.float64] | None:
        """Return the stress left at each step (steps + 1,); None where the cell is kept."""
        stresses: Sequence[float | None] = [one.stress_GPa for one in self.left]
        return None if None in stresses else np.array(stresses, dtype=float)
