"""Equation of state: energy against volume, fitted by that of Birch and Murnaghan."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy import stats
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.files import write_text
from dp_sim.recipes.crystals.relaxation import RELAX_TO
from dp_sim.recipes.crystals.settings import EosSettings
from dp_sim.recipes.crystals.start import Start, prepare_crystal, start_crystal
from dp_sim.recipes.crystals.volumes import (
    BirchMurnaghan,
    at_volume,
    fit_birch_murnaghan,
    relaxed_energy,
    relaxed_words,
)
from dp_sim.recipes.inputs.members import member_calculators, spread_worth
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.uncertainty.derived import ModelError, SpreadWorth
from dp_sim.units import EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: The curve does not follow the energies where a term more changes its bulk modulus by more than this share.
MOST_CHANGE = 0.01


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
    members
        The curve of each member of a committee, its atoms and shape relaxed at the same volumes; None for one without a
        minimum. Empty without a committee.
    worth
        What the spread of the members is worth.
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
    members: tuple[BirchMurnaghan | None, ...] = ()
    worth: SpreadWorth | None = None

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
            numbers[name] = Estimate(
                value, error, (value - wide * error, value + wide * error), None, unit, model=self._error(field)
            )
        if self.fit is not None:
            stretch = (self.fit.volume_A3 / self.start.primitive.get_volume()) ** (1 / 3)
            lengths = self.start.crystal.conventional.cell.lengths() * stretch
            volume = self._error("volume_A3")  # a third of its relative error
            share = None if volume is None else volume.scaled(1 / (3 * self.fit.volume_A3))
            model = None if share is None else ModelError(*(one * lengths for one in share))
            numbers["conventional_lengths"] = Quantity(lengths, "Angstrom", model=model)
            numbers["largest_misfit"] = Quantity(1000 * self.fit.misfit_eV, "meV")
            none = "the curve of the next order has no minimum among these volumes"
            numbers["bulk_modulus_next_order"] = Quantity(self.fit.next_order_GPa, "GPa", none)
        return numbers | self._errors_from() | {"relaxed": Quantity(self.relaxed)} | self.start.quantities()

    def _error(self, field: str) -> ModelError | None:
        """Compute the model's error of a number of the curve; None where a member has no minimum."""
        fits = [one for one in self.members if one is not None]
        if self.worth is None or len(fits) < len(self.members):
            return None
        return self.worth.error([getattr(one, field) for one in fits], "energy")

    def _errors_from(self) -> dict[str, Quantity | Estimate]:
        """Say where the model's errors come from, or why there are none."""
        if self.worth is None:
            return {}
        lacking = sum(one is None for one in self.members)
        none = f"{lacking} of {len(self.members)} members have no minimum among these volumes"
        return {"model_errors_from": Quantity(None if lacking else self.worth.words, "", none)}

    @property
    @override
    def outcome(self) -> str:
        return "the volumes bracket the minimum, and the fit holds" if self.converged else ""

    @property
    @override
    def basis(self) -> str:
        return f"{self.start.words}; energies at {len(self.volumes_A3)} volumes, ± from the fit alone"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("bulk_modulus", "equilibrium_volume", "bulk_modulus_derivative")

    @override
    def captions(self) -> dict[str, str]:
        words = "Computed points and the fitted curve; right, its slope beside pressures from the stress, a check."
        return {"equation_of_state": words}

    @override
    def animation(self) -> dict[str, Any] | None:
        return self.start.picture()

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
            set_legend(pressure)
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
        Equilibrium volume, bulk modulus and its derivative, with standard errors of the fit and, of a committee,
        those of the model. Not converged where the next order of the curve has another bulk modulus.

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
        members = member_calculators(atoms.calc)
        with progress_bar("eos", total=len(ratios), show=progress) as advance:
            frames, energies = [], []
            for ratio in ratios:
                frames.append(evaluated_copy(at_volume(start, ratio, RELAX_TO * settings.fmax)))
                energies.append(
                    [relaxed_energy(start, frames[-1], member, RELAX_TO * settings.fmax) for member in members]
                )
                advance()
        return run.finish(_fitted(start, frames, np.array(energies)))


def _fitted(start: Start, frames: list[Atoms], member_energies: Array) -> EosResult:
    """Fit mean and members; `member_energies` is (V, K) of K members."""
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
    else:
        cause = _distrust(fit)
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
        members=tuple(fit_birch_murnaghan(volumes, one) for one in member_energies.T),
        worth=spread_worth(start.primitive.calc),
    )


def _distrust(fit: BirchMurnaghan) -> str:
    """Say that the curve does not follow the energies; empty where it does."""
    if fit.next_order_GPa is not None and abs(fit.next_order_GPa / fit.bulk_modulus_GPa - 1) <= MOST_CHANGE:
        return ""
    other = "no minimum" if fit.next_order_GPa is None else f"{fit.next_order_GPa:.4g} GPa"
    return (
        f"the curve does not follow the energies: it misses one by {1000 * fit.misfit_eV:.2g} meV, and a term more "
        f"gives {other} in place of {fit.bulk_modulus_GPa:.4g} GPa; take a smaller volume_range (--range), or, "
        "where energies are noisy, a larger one and more volumes"
    )
