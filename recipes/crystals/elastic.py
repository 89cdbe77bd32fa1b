"""Elastic constants by finite strain: the recipe and its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from scipy import stats
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.files import write_text
from dp_sim.recipes.crystals.elastic_tensor import (
    Averages,
    Fit,
    average_errors,
    averages,
    fit_tensor,
    independent_constants,
    invariant_tensors,
    needed_strains,
    strain_matrix,
    weakest_strain,
)
from dp_sim.recipes.crystals.relaxation import strained_copy
from dp_sim.recipes.crystals.settings import ElasticSettings
from dp_sim.recipes.crystals.start import Start, prepare_crystal, start_crystal
from dp_sim.recipes.inputs.members import member_calculators, spread_worth
from dp_sim.recipes.results.figures import COLOURS, new_figure, set_legend
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.uncertainty.derived import SpreadWorth
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: A stress of the unstrained crystal above this (GPa) is worth a line: constants then are those under stress.
LARGE_STRESS_GPA = 0.1
_VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True, kw_only=True)
class ElasticResult(Result):
    """Elastic constants of a crystal, GPa, in Voigt order xx, yy, zz, yz, xz, xy.

    Attributes
    ----------
    start
        The unstrained crystal. Axes: a along x, b in the xy plane, in the standard setting of the space group.
    fit
        Constants (6, 6) and their standard errors, GPa.
    strains
        Voigt components along which it was strained; symmetry gives the rest.
    amplitudes
        (A,) sizes of the strains.
    stresses_GPa
        (S, A, 6), ASE's sign, less that of the unstrained crystal.
    reference_stress_GPa
        (6,) of the unstrained crystal.
    member_constants_GPa
        (K, 6, 6) constants of the members of a committee, each with its own relaxed atoms in the cell of the mean; None
        without one.
    worth
        What the spread of the members is worth.
    """

    recipe: ClassVar[str] = "elastic"
    title: ClassVar[str] = "Elastic constants"

    start: Start
    fit: Fit
    strains: tuple[int, ...]
    amplitudes: Array
    stresses_GPa: Array
    reference_stress_GPa: Array
    member_constants_GPa: Array | None = None
    worth: SpreadWorth | None = None

    @property
    def constants_GPa(self) -> Array:
        """The tensor (6, 6)."""
        return self.fit.constants

    @property
    def errors_GPa(self) -> Array:
        """Standard errors (6, 6)."""
        return self.fit.errors

    @property
    def is_stable(self) -> bool:
        """Whether every small strain costs energy (Born's criterion)."""
        return weakest_strain(self.fit.constants)[0] > 0

    @property
    def averages(self) -> Averages:
        """Moduli of a polycrystal, GPa."""
        return averages(self.fit.constants)

    @property
    def debye_temperature_K(self) -> float | None:
        """Debye temperature from the mean velocity of sound: O. L. Anderson, J. Phys. Chem. Solids 24, 909 (1963)."""
        found = self.averages
        if not self.is_stable:
            return None
        cell = self.start.crystal.primitive
        density = cell.get_masses().sum() * units._amu / (cell.get_volume() * 1e-30)
        transverse = np.sqrt(found.shear_hill * 1e9 / density)
        longitudinal = np.sqrt((found.bulk_hill + 4 / 3 * found.shear_hill) * 1e9 / density)
        mean = ((2 / transverse**3 + 1 / longitudinal**3) / 3) ** (-1 / 3)
        sphere = (3 * len(cell) / (4 * np.pi * cell.get_volume() * 1e-30)) ** (1 / 3)
        return float(units._hplanck / units._k * sphere * mean)

    @property
    @override
    def outcome(self) -> str:
        if self.is_stable:
            return "mechanically stable: every small strain costs energy"
        value, strain = weakest_strain(self.fit.constants)
        along = ", ".join(f"{name} {part:.2f}" for name, part in zip(_VOIGT, strain, strict=True) if abs(part) > 0.05)
        return f"mechanically unstable: the strain ({along}) gains energy, at {value:.3g} GPa"

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        numbers: dict[str, Quantity | Estimate] = {"verdict": Quantity(self.outcome)}
        for a, b in independent_constants(self.fit.basis):
            members = [one[a, b] for one in self._members]
            numbers[f"C{a + 1}{b + 1}"] = self._estimate(
                self.fit.constants[a, b], self.fit.errors[a, b], "GPa", members
            )
        if self.worth is not None:
            words = f"{self.worth.words}, each with its own relaxed atoms in the cell of the mean"
            numbers["model_errors_from"] = Quantity(words)
        return numbers | self._moduli() | {
            "independent_constants": Quantity(len(self.fit.basis)),
            "component": Quantity(list(_VOIGT)),
            "constants": Quantity(np.round(self.fit.constants, 6) + 0.0, "GPa"),
            "orientation": Quantity("a along x, b in the xy plane, standard setting of the space group"),
            "reference_stress": Quantity(np.round(self.reference_stress_GPa, 4) + 0.0, "GPa"),
        } | self.start.quantities()  # fmt: skip

    def _moduli(self) -> dict[str, Quantity | Estimate]:
        if not self.is_stable:
            return {"moduli": Quantity(None, "GPa", "the crystal is mechanically unstable, and has no average modulus")}
        found, errors = self.averages, average_errors(self.fit)
        each = [averages(one) for one in self._members]
        names = {
            "bulk_modulus_voigt": "bulk_voigt", "bulk_modulus_reuss": "bulk_reuss", "bulk_modulus": "bulk_hill",
            "shear_modulus_voigt": "shear_voigt", "shear_modulus_reuss": "shear_reuss", "shear_modulus": "shear_hill",
            "young_modulus": "young", "poisson_ratio": "poisson", "universal_anisotropy": "anisotropy",
        }  # fmt: skip
        numbers: dict[str, Quantity | Estimate] = {
            name: self._estimate(
                getattr(found, field),
                getattr(errors, field),
                "" if field in ("poisson", "anisotropy") else "GPa",
                [getattr(one, field) for one in each],
            )
            for name, field in names.items()
        }
        return numbers | {"debye_temperature": Quantity(self.debye_temperature_K, "K")}

    @property
    def _members(self) -> Sequence[Array]:
        return () if self.member_constants_GPa is None else list(self.member_constants_GPa)

    def _estimate(self, value: float, error: float, unit: str, members: Sequence[float]) -> Estimate:
        left = self.stresses_GPa.size - len(self.fit.basis) - 12 * len(self.strains)
        wide = float(stats.t.ppf(0.975, left)) * error
        model = None if self.worth is None else self.worth.error(members, "forces")
        interval = (float(value - wide), float(value + wide))
        return Estimate(float(value), float(error), interval, None, unit, model=model)

    @property
    @override
    def basis(self) -> str:
        cells = len(self.strains) * len(self.amplitudes)
        return f"{self.start.words}; stresses of {cells} strained cells, ± from the fit alone"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("bulk_modulus", "shear_modulus", "young_modulus")

    @override
    def tables(self) -> dict[str, QuantityTable]:
        columns = {"component": ("", 0), "constants": ("|".join(_VOIGT), 2)}
        return {"tensor": QuantityTable("The tensor, in Voigt order: stress in rows, strain in columns.", columns)}

    @override
    def captions(self) -> dict[str, str]:
        return {"stresses": "Stress over strain: computed points, and lines whose slopes are the constants."}

    @override
    def animation(self) -> dict[str, Any] | None:
        return self.start.picture()

    @override
    def figures(self) -> dict[str, Figure]:
        figure, axes = new_figure("strain", "stress (GPa), curved parts taken out")
        line = np.array([self.amplitudes.min(), self.amplitudes.max()])
        largest = np.abs(self.fit.constants).max()
        drawn: list[float] = []
        for strain, component in enumerate(self.strains):
            odd = (self.stresses_GPa[strain] - self.stresses_GPa[strain][::-1]) / 2
            for row in range(6):
                slope = self.fit.constants[row, component]
                if abs(slope) < 1e-3 * largest or any(abs(slope - one) < 1e-6 * largest for one in drawn):
                    continue  # zero, or the same line as another that symmetry makes equal
                colour = COLOURS[len(drawn) % len(COLOURS)]
                name = f"C{min(row, component) + 1}{max(row, component) + 1}"
                axes.plot(line, slope * line, color=colour, linewidth=1, label=name)
                axes.plot(self.amplitudes, odd[:, row], ".", color=colour)
                drawn.append(slope)
        set_legend(axes)
        return {"stresses": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("primitive.extxyz"), self.start.crystal.primitive)
        header = ["", *(f"{name}_GPa" for name in _VOIGT), *(f"error_{name}_GPa" for name in _VOIGT)]
        rows = [
            [name, *constants.tolist(), *errors.tolist()]
            for name, constants, errors in zip(_VOIGT, self.fit.constants, self.fit.errors, strict=True)
        ]
        write_text(path("elastic.csv"), csv_text(header, rows))
        stresses = [
            [_VOIGT[component], amplitude, *stress.tolist()]
            for component, block in zip(self.strains, self.stresses_GPa, strict=True)
            for amplitude, stress in zip(self.amplitudes.tolist(), block, strict=True)
        ]
        write_text(
            path("stresses.csv"), csv_text(["strained", "strain", *(f"stress_{name}_GPa" for name in _VOIGT)], stresses)
        )


@documented(ElasticSettings)
def elastic_constants(
    atoms: Atoms,
    calc: Any,
    *,
    symprec_A: float = 0.01,
    fmax: float = 0.01,
    relax: bool = False,
    cell: bool = False,
    strain: float = 0.005,
    steps: int = 2,
    inner_fmax: float = 1e-4,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> ElasticResult:
    """Compute the elastic constants of a crystal from the stresses of strained copies with relaxed atoms.

    Parameters
    ----------
    atoms
        Any cell of the crystal, relaxed (or `relax`, `cell`).
    calc
        An ASE calculator with stresses, a model file, or a list of model files.

    Returns
    -------
    ElasticResult
        The tensor with standard errors, averages over orientations, mechanical stability.

    Raises
    ------
    InputError
        Not a crystal, constraints, a structure that is not relaxed, a calculator without stress, a symmetry that is not
        found; a setting out of range, or from `prepare_atoms` and `RunDirectory`.
    MissingPackageError
        spglib is not installed.

    Notes
    -----
    Stress is Cauchy's, strain infinitesimal. In a crystal under pressure these are the coefficients that relate stress
    to strain, which decide on its stability, not second derivatives of the energy.
    """
    settings = ElasticSettings.taken_from(locals())
    atoms, crystal = prepare_crystal(atoms, calc, settings, stress=True)
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        start = start_crystal(crystal, atoms.calc, settings, progress=progress)
        return run.finish(_strain_crystal(start, settings, run, progress))


def _strain_crystal(start: Start, settings: ElasticSettings, run: RunDirectory, progress: bool) -> ElasticResult:
    basis = invariant_tensors(start.crystal.rotations)
    strains = needed_strains(basis)
    sizes = settings.strain * np.arange(1, settings.steps + 1) / settings.steps
    amplitudes = np.concatenate([-sizes[::-1], sizes])
    members = member_calculators(start.primitive.calc)
    with progress_bar("elastic", total=(1 + len(members)) * len(strains) * len(amplitudes), show=progress) as advance:

        def stresses_of(calculator: Any) -> tuple[Array, Array]:
            return _stresses(start.primitive, calculator, strains, amplitudes, settings.inner_fmax, advance)

        reference, stresses = stresses_of(start.primitive.calc)
        each = [fit_tensor(basis, strains, amplitudes, stresses_of(member)[1]).constants for member in members]
    if np.abs(reference).max() > LARGE_STRESS_GPA:
        run.note(
            f"the unstrained crystal is under stress, up to {np.abs(reference).max():.2f} GPa: these constants relate "
            "stress to strain there; relax the cell (relax, cell) for those at zero pressure"
        )
    return ElasticResult(
        converged=True,
        start=start,
        fit=fit_tensor(basis, strains, amplitudes, stresses),
        strains=tuple(strains),
        amplitudes=amplitudes,
        stresses_GPa=stresses,
        reference_stress_GPa=reference,
        member_constants_GPa=np.array(each) if each else None,
        worth=spread_worth(start.primitive.calc),
    )


def _stresses(
    primitive: Atoms, calculator: Any, strains: list[int], amplitudes: Array, fmax: float, done: Callable[[], object]
) -> tuple[Array, Array]:
    """Compute the stress (6,) of the unstrained crystal, and what each strain adds to it, (S, A, 6), GPa."""
    unstrained = strained_copy(primitive, np.zeros((3, 3)), calculator, fmax)
    reference = unstrained.get_stress() * EV_PER_A3_IN_GPA
    stresses = np.empty((len(strains), len(amplitudes), 6))
    for number, component in enumerate(strains):
        for place, amplitude in enumerate(amplitudes):
            bent = strain_matrix(amplitude * np.eye(6)[component])
            moved = strained_copy(primitive, bent, calculator, fmax)
            stresses[number, place] = moved.get_stress() * EV_PER_A3_IN_GPA - reference
            done()
    return reference, stresses
