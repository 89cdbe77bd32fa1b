"""The result of every run of dynamics: its table, its numbers and its plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import InputError, import_optional
from dp_sim.files import write_text
from dp_sim.recipes.dynamics.estimators import MemberAverages
from dp_sim.recipes.dynamics.remarks import drift_words
from dp_sim.recipes.dynamics.replicas.pooling import Agreement
from dp_sim.recipes.dynamics.run_files import (
    PACKED_TRAJECTORY,
    TABLE,
    TRAJECTORY,
    Row,
    column,
    columns_of,
    read_rows,
    table_text,
    value_of,
)
from dp_sim.recipes.results.figures import COLOURS, new_series, set_legend
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.page.scene import movie_of_series
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.trajectory import ExtxyzFrames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Points drawn of a long series.
PLOTTED_POINTS = 2000


@dataclass(frozen=True, kw_only=True)
class DynamicsResult(Result):
    """The part of a result that all ensembles have.

    Attributes
    ----------
    atoms
        The structure at the end, with velocities.
    rows
        The table: one Row for each sample, from step 0.
    production_start
        Index of the first row that the estimates use.
    engine
        "ase" or "openmm".
    timestep_fs
        As used, fs.
    degrees_of_freedom
        Number of momenta that count in the temperature.
    temperature_K, potential_energy_eV
        Averages over the production part, K and eV.
    conserved_drift_meV_per_atom_ns
        Slope of what the equations of motion with thermostat and barostat conserve, meV/atom/ns; None where the engine
        does not sum it up, of replicas, and at constant energy, which is judged by itself.
    stages
        What was recorded in the stages before: description -> its table. None of it enters the estimates.
    unusable
        Why no number of the run can be given (unstable, not equilibrated), as a sentence; else empty.
    replicas
        Of a run with replicas: how far they agree, for each quantity compared. `rows` are then their equilibrated
        parts, one after the other, and `atoms` is the last structure of the first.
    replica_count
        How many there are.
    rigid_bonds
        Number of bonds that kept their length: one degree of freedom fewer each.
    member_averages
        How averages of the members of a committee were found, for the model's errors; None without a committee.
    """

    #: Names of numbers that say how thermostat and barostat did: errors of a model are not in them.
    of_the_bath: ClassVar[frozenset[str]] = frozenset({"temperature_K", "conserved_drift_meV_per_atom_ns"})

    atoms: Atoms = field(repr=False)
    rows: list[Row] = field(repr=False)
    production_start: int
    engine: str
    timestep_fs: float
    degrees_of_freedom: int
    temperature_K: Estimate
    potential_energy_eV: Estimate
    conserved_drift_meV_per_atom_ns: Estimate | None = None
    stages: dict[str, list[Row]] = field(default_factory=dict, repr=False)
    unusable: str = ""
    replicas: tuple[Agreement, ...] = ()
    replica_count: int = 1
    rigid_bonds: int = 0
    member_averages: MemberAverages | None = None

    def series(self, name: str) -> NDArray[np.float64]:
        """Return one column of the table, all samples: `step`, `time_ps`, `temperature_K`, `volume_A3`, ..."""
        return column(self.rows, name)

    def with_centre_of_mass(self, **raw: tuple[Estimate, float]) -> dict[str, Quantity | Estimate]:
        """Return numbers with the momentum of the centre of mass, where the thermostat does not drive it.

        Bussi's thermostat and Nose-Hoover chains leave it at rest: 3 N - 3 momenta, three fewer than a macroscopic
        sample has. Empty where all momenta are driven.

        Parameters
        ----------
        **raw
            Name of a number -> its estimate, and what three momenta add: 3 k_B / 2 to a heat capacity, k_B T / V to a
            pressure, k_B / V to its derivative.
        """
        if 3 * len(self.atoms) - self.rigid_bonds - self.degrees_of_freedom != 3 or self.atoms.constraints:
            return {}
        return {
            f"{name}_with_centre_of_mass": replace(
                found, value=found.value + added, ci95=(found.ci95[0] + added, found.ci95[1] + added)
            )
            for name, (found, added) in raw.items()
            if found.value is not None and found.ci95 is not None
        }

    @property
    def trajectory(self) -> ExtxyzFrames:
        """The frames as a list of ase.Atoms, each read from the file when it is asked for.

        Raises
        ------
        InputError
            The run wrote no files.
        """
        if self.directory is None:
            raise InputError("trajectory-missing", "this run wrote no files and kept no frames; run it with out=DIR")
        if self.replica_count > 1:
            raise InputError(
                "run-of-replicas",
                f"each of the {self.replica_count} replicas in {self.directory} has a trajectory of its own; take that "
                f"of load_result('{self.directory / 'replica-1'}'), and so on",
            )
        packed = self.directory / PACKED_TRAJECTORY
        return ExtxyzFrames(packed if packed.is_file() else self.directory / TRAJECTORY)

    @override
    def to_dataframe(self) -> Any:
        """Return the table of the run: a row for each sample, a column for each quantity that the run has."""
        pandas = import_optional("pandas", extra="notebook", purpose="a table of pandas")
        names = list(columns_of(self.rows))
        return pandas.DataFrame([[value_of(row, name) for name in names] for row in self.rows], columns=names)

    def run_quantities(self) -> dict[str, Quantity | Estimate]:
        """Return how the run was made, for the end of `quantities()`."""
        start_ps = self.rows[self.production_start].time_ps if self.rows else None
        return {
            "temperature": self.temperature_K,
            "potential_energy": self.potential_energy_eV,
            **self._drift_quantities(),
            **({"stages_before": Quantity("; ".join(self.stages))} if self.stages else {}),
            **self._replica_quantities(),
            **self._member_quantities(),
            "steps": Quantity(self.rows[-1].step if self.rows else 0),
            "timestep": Quantity(self.timestep_fs, "fs"),
            "equilibration": Quantity(start_ps, "ps", "" if self.rows else "no valid sample"),
            "degrees_of_freedom": Quantity(self.degrees_of_freedom),
            **({"rigid_bonds": Quantity(self.rigid_bonds)} if self.rigid_bonds else {}),
            "engine": Quantity(self.engine),
        }

    def _member_quantities(self) -> dict[str, Quantity | Estimate]:
        found = self.member_averages
        if found is None:
            return {}
        words = None if found.cause else found.words
        return {
            "model_errors_from": Quantity(words, "", found.cause),
            **(
                {"effective_samples_of_members": Quantity([round(one, 1) for one in found.effective])}
                if found.effective
                else {}
            ),
        }

    def _drift_quantities(self) -> dict[str, Quantity | Estimate]:
        drift = self.conserved_drift_meV_per_atom_ns
        if drift is None:
            return {}
        return {"conserved_energy_drift": drift, "conserved_energy_drift_judged": Quantity(drift_words(drift))}

    def _replica_quantities(self) -> dict[str, Quantity | Estimate]:
        if self.replica_count == 1:
            return {}
        numbers: dict[str, Quantity | Estimate] = {"replicas": Quantity(self.replica_count)}
        for one in self.replicas:
            name = one.what.replace(" ", "_")
            unit = {"density": "g/cm^3"}.get(one.what, "eV")
            numbers |= {
                f"{name}_of_each": Quantity(one.means, unit),
                f"{name}_error_between_replicas": Quantity(one.between_error, unit),
                f"{name}_error_within_replicas": Quantity(one.within_error, unit),
                f"{name}_agreement_p": Quantity(one.probability),
            }
        return numbers

    @property
    @override
    def outcome(self) -> str:
        numbers = [one for one in self.quantities().values() if isinstance(one, Estimate)]
        given = sum(one.value is not None for one in numbers)
        return f"equilibrated, {given} of {len(numbers)} numbers given" if self.converged else ""

    @property
    @override
    def basis(self) -> str:
        if not self.rows:
            return ""
        start = 0 if self.unusable else self.production_start
        length = self.rows[-1].time_ps - self.rows[start].time_ps
        each = f" of {self.replica_count} replicas together" if self.replica_count > 1 else ""
        used = ", none of it used" if self.unusable else " after equilibration"
        return (
            f"{length:.4g} ps{each}{used}, in steps of {self.timestep_fs:g} fs; {len(self.atoms)} atoms "
            f"({self.atoms.get_chemical_formula()}), engine {self.engine}"
        )

    @override
    def captions(self) -> dict[str, str]:
        words = "The light line is what was recorded, the dark one its running average, which should have become flat."
        return dict.fromkeys(("temperature", "energy", "total_energy", "pressure", "density", "volume"), words) | {
            "stages": "Temperature (and density) through the stages before the run; none of it enters the estimates."
        }

    @override
    def animation(self) -> dict[str, Any] | None:
        return movie_of_series(self.trajectory if self._has_frames() else [], self.atoms, "frame", "frames")

    def _has_frames(self) -> bool:
        """Whether the run kept frames that can be read again."""
        if self.directory is None or self.replica_count > 1:
            return False
        return any((self.directory / name).is_file() for name in (PACKED_TRAJECTORY, TRAJECTORY))

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        return {"rows": lambda directory: read_rows(directory / TABLE)}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("final.extxyz"), self.atoms)
        write_text(path(TABLE), table_text(self.rows))

    @override
    def figures(self) -> dict[str, Figure]:
        if not self.rows:
            return {"stages": self.stages_figure()} if any(self.stages.values()) else {}
        return {
            **({"stages": self.stages_figure()} if self.stages else {}),
            "temperature": self.trace("temperature_K", "temperature (K)", self.target_temperature_K),
            "energy": self.trace("potential_eV", "potential energy (eV)"),
        }

    def stages_figure(self) -> Figure:
        """Draw temperature (and density) through the stages and the run itself, with the stages marked."""
        figure, axes = new_series("time (ps)", "temperature (K)")
        has_density = all(row.density_g_cm3 is not None for rows in [*self.stages.values(), self.rows] for row in rows)
        beside = axes.twinx() if has_density else None
        begun = 0.0
        for name, rows in {**self.stages, "production": self.rows}.items():
            if not rows:
                continue
            stride = max(1, len(rows) // PLOTTED_POINTS)
            time = begun + column(rows, "time_ps")[::stride]
            kept = name == "production"
            axes.plot(time, column(rows, "temperature_K")[::stride], color=COLOURS[0 if kept else 5], linewidth=0.7)
            if beside is not None:
                beside.plot(time, column(rows, "density_g_cm3")[::stride], color=COLOURS[1], linewidth=0.7)
                beside.set_ylabel("density (g/cm³)", color=COLOURS[1])
            axes.axvline(begun, color="0.4", linestyle="--", linewidth=0.8)
            axes.annotate(
                name.partition(":")[0], (begun, 1.0), xycoords=("data", "axes fraction"), rotation=90, va="top",
                fontsize="small",
            )  # fmt: skip
            begun += rows[-1].time_ps
        return figure

    def trace(self, name: str, label: str, target: float | None = None) -> Figure:
        """Draw a column against time, its running average over the production part, and the end of equilibration.

        Parameters
        ----------
        name
            Of the column.
        label
            Of the axis.
        target
            What the run was held at; None where it was not.
        """
        figure, axes = new_series("time (ps)", label)
        time, values = self.series("time_ps"), self.series(name)
        stride = max(1, len(values) // PLOTTED_POINTS)
        axes.plot(time[::stride], values[::stride], color=COLOURS[5], linewidth=0.7)
        self._mark_production(axes, time, values, stride, COLOURS[0])
        if target is not None:
            axes.axhline(target, color=COLOURS[1], linewidth=0.9, label=f"target, {target:g}")
        set_legend(axes)
        return figure

    @property
    def target_temperature_K(self) -> float | None:
        """What a thermostat held the run at, K; None at constant energy, and where settings were not kept."""
        return self.provenance.get("settings", {}).get("temperature_K")

    def _mark_production(
        self, axes: Axes, time: NDArray[np.float64], values: NDArray[np.float64], stride: int, colour: str
    ) -> None:
        start = self.production_start
        used = values[start:]
        average = np.cumsum(used) / np.arange(1, len(used) + 1)
        axes.plot(time[start::stride], average[::stride], color=colour, label="running average")
        if start:
            axes.axvline(time[start], color="0.4", linestyle="--", linewidth=0.8, label="end of equilibration")
