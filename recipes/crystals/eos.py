"""Equation of state: energy against volume, fitted by that of Birch and Murnaghan."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from ase.eos import birchmurnaghan
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import OptimizeWarning, curve_fit
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.files import write_text
from dp_sim.recipes.crystals.relaxation import RELAX_TO
from dp_sim.recipes.crystals.settings import EosSettings
from dp_sim.recipes.crystals.start import Start, prepare_crystal, start_crystal
from dp_sim.recipes.crystals.volumes import at_volume, relaxed_words
from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


class BirchMurnaghan(NamedTuple):
    """F. Birch, Phys. Rev. 71, 809 (1947), third order: E0, B0, B0', V0, with the covariance of the fit.

    Attributes
    ----------
    energy_eV, bulk_modulus_GPa, derivative, volume_A3
        At the minimum.
    errors
        (4,) their standard errors: how far the energies are from the curve.
    misfit_eV
        Largest distance of an energy from the curve.
    """

    energy_eV: float
    bulk_modulus_GPa: float
    derivative: float
    volume_A3: float
    errors: Array
    misfit_eV: float

    def energies(self, volumes: Array) -> Array:
        """Evaluate the curve, eV."""
        modulus = self.bulk_modulus_GPa / EV_PER_A3_IN_GPA
        return np.asarray(birchmurnaghan(volumes, self.energy_eV, modulus, self.derivative, self.volume_A3))


@dataclass(frozen=True, kw_only=True)
class EosResult(Result):
    """Energy of a primitive cell against its volume.

    Attributes
    ----------
    start
        The crystal from which the volumes were made.
    frames
        The primitive cell at each volume, with energy and forces.
    volumes_A3, energies_eV
        (V,) each.
    pressures_GPa
        (V,) from the stress; None where the calculator has none.
    fit
        The curve; None where the energies have no minimum.
    relaxed
        What was relaxed at each volume, in words.
    """

    recipe: ClassVar[str] = "eos"
    title: ClassVar[str] = "Equation of state"

    start: Start
    frames: list[Atoms]
    volumes_A3: Array
    energies_eV: Array
    pressures_GPa: Array | None
    fit: BirchMurnaghan | None
    relaxed: str

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        names = {
            "equilibrium_energy": ("energy_eV", 0, "eV"),
            "equilibrium_volume": ("volume_A3", 3, "Angstrom^3"),
            "bulk_modulus": ("bulk_modulus_GPa", 1, "GPa"),
            "bulk_modulus_derivative": ("derivative", 2, ""),
        }
        numbers: dict[str, Quantity | Estimate] = {}
        wide = float(stats.t.ppf(0.975, len(self.volumes_A3) - 4))
        for name, (field, place, unit) in names.items():
            if self.fit is None:
                numbers[name] = Estimate.withheld(unit, self.cause)
                continue
            value, error = getattr(self.fit, field), float(self.fit.errors[place])
            numbers[name] = Estimate(value, error, (value - wide * error, value + wide * error), None, unit)
        if self.fit is not None:
            stretch = (self.fit.volume_A3 / self.start.primitive.get_volume()) ** (1 / 3)
            lengths = self.start.crystal.conventional.cell.lengths() * stretch
            numbers["conventional_lengths"] = Quantity(lengths, "Angstrom")
            numbers["largest_misfit"] = Quantity(1000 * self.fit.misfit_eV, "meV")
        return numbers | {"relaxed": Quantity(self.relaxed)} | self.start.quantities()

    @override
    def figures(self) -> dict[str, Figure]:
        figure, (energy, pressure) = new_panels(
            [("volume (Å³)", "energy above the lowest (eV)"), ("volume (Å³)", "pressure (GPa)")]
        )
        lowest = self.energies_eV.min()
        energy.plot(self.volumes_A3, self.energies_eV - lowest, "o", color=COLOURS[1], markersize=4)
        if self.pressures_GPa is not None:
            pressure.plot(self.volumes_A3, self.pressures_GPa, "o", color=COLOURS[1], markersize=4, label="stress")
        if self.fit is not None:
            fine = np.linspace(self.volumes_A3.min(), self.volumes_A3.max(), 200)
            curve = self.fit.energies(fine)
            energy.plot(fine, curve - lowest, color=COLOURS[0])
            slope = -np.gradient(curve, fine) * EV_PER_A3_IN_GPA
            pressure.plot(fine, slope, color=COLOURS[0], label="slope of the fit")
            pressure.legend(frameon=False)
        return {"equation_of_state": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("volumes.extxyz"), self.frames)
        fitted = [None] * len(self.volumes_A3) if self.fit is None else self.fit.energies(self.volumes_A3).tolist()
        pressures = [None] * len(self.volumes_A3) if self.pressures_GPa is None else self.pressures_GPa.tolist()
        rows = zip(self.volumes_A3.tolist(), self.energies_eV.tolist(), pressures, fitted, strict=True)
        write_text(path("eos.csv"), csv_text(("volume_A3", "energy_eV", "pressure_GPa", "fitted_energy_eV"), rows))


@documented(EosSettings)
def equation_of_state(
    atoms: Atoms,
    calc: Any,
    *,
    symprec_A: float = 0.01,
    fmax: float = 0.01,
    relax: bool = False,
    cell: bool = False,
    volumes: int = 11,
    volume_range: float = 0.06,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> EosResult:
    """Compute the energy of a crystal against its volume, and fit the equation of state of Birch and Murnaghan.

    At each volume atoms and shape of the cell are relaxed within the space group; the shape only where the calculator
    has a stress.

    Parameters
    ----------
    atoms
        Any cell of the crystal, near its equilibrium volume (or `relax`, `cell`).
    calc
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    EosResult
        Equilibrium volume, bulk modulus and its derivative, with standard errors of the fit.

    Raises
    ------
    InputError
        Not a crystal, constraints, a structure that is not relaxed, a symmetry that is not found; a setting out of
        range, or from `prepare_atoms` and `RunDirectory`.
    MissingPackageError
        spglib is not installed.
    """
    settings = EosSettings.taken_from(locals())
    atoms, crystal = prepare_crystal(atoms, calc, settings)
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        start = start_crystal(crystal, atoms.calc, settings, progress=progress)
        ratios = np.linspace(1 - settings.volume_range, 1 + settings.volume_range, settings.volumes)
        with progress_bar("eos", total=len(ratios), show=progress) as advance:
            frames = []
            for ratio in ratios:
                frames.append(evaluated_copy(at_volume(start, ratio, RELAX_TO * settings.fmax)))
                advance()
        return run.finish(_fitted(start, frames))


def _fitted(start: Start, frames: list[Atoms]) -> EosResult:
    volumes = np.array([frame.get_volume() for frame in frames])
    energies = np.array([frame.get_potential_energy() for frame in frames])
    pressures = None
    if all("stress" in frame.calc.results for frame in frames):
        pressures = np.array([-frame.get_stress()[:3].mean() * EV_PER_A3_IN_GPA for frame in frames])
    fit = fit_birch_murnaghan(volumes, energies)
    cause = ""
    if fit is None or not volumes.min() <= fit.volume_A3 <= volumes.max():
        side = "smallest" if energies.argmin() == 0 else "largest"
        cause = (
            f"the energy has no minimum between {volumes.min():.2f} and {volumes.max():.2f} Angstrom^3, it is lowest "
            f"at the {side} of these volumes; relax the cell first (relax, cell), or take a larger volume_range"
        )
        fit = None
    return EosResult(
        converged=not cause,
        cause=cause,
        start=start,
        frames=frames,
        volumes_A3=volumes,
        energies_eV=energies,
        pressures_GPa=pressures,
        fit=fit,
        relaxed=relaxed_words(start),
    )


def fit_birch_murnaghan(volumes: Array, energies: Array) -> BirchMurnaghan | None:
    """Fit the curve by least squares, from the parabola through the energies; None where that has no minimum."""
    c, b, a = np.polynomial.polynomial.polyfit(volumes, energies, 2)
    if a <= 0 or -b / (2 * a) <= 0:
        return None
    volume = -b / (2 * a)
    first = (c - b**2 / (4 * a), 2 * a * volume, 4.0, volume)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            found, covariance = curve_fit(birchmurnaghan, volumes, energies, p0=first, xtol=1e-14, ftol=1e-14)
    except (RuntimeError, OptimizeWarning):  # it does not converge, or leaves a number undetermined
        return None
    errors = np.sqrt(np.diag(covariance)) * np.array([1, EV_PER_A3_IN_GPA, 1, 1])
    misfit = float(np.abs(birchmurnaghan(volumes, *found) - energies).max())
    energy, modulus, derivative, minimum = (float(one) for one in found)
    return BirchMurnaghan(energy, modulus * EV_PER_A3_IN_GPA, derivative, minimum, errors, misfit)
