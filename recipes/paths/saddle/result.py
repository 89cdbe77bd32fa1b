"""What a search for a saddle point finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.paths.saddle.surface import Cost
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.static.members import MemberModes
from dp_sim.recipes.static.mode_viewers import animation, line_figure, molden_text, trajectories_xyz
from dp_sim.recipes.static.normal_modes import ZERO_CM1
from dp_sim.recipes.static.rigid_motions import whole_positions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The reaction mode is written as one period, with this amplitude (Angstrom, of the atom that moves most) and frames.
SWING_A = 0.3
SWING_FRAMES = 20


@dataclass(frozen=True, kw_only=True)
class TransitionStateResult(Result):
    """A saddle point and its curvature.

    Attributes
    ----------
    atoms
        The structure of N atoms, with energy and forces.
    energy_eV
        Its potential energy, eV.
    frequencies_cm1
        (M,) cm^-1, ascending, imaginary ones negative; without rigid motions and fixed atoms. None where the search
        ended before, or the calculator failed at a displaced structure.
    mode
        (N, 3) displacements along the lowest mode, of length 1; None with the frequencies.
    modes
        (M, N, 3) all of them; None with the frequencies.
    hessian
        (3n, 3n) eV/Angstrom^2 over the n atoms that may move; None with the frequencies.
    hessian_source
        How it was computed, in words.
    largest_force
        Largest force on an atom, eV/Angstrom.
    steps
        Steps taken, those of earlier sessions included.
    overlap
        Cosine between the lowest mode and the direction of the path at the guess, 0 to 1; None where the guess has
        no `tangent`.
    rigid_motions
        What was taken out of the modes, in words.
    cost
        What was asked of the calculator in this session.
    members
        Modes of the members of a committee, each at its own saddle point; else None.
    """

    recipe: ClassVar[str] = "ts"
    title: ClassVar[str] = "Transition state"

    atoms: Atoms
    energy_eV: float
    frequencies_cm1: NDArray[np.float64] | None
    mode: NDArray[np.float64] | None
    modes: NDArray[np.float64] | None = None
    hessian: NDArray[np.float64] | None = None
    hessian_source: str = ""
    largest_force: float
    steps: int
    overlap: float | None = None
    rigid_motions: str = ""
    cost: Cost
    members: MemberModes | None = None

    @property
    def n_imaginary(self) -> int | None:
        """How many frequencies are imaginary, below zero by more than `ZERO_CM1`: 1 at a transition state."""
        return None if self.frequencies_cm1 is None else int((self.frequencies_cm1 < -ZERO_CM1).sum())

    @property
    @override
    def outcome(self) -> str:
        if self.frequencies_cm1 is None or not self.converged:
            return ""
        return f"one imaginary mode, {-self.frequencies_cm1[0]:.0f}i cm^-1"

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        members = self.members
        errors = None if members is None else members.frequency_errors
        found, cause = self.frequencies_cm1, "" if self.frequencies_cm1 is not None else "there are no normal modes"
        return {
            "energy": Quantity(self.energy_eV, "eV", model=None if members is None else members.energy_error),
            "lowest_frequency": Quantity(
                None if found is None else found[0], "cm^-1", cause, None if errors is None else errors.at(0)
            ),
            "imaginary_frequencies": Quantity(self.n_imaginary, "", cause),
            "counted_as_imaginary_below": Quantity(-ZERO_CM1, "cm^-1"),
            "frequencies": Quantity(found, "cm^-1", cause, errors),
            **({} if members is None else {"model_errors_from": Quantity(members.words)}),
            "overlap_with_path": Quantity(
                self.overlap, "", "the guess holds no direction of a path" if found is not None else cause
            ),
            "largest_force": Quantity(self.largest_force, "eV/Angstrom"),
            "steps": Quantity(self.steps),
            "rigid_motions": Quantity(self.rigid_motions or None, "", cause),
            "hessian_source": Quantity(self.hessian_source or None, "", cause),
            "force_evaluations": Quantity(self.cost.evaluations),
            "hessian_evaluations": Quantity(self.cost.hessians),
            "calculator_time": Quantity(round(self.cost.seconds, 3), "s"),
        }

    @override
    def headline(self) -> tuple[str, ...]:
        return ("lowest_frequency", "energy", "largest_force")

    @override
    def captions(self) -> dict[str, str]:
        return {"spectrum": "A line for each normal mode: one below zero, along the reaction, at a transition state."}

    @override
    def tables(self) -> dict[str, QuantityTable]:
        if self.frequencies_cm1 is None or not len(self.frequencies_cm1):
            return {}
        words = "Normal modes; a negative frequency is imaginary."
        return {"modes": QuantityTable(words, {"frequencies": ("frequency", 2)}, numbered="mode")}

    @override
    def animation(self) -> dict[str, Any] | None:
        if self.frequencies_cm1 is None or self.modes is None or not len(self.modes):
            return None
        return animation(self.atoms, whole_positions(self.atoms), self.frequencies_cm1, self.modes)

    @override
    def figures(self) -> dict[str, Figure]:
        return {} if self.frequencies_cm1 is None else {"spectrum": line_figure(self.frequencies_cm1, None)}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("ts.extxyz"), self.atoms)
        if self.mode is None or self.modes is None or self.frequencies_cm1 is None:
            return
        swing = []
        amplitude = SWING_A / np.linalg.norm(self.mode, axis=1).max()
        for phase in np.linspace(0, 2 * np.pi, SWING_FRAMES, endpoint=False):
            frame = self.atoms.copy()
            frame.positions += amplitude * np.sin(phase) * self.mode
            swing.append(frame)
        write_frames(path("mode.extxyz"), swing)
        whole = whole_positions(self.atoms)
        lines = trajectories_xyz(self.atoms, whole, self.frequencies_cm1, self.modes)
        write_text(path("modes.xyz"), "\n".join(lines) + "\n")
        write_text(path("modes.molden"), molden_text(self.atoms, self.frequencies_cm1, self.modes))
