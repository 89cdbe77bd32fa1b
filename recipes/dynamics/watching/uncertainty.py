"""The watch on a committee: the largest force uncertainty of an atom at each sample, and what is done above a limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.io import read
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.run_files import Row
from dp_sim.recipes.dynamics.settings import DynamicsSettings
from dp_sim.recipes.inputs.calculators import only_model
from dp_sim.recipes.results.frames import append_frame, write_frames

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

#: File of the frames above the limit.
UNCERTAIN = "uncertain.extxyz"
#: Keys of such a frame's `info`.
STEP, UNCERTAINTY = "step", "force_uncertainty_eV_A"


@dataclass
class UncertaintyWatch:
    """What a run is watched by that has a limit of uncertainty.

    Attributes
    ----------
    model
        A committee.
    limit_eV_A
        Largest uncertainty of the force on an atom that is taken.
    file
        Where frames above it go; None: they are not kept.
    stops
        Whether the run ends there.
    """

    model: Model
    limit_eV_A: float
    file: Path | None
    stops: bool

    def begin(self, step: int) -> None:
        """Leave out frames after the step that a run goes on from: they come again."""
        if self.file is not None and self.file.is_file():
            kept = [atoms for atoms in read(self.file, ":") if atoms.info[STEP] <= step]
            self.file.unlink()
            if step > 0 and kept:
                write_frames(self.file, kept)

    def look(self, structure: Atoms, step: int) -> float:
        """Measure the uncertainty, and keep a frame that is above the limit.

        Returns
        -------
        float
            Largest uncertainty of the force on an atom, eV/Angstrom.
        """
        found = largest_force_uncertainty(self.model, structure)
        if found > self.limit_eV_A and self.file is not None:
            frame = structure.copy()
            frame.info |= {STEP: step, UNCERTAINTY: found}
            append_frame(self.file, frame)
        return found

    def words(self, found: float, step: int) -> str:
        """Say that the limit has been passed."""
        return (
            f"the force uncertainty of an atom is {found:.3g} eV/Angstrom at step {step:,}, above "
            f"max_force_uncertainty_eV_A = {self.limit_eV_A:g}"
        )


def largest_force_uncertainty(model: Model, structure: Atoms) -> float:
    """Compute the largest uncertainty of the force on an atom, eV/Angstrom; of a raw committee, its spread.

    The spread of an atom is sqrt(sum over members and axes of (F - <F>)^2 / (M - 1)); a calibration has a scale for it.
    """
    spread = model.evaluate(structure).forces_std
    assert spread is not None
    largest = largest_length(spread.cpu().numpy())
    calibration = model.calibration
    return largest if calibration is None else largest * calibration.atoms.factor / calibration.forces.factor


def largest_length(forces_std: NDArray[np.float64]) -> float:
    """Return the largest length of the vectors (N, 3) of single atoms; inf where one is no number."""
    lengths = np.linalg.norm(forces_std, axis=1)
    return float(lengths.max()) if np.isfinite(lengths).all() else float("inf")


def watched_model(settings: DynamicsSettings, calculator: Any) -> Model | None:
    """Find the committee whose uncertainty is watched; None where no limit is set.

    Raises
    ------
    InputError
        There is a limit and no committee.
    """
    if settings.max_force_uncertainty_eV_A is None:
        return None
    model = only_model(calculator)
    if model is None or len(model.members) < 2:
        given = "another calculator" if model is None else "a single model"
        raise InputError(
            "uncertainty-unknown",
            f"max_force_uncertainty_eV_A needs a committee, whose members say how sure a force is, got {given}; "
            "give the folder of a committee or several model files",
        )
    return model


def uncertainty_words(rows: list[Row], limit_eV_A: float) -> str:
    """Say how much of a run was above the limit; empty where nothing was."""
    values = [row.force_uncertainty_eV_A or 0.0 for row in rows]
    above = [row.step for row, value in zip(rows, values, strict=True) if value > limit_eV_A]
    if not above:
        return ""
    largest = f"the first at step {above[0]:,}, the largest {max(values):.3g}"
    return (
        f"{len(above):,} of {len(rows):,} samples have an atom whose force uncertainty is above {limit_eV_A:g} "
        f"eV/Angstrom ({largest}): what is averaged over them is not known so well"
    )
