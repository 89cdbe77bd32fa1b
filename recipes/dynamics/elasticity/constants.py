"""Elastic constants of a run at constant pressure with a flexible cell: numbers, table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dp_sim.files import write_text
from dp_sim.recipes.crystals.elastic_tensor import independent_constants
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.elasticity.symmetry import symmetry_of_run
from dp_sim.recipes.dynamics.plan import Plan
from dp_sim.recipes.dynamics.production import Production
from dp_sim.recipes.dynamics.run_files import CELL_COLUMNS
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.tables import csv_text
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA

#: Pressure from which on the two kinds of elastic constants are told apart, GPa.
WORTH_TELLING_GPA = 0.01
#: How well the axes of a crystal in a file are known, rad.
AXES_KNOWN_TO = 0.01
#: What C is, in words.
CONVENTION = (
    "isothermal; relate Cauchy's stress to small strains at the pressure of the run (Birch), in the axes of the start, "
    "rows and columns xx, yy, zz, yz, xz, xy"
)


@dataclass(frozen=True, kw_only=True)
class StrainFluctuations:
    """Isothermal elastic constants from strain fluctuations, GPa, in Voigt order xx, yy, zz, yz, xz, xy.

    Attributes
    ----------
    constants
        Every constant that symmetry does not make zero, mean cell, and bulk modulus.
    independent
        Names of constants (C11, ...) from which symmetry gives the others.
    symmetry
        What symmetry was used, in words, or why none.
    pressure_GPa
        Of the barostat.
    cause
        Why the whole run gives none; else empty.
    """

    constants: estimators.FluctuationConstants | None
    independent: tuple[str, ...] = ()
    symmetry: str = ""
    pressure_GPa: float = 0.0
    cause: str = ""

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Return the numbers by name."""
        if self.constants is None:
            return {"elastic_constants": Quantity(None, "GPa", self.cause)}
        found: dict[str, Quantity | Estimate] = {name: self.constants.estimates[name] for name in self.independent}
        if abs(self.pressure_GPa) >= WORTH_TELLING_GPA:
            found |= {f"{name}_second_derivative": self.second_derivative(name) for name in self.independent}
        tensor = self.constants.tensor_GPa()
        if tensor is not None:
            found["elastic_constants"] = Quantity(np.round(tensor, 6) + 0.0, "GPa")
        return found | {
            "elastic_convention": Quantity(CONVENTION),
            "elastic_symmetry": Quantity(self.symmetry),
            "bulk_modulus_from_strains": self.constants.bulk_modulus_GPa,
            "mean_cell": Quantity(np.round(self.constants.reference_A, 6) + 0.0, "Angstrom"),
        }

    def second_derivative(self, name: str) -> Estimate:
        """Return the second derivative of the free energy by Lagrange's strain at the mean cell (Brugger), GPa.

        C11 + p, C12 - p and C44 + p (`estimators/elasticity.py`); p is known.
        """
        assert self.constants is not None
        found, (a, b) = self.constants.estimates[name], estimators.place_of(name)
        added = self.pressure_GPa * (1 if a == b else -1 if max(a, b) < 3 else 0)
        if found.value is None or found.ci95 is None:
            return found
        return replace(found, value=found.value + added, ci95=(found.ci95[0] + added, found.ci95[1] + added))

    def write(self, path: Callable[[str], Path]) -> None:
        """Write elastic.csv, where all constants are given."""
        if self.constants is None:
            return
        tensor, errors = self.constants.tensor_GPa(), self.constants.tensor_GPa("error")
        if tensor is None or errors is None:
            return
        names = estimators.STRAIN_NAMES
        header = ["", *(f"{name}_GPa" for name in names), *(f"error_{name}_GPa" for name in names)]
        rows = [[name, *one.tolist(), *error.tolist()] for name, one, error in zip(names, tensor, errors, strict=True)]
        write_text(path("elastic.csv"), csv_text(header, rows))


def elastic_constants_of(production: Production, plan: Plan) -> StrainFluctuations | None:
    """Estimate elastic constants from the table of a run; None where its cell was not free to change its shape."""
    conditions = plan.conditions
    if conditions.cell_change != "flexible" or conditions.pressure_bar is None:
        return None
    cause = production.unusable or production.missed
    if cause:
        return StrainFluctuations(constants=None, cause=cause.partition(":")[0])
    if not production.has(*CELL_COLUMNS):
        return StrainFluctuations(constants=None, cause="the table of the run holds no lattice vectors")
    assert conditions.temperature_K is not None
    cells = np.stack([production.series(name) for name in CELL_COLUMNS], axis=1).reshape(-1, 3, 3)
    symmetry = symmetry_of_run(plan.atoms, cells.mean(axis=0))
    basis = estimators.no_symmetry() if symmetry.basis is None else symmetry.basis
    return StrainFluctuations(
        constants=estimators.elastic_constants(
            cells, conditions.temperature_K, basis=basis, steps_per_sample=production.steps_per_sample
        ),
        independent=tuple(estimators.name_of(*place) for place in independent_constants(basis, AXES_KNOWN_TO)),
        symmetry=symmetry.words,
        pressure_GPa=conditions.pressure_bar / EV_PER_A3_IN_BAR * EV_PER_A3_IN_GPA,
    )
