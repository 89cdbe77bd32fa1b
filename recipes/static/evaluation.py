"""One evaluation of a structure: energy, forces, stress and, with a committee, how far its members disagree."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.page.scene import movie
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.settings import EvalSettings
from dp_sim.uncertainty.derived import ModelError, SpreadWorth, measured_error
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model


@dataclass(frozen=True, kw_only=True)
class EvalResult(Result):
    """Energy, forces and stress of one structure of N atoms.

    Attributes
    ----------
    atoms
        The structure, with energy and forces.
    energy_eV, forces_eV_A
        The forces (N, 3) without constraints.
    stress_GPa
        (6,) in Voigt order; None unless all directions are periodic.
    energy_std_eV, forces_std_eV_A
        Standard deviation over the members of a committee, the forces' (N, 3); of a calibrated committee standard
        uncertainties. None without a committee.
    calibrated
        Whether the committee is (`dp-sim calibrate`).
    energy_error
        What the model's errors make of the energy; None where that is not known.
    """

    recipe: ClassVar[str] = "eval"
    title: ClassVar[str] = "Evaluation"

    atoms: Atoms
    energy_eV: float
    forces_eV_A: NDArray[np.float64]
    stress_GPa: NDArray[np.float64] | None = None
    energy_std_eV: float | None = None
    forces_std_eV_A: NDArray[np.float64] | None = None
    calibrated: bool = False
    energy_error: ModelError | None = None

    @property
    def _kind(self) -> str:
        """What the disagreement of the members is called."""
        return "uncertainty" if self.calibrated else "spread"

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        quantities: dict[str, Quantity | Estimate] = {
            "atoms": Quantity(len(self.atoms)),
            "formula": Quantity(self.atoms.get_chemical_formula()),
            "energy": Quantity(self.energy_eV, "eV", model=self.energy_error),
            "energy_per_atom": Quantity(self.energy_eV / len(self.atoms), "eV"),
            "largest_force": Quantity(float(np.linalg.norm(self.forces_eV_A, axis=1).max()), "eV/Angstrom"),
        }
        if self.stress_GPa is not None:
            quantities["stress"] = Quantity(self.stress_GPa, "GPa")
        if self.energy_std_eV is not None and self.forces_std_eV_A is not None:
            quantities[f"energy_{self._kind}"] = Quantity(self.energy_std_eV, "eV")
            quantities[f"largest_force_{self._kind}"] = Quantity(float(self.forces_std_eV_A.max()), "eV/Angstrom")
        return quantities

    @property
    @override
    def outcome(self) -> str:
        return "evaluated"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("energy", "largest_force", f"largest_force_{self._kind}")

    @override
    def animation(self) -> dict[str, Any] | None:
        return movie([self.atoms], [self.atoms.get_chemical_formula()])

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("evaluated.extxyz"), self.atoms)


@documented(EvalSettings)
def evaluate(
    atoms: Atoms,
    calc: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> EvalResult:
    """Evaluate one structure.

    Parameters
    ----------
    atoms
        The structure.
    calc
        An ASE calculator, a model file, or a list of model files (a committee: means and spreads).

    Returns
    -------
    EvalResult
        Energy, forces and, of a bulk structure, the stress.

    Raises
    ------
    InputError
        From `prepare_atoms` and `RunDirectory`.

    Notes
    -----
    `resume` evaluates again: there is nothing half-done. `seed` and `progress` stand for the record: nothing here takes
    long or is random.
    """
    settings = EvalSettings.taken_from(locals())
    atoms = prepare_atoms(atoms, calc)
    stress = None
    if atoms.pbc.all() and "stress" in atoms.calc.implemented_properties:
        stress = atoms.get_stress() * EV_PER_A3_IN_GPA
    model = loaded_model(atoms.calc)
    calibration = None if model is None else model.calibration
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        evaluated = evaluated_copy(atoms)
        energy_std = atoms.calc.results.get("energy_std")
        error = _energy_error(model, energy_std)
        return run.finish(
            EvalResult(
                converged=True,
                atoms=evaluated,
                energy_eV=atoms.get_potential_energy(),
                forces_eV_A=atoms.get_forces(apply_constraint=False),
                stress_GPa=stress,
                energy_std_eV=energy_std,
                forces_std_eV_A=_forces_std(atoms, model),
                calibrated=calibration is not None,
                energy_error=error,
            )
        )


def _forces_std(atoms: Atoms, model: Model | None) -> NDArray[np.float64] | None:
    """Take the spread of the forces; of a single model that has an uncertainty, ask for it."""
    if model is not None and model.last_layer is not None:
        return np.asarray(atoms.calc.get_property("forces_std", atoms))
    found: NDArray[np.float64] | None = atoms.calc.results.get("forces_std")
    return found


def _energy_error(model: Model | None, std_eV: float | None) -> ModelError | None:
    """Say what the model's errors make of an energy with this spread or, calibrated, standard uncertainty."""
    if model is None or std_eV is None:
        return None
    if model.calibration is None:
        return SpreadWorth.of(len(model.members), None).error_of_spread(std_eV, "energy")
    return measured_error(std_eV, model.calibration.energy, len(model.members))
