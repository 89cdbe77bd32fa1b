"""What a relaxation of one structure gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.cell import Cell
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.recipes.results.formatting import format_quantity
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.page.scene import movie
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.static.relaxation.saddle_points import unchecked_words
from dp_sim.recipes.static.verdict import stationary_point, stationary_point_words
from dp_sim.uncertainty.derived import Kind, ModelError, SpreadWorth
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class OptResult(Result):
    """An optimised structure and the steps to it.

    Attributes
    ----------
    atoms
        The last structure, with energy and forces, and with the constraints that it came with.
    energy_eV
        Its energy, without the p V term.
    member_energies_eV
        (K,) that the members of a committee give to this structure: at a minimum that is, to first order, what they
        give to minima of their own. None without a committee.
    member_cells_A
        (K, 3, 3) rows are the lattice vectors to which each member relaxes the cell; None unless the cell was relaxed,
        by a committee.
    worth
        What the spread of the members is worth.
    fmax_eV_A
        Largest force on an atom, constraints taken into account.
    steps
        Optimiser steps of all sessions.
    fmax_asked_eV_A
        What it was to fall below.
    energies_eV, fmaxes_eV_A
        (steps + 1,) the same at every step, from step 0.
    ended_by
        Why it ended: `converged`, or one of the other words in `dp_sim.recipes.static.relaxation.endings`.
    optimizer
        The optimiser used: what `auto` chose.
    volume_A3, stress_GPa
        Of the last structure, the stress (6,) in Voigt order; None unless the cell was relaxed.
    stress_left_GPa
        Largest component of the stress, with the pressure added, that the cell could still give in to; None unless the
        cell was relaxed.
    stresses_left_GPa
        (steps + 1,) the same at every step.
    pressure_GPa
        On the cell.
    space_groups
        Before and after, where the symmetry was kept; else None.
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
    ended_by: str
    optimizer: str
    member_energies_eV: NDArray[np.float64] | None = None
    member_cells_A: NDArray[np.float64] | None = None
    worth: SpreadWorth | None = None
    volume_A3: float | None = None
    stress_GPa: NDArray[np.float64] | None = None
    stress_left_GPa: float | None = None
    stresses_left_GPa: NDArray[np.float64] | None = None
    pressure_GPa: float = 0.0
    space_groups: tuple[str, str] | None = None
    frequencies_cm1: NDArray[np.float64] | None = None
    saddles_left_cm1: tuple[float, ...] = ()
    fmax_asked_eV_A: float | None = None

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
            force = format_quantity(self.fmax_eV_A, "eV/Angstrom")
            return f"relaxed in {self.steps} step{'s' * (self.steps != 1)}, largest force {force} eV/Å"
        return stationary_point_words(self.frequencies_cm1, relaxed=True)

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        unchecked = unchecked_words(self.atoms) if self.frequencies_cm1 is None else ""
        quantities: dict[str, Quantity | Estimate] = {
            "verdict": Quantity(None if self.frequencies_cm1 is None else self.verdict, "", unchecked),
            "energy": Quantity(self.energy_eV, "eV", model=self._error(self.member_energies_eV, "energy")),
            "energy_change": Quantity(float(self.energies_eV[-1] - self.energies_eV[0]), "eV"),
            "fmax": Quantity(self.fmax_eV_A, "eV/Angstrom"),
            "ended_by": Quantity(self.ended_by),
            "steps": Quantity(self.steps),
            "optimizer": Quantity(self.optimizer),
        }
        if self.worth is not None:
            quantities["model_errors_from"] = Quantity(self.worth.words)
        if self.saddles_left_cm1:
            quantities["saddle_points_left"] = Quantity(list(self.saddles_left_cm1), "cm^-1")
        if self.frequencies_cm1 is not None:
            quantities["lowest_frequencies"] = Quantity(self.frequencies_cm1[:6], "cm^-1")
        return quantities | self._of_the_cell()

    def _error(self, values: NDArray[np.float64] | None, kind: Kind) -> ModelError | None:
        return None if values is None or self.worth is None else self.worth.error(values, kind)

    def _of_the_cell(self) -> dict[str, Quantity | Estimate]:
        quantities: dict[str, Quantity | Estimate] = {}
        if self.volume_A3 is not None:
            cells = None if self.member_cells_A is None else [Cell(one) for one in self.member_cells_A]
            for name, value, unit, of in (
                ("volume", self.volume_A3, "Angstrom^3", lambda cell: cell.volume),
                ("cell_lengths", self.atoms.cell.lengths(), "Angstrom", Cell.lengths),
                ("cell_angles", self.atoms.cell.angles(), "degree", Cell.angles),
            ):
                values = None if cells is None else np.array([of(cell) for cell in cells])
                quantities[name] = Quantity(value, unit, model=self._error(values, "forces"))
            quantities["stress"] = Quantity(self.stress_GPa, "GPa")
            quantities["stress_left"] = Quantity(self.stress_left_GPa, "GPa")
            if self.pressure_GPa:
                work = self.pressure_GPa / EV_PER_A3_IN_GPA * self.volume_A3
                quantities["enthalpy"] = Quantity(self.energy_eV + work, "eV")
        if self.space_groups is not None:
            before, after = self.space_groups
            quantities["space_group"] = Quantity(before if before == after else f"{before} before, {after} after")
        return quantities

    @override
    def figures(self) -> dict[str, Figure]:
        from matplotlib.ticker import MaxNLocator

        labels = [("step", "energy above the last (meV)"), ("step", "fmax (eV/Å)")]
        if self.stresses_left_GPa is not None:
            labels.append(("step", "stress left (GPa)"))
        figure, panels = new_panels(labels)
        for panel in panels:
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not self.steps:
            panels[0].set_xlim(-0.5, 0.5)
        if self.fmax_asked_eV_A is not None:
            panels[1].axhline(self.fmax_asked_eV_A, color="gray", linewidth=0.8, linestyle="--")
        panels[0].plot(1000 * (self.energies_eV - self.energies_eV[-1]), ".-", color=COLOURS[0])
        left = [self.fmaxes_eV_A, *([] if self.stresses_left_GPa is None else [self.stresses_left_GPa])]
        for panel, values, colour in zip(panels[1:], left, COLOURS[1:], strict=False):
            panel.plot(values, ".-", color=colour)
            if np.all(values):  # a symmetry may make every force zero
                panel.set_yscale("log")
        return {"convergence": figure}

    @override
    def headline(self) -> tuple[str, ...]:
        return ("energy", "energy_change", "fmax" if self.volume_A3 is None else "volume")

    @override
    def captions(self) -> dict[str, str]:
        words = "The energy settles at the minimum while the largest force falls below the dashed line."
        if self.stresses_left_GPa is not None:
            words = f"{words[:-1]}, and the stress that the cell may relax falls, too."
        return {"convergence": words}

    @override
    def animation(self) -> dict[str, Any] | None:
        return movie([self.atoms], [f"{self.atoms.get_chemical_formula()}, the last structure"])

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("optimized.extxyz"), self.atoms)
