"""The result of an analysis: numbers, tables, figures, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.analysis import figures
from dp_sim.recipes.analysis.heat_capacity.corrections import HeatCapacityCorrections
from dp_sim.recipes.analysis.series import Array
from dp_sim.recipes.analysis.structure.rdf import PairDistribution
from dp_sim.recipes.analysis.structure.scattering import StructureFactor
from dp_sim.recipes.analysis.transport.displacements import Displacements
from dp_sim.recipes.analysis.transport.green_kubo import GreenKubo
from dp_sim.recipes.analysis.transport.velocities import DensityOfStates, VelocityCorrelation
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Name of a table of curves, its header, and its columns; a column of None is empty.
Table = tuple[str, list[str], tuple[Sequence[float | None] | Array, ...]]


@dataclass(frozen=True, kw_only=True)
class AnalysisResult(Result):
    """Structure and transport of a trajectory.

    Attributes
    ----------
    source
        The directory or file.
    n_frames
        Frames used.
    first_frame
        Number of the first of them.
    frame_ps
        Time between two of them, ps; None where it is not known.
    distributions
        g(r) of each pair of species, with coordination numbers.
    structure_factors
        S(q) of all atoms, and partial ones.
    displacements
        Mean square displacement and diffusion coefficient of each species.
    corrected_diffusions
        The same coefficients, corrected for the size of the cell (Yeh and Hummer), 10^-9 m^2/s.
    velocity_correlations
        Velocity autocorrelation of each species, and diffusion from it by Green and Kubo.
    velocity_cause
        Why there are none though the frames carry velocities, as a sentence; else empty.
    density_of_states
        Vibrational density of states; None without velocities.
    states_cause
        Why there is none though the frames carry velocities, as a sentence; else empty.
    viscosity
        Shear viscosity by Green and Kubo, mPa s; None where the source has no table, or it is not asked for.
    heat_capacity
        Heat capacity of the run with its corrections, k_B; None where there is nothing to correct it by.
    """

    recipe: ClassVar[str] = "analyse"
    title: ClassVar[str] = "Structure and transport"

    source: str
    n_frames: int
    first_frame: int
    frame_ps: float | None
    distributions: tuple[PairDistribution, ...] = field(default=(), repr=False)
    structure_factors: tuple[StructureFactor, ...] = field(default=(), repr=False)
    displacements: tuple[Displacements, ...] = field(default=(), repr=False)
    corrected_diffusions: tuple[Estimate, ...] = ()
    velocity_correlations: tuple[VelocityCorrelation, ...] = field(default=(), repr=False)
    velocity_cause: str = ""
    density_of_states: DensityOfStates | None = field(default=None, repr=False)
    states_cause: str = ""
    viscosity: GreenKubo | None = field(default=None, repr=False)
    heat_capacity: HeatCapacityCorrections | None = None

    def rdf(self, a: str, b: str) -> PairDistribution:
        """Return g(r) of one pair of species, in either order."""
        return next(one for one in self.distributions if set(one.pair) == {a, b})

    def diffusion(self, species: str) -> Estimate:
        """Return D of one species in the cell as simulated, 10^-9 m^2/s."""
        return next(one.diffusion for one in self.displacements if one.species == species)

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        found: dict[str, Quantity | Estimate] = {}
        for distribution in self.distributions:
            for one in distribution.coordinations:
                name = "_".join(one.pair)
                found[f"coordination_{name}"] = one.number
                found[f"first_minimum_{name}"] = one.radius
        for moved, corrected in zip(self.displacements, self.corrected_diffusions, strict=True):
            found[f"diffusion_{moved.species}"] = moved.diffusion
            found[f"diffusion_{moved.species}_corrected_for_cell_size"] = corrected
            found[f"diffusivity_exponent_{moved.species}"] = moved.slope
        for moving in self.velocity_correlations:
            found[f"diffusion_{moving.species}_by_green_kubo"] = moving.green_kubo.value
        if self.velocity_cause:
            found["velocity_correlation"] = Quantity(None, "", self.velocity_cause)
        if self.states_cause:
            found["density_of_states"] = Quantity(None, "", self.states_cause)
        if self.density_of_states is not None:
            found["degrees_of_freedom"] = Quantity(self.density_of_states.degrees_of_freedom)
            found["resolution_of_density_of_states"] = Quantity(self.density_of_states.resolution_cm1, "cm^-1")
        if self.viscosity is not None:
            found["viscosity"] = self.viscosity.value
            found["viscosity_cut"] = Quantity(
                self.viscosity.cut_ps, "ps", "" if self.viscosity.cut_ps else "no plateau"
            )
        return {
            **(self.heat_capacity.quantities() if self.heat_capacity else {}),
            **found,
            "frames": Quantity(self.n_frames),
            "first_frame": Quantity(self.first_frame),
            "time_between_frames": Quantity(self.frame_ps, "ps", "" if self.frame_ps else "the source does not say"),
        }

    @override
    def labels(self) -> dict[str, str]:
        words = {}
        for one in (one for distribution in self.distributions for one in distribution.coordinations):
            a, b = one.pair
            words[f"coordination_{a}_{b}"] = f"{b} neighbours of {a}"
            words[f"first_minimum_{a}_{b}"] = f"first minimum of g(r), {b} about {a}"
        for moved in self.displacements:
            words[f"diffusion_{moved.species}"] = f"diffusion coefficient of {moved.species}"
        return words

    @override
    def headline(self) -> tuple[str, ...]:
        """Return the numbers of transport and, where there are none, those of structure: given ones, three at most."""
        numbers = self.quantities()
        transport = [
            name for name in numbers if name.startswith(("diffusion_", "heat_capacity")) or name == "viscosity"
        ]
        known = [name for name in transport if numbers[name].value is not None]
        shells = [name for name in numbers if name.startswith("coordination") and numbers[name].value is not None]
        return tuple([*known, *shells][:3])

    @property
    @override
    def outcome(self) -> str:
        numbers = [one for one in self.quantities().values() if isinstance(one, Estimate)]
        given = sum(one.value is not None for one in numbers)
        return f"{given} of {len(numbers)} numbers given" if self.converged else ""

    @property
    @override
    def basis(self) -> str:
        apart = "" if self.frame_ps is None else f", {self.frame_ps:g} ps apart"
        return f"{self.n_frames} frames{apart}, of {self.source}"

    @override
    def captions(self) -> dict[str, str]:
        return {
            "rdf": "Left: how much likelier a neighbour at that distance is than in a gas, with 95 % bands; heights of "
            "peaks that are cut stand beside them. Right: the neighbours up to r, with the first minimum of g(r).",
            "structure_factor": "What a scattering experiment sees, at the wave vectors of the cell.",
            "displacement": "Mean square displacement, both axes logarithmic: diffusion is where the slope is 1.",
            "velocity_correlation": "How long velocities persist; the integral is the diffusion coefficient.",
            "density_of_states": "Frequencies at which atoms move, by element.",
            "viscosity": "The integral of the correlation of stresses: its plateau is the viscosity.",
        }

    @override
    def figures(self) -> dict[str, Figure]:
        found = {}
        if self.distributions:
            found["rdf"] = figures.radial(self.distributions)
        if self.structure_factors:
            found["structure_factor"] = figures.scattering(self.structure_factors)
        if any(one.msd_A2.any() for one in self.displacements):  # a logarithm of nothing has no axis
            found["displacement"] = figures.displacement(self.displacements)
        if self.velocity_correlations:
            found["velocity_correlation"] = figures.velocities(self.velocity_correlations)
        if self.density_of_states is not None:
            found["density_of_states"] = figures.states(self.density_of_states)
        if self.viscosity is not None and self.viscosity.error is not None:
            found["viscosity"] = figures.green_kubo(self.viscosity, "viscosity (mPa s)")
        return found

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        for name, header, columns in self._tables():
            lines = [[None if value is None else f"{value:.8g}" for value in row] for row in zip(*columns, strict=True)]
            write_text(path(name), csv_text(header, lines))

    def _tables(self) -> Iterator[Table]:
        """Yield the name, header and columns of each table of curves."""
        for one in self.distributions:
            errors = _or_empty(one.error, one.r)
            header = ["r_A", "g", "g_error", f"{one.pair[1]}_about_{one.pair[0]}"]
            yield f"rdf_{'_'.join(one.pair)}.csv", header, (one.r, one.g, errors, one.neighbors)
        for factor in self.structure_factors:
            errors = _or_empty(factor.error, factor.q)
            name = "_".join(factor.pair) or "all"
            yield f"structure_factor_{name}.csv", ["q_per_A", "S", "S_error"], (factor.q, factor.s, errors)
        for moved in self.displacements:
            errors = _or_empty(moved.error_A2, moved.time_ps)
            header = ["time_ps", "msd_A2", "msd_error_A2"]
            yield f"displacement_{moved.species}.csv", header, (moved.time_ps, moved.msd_A2, errors)
        for moving in self.velocity_correlations:
            header = ["time_ps", "velocity_autocorrelation"]
            yield f"velocity_correlation_{moving.species}.csv", header, (moving.time_ps, moving.correlation)
            yield from _integral(f"green_kubo_diffusion_{moving.species}.csv", "D_1e-9_m2_per_s", moving.green_kubo)
        if self.viscosity is not None:
            yield from _integral("green_kubo_viscosity.csv", "viscosity_mPa_s", self.viscosity)
        states = self.density_of_states
        if states is not None:
            header = ["frequency_per_cm", "modes_cm", *(f"modes_cm_{name}" for name in states.per_element)]
            yield "density_of_states.csv", header, (states.frequency_cm1, states.total, *states.per_element.values())


def _or_empty(values: Array | None, beside: Array) -> Array | list[None]:
    """Return a column, or an empty one as long as that beside it."""
    return [None] * len(beside) if values is None else values


def _integral(name: str, column: str, found: GreenKubo) -> Iterator[Table]:
    """Yield the table of a Green-Kubo integral, if it has one."""
    if found.error is not None:
        yield name, ["time_ps", column, f"{column}_error"], (found.time_ps, found.integral, found.error)
