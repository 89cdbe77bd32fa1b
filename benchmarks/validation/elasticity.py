"""Elastic constants of copper (EMT) at 300 K: fluctuations of a flexible cell against stresses of strained cells.

Both are isothermal, of the same 32 atoms, about the same mean cell at no pressure, where the coefficients of stress
and strain are those of Birch. Strains of a static crystal at that cell (`dp-sim elastic`) leave the vibrations out:
they are told only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from dp_sim.recipes import elastic_constants, run_npt, run_nvt
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_BAR, EV_PER_A3_IN_GPA
from validation.check import SIGMAS, Check
from validation.dynamics import TEMPERATURE_K, whole_steps

STRAIN = 0.01
BAR_IN_GPA = EV_PER_A3_IN_GPA / EV_PER_A3_IN_BAR
SETTINGS: dict[str, Any] = {
    "temperature_K": TEMPERATURE_K, "timestep_fs": 5.0, "sample_every": 4, "frame_every": 10**6, "progress": False,
}  # fmt: skip
#: Strained component -> (name, components of the pressure tensor, strain in Voigt's form) of the constants it gives.
STRAINS = {
    (0, 0): (("C11", ("xx",), STRAIN), ("C12", ("yy", "zz"), STRAIN)),
    (1, 2): (("C44", ("yz",), 2 * STRAIN),),
}


def checks(scale: float) -> Iterator[Check]:
    """Check C11, C12 and C44."""
    crystal = bulk("Cu", a=3.62, cubic=True).repeat(2)
    run = run_npt(
        crystal, EMT(), pressure_bar=0.0, cell_change="flexible", barostat_time_fs=300.0,
        steps=whole_steps(40_000, scale), **SETTINGS,
    )  # fmt: skip
    assert run.elastic is not None
    assert run.elastic.constants is not None, run.elastic.cause
    edge = float(np.cbrt(abs(np.linalg.det(run.elastic.constants.reference_A)))) / 2
    expected = by_strains(bulk("Cu", a=edge, cubic=True).repeat(2), whole_steps(8_000, scale))
    static = elastic_constants(bulk("Cu", a=edge), EMT(), progress=False).fit.constants
    subject = f"copper (EMT), 32 atoms, {TEMPERATURE_K:g} K"
    yield Check(subject, "lattice constant", "Angstrom", edge, edge)
    for name, place in (("C11", (0, 0)), ("C12", (0, 1)), ("C44", (3, 3))):
        found, other = run.elastic.constants.estimates[name], expected[name]
        allowed = 0.0 if found.error is None else SIGMAS * float(np.hypot(found.error, other.error or 0.0))
        exact = other.value or 0.0
        what = f"{name} by fluctuations (exact: by strains)"
        yield Check(subject, what, "GPa", found.value, exact, exact - allowed, exact + allowed)
        yield Check(subject, f"{name} of the static crystal", "GPa", float(static[place]), exact)


def by_strains(crystal: Atoms, steps: int) -> dict[str, Estimate]:
    """Differentiate the mean stress of runs at constant volume between two opposite strains."""
    found: dict[str, Estimate] = {}
    for number, (place, constants) in enumerate(STRAINS.items()):
        runs = [run_nvt(strained(crystal, place, sign * STRAIN), EMT(), steps=steps, seed=2 * number + (sign > 0),
                        **SETTINGS) for sign in (1, -1)]  # fmt: skip
        for name, columns, strain in constants:
            means, errors = [], []
            for run in runs:
                names = [f"pressure_{column}_bar" for column in columns]
                series = np.mean([run.series(one)[run.production_start :] for one in names], axis=0) * BAR_IN_GPA
                means.append(-float(series.mean()))
                errors.append(estimators.standard_error(series))
            value = (means[0] - means[1]) / (2 * strain)
            error = float(np.hypot(*errors)) / (2 * strain)
            found[name] = Estimate(value, error, (value - 2 * error, value + 2 * error), None, "GPa")
    return found


def strained(crystal: Atoms, place: tuple[int, int], strain: float) -> Atoms:
    """Strain a crystal, atoms and all, along one component and its mirror image."""
    deformed = np.eye(3)
    deformed[place] += strain
    if place[0] != place[1]:
        deformed[place[::-1]] += strain
    atoms = crystal.copy()
    atoms.set_cell(crystal.cell.array @ deformed, scale_atoms=True)
    return atoms
