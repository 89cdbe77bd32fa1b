"""What comes out of `phonons`: bands, density of states, thermal properties, and the verdict on stability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import import_optional
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.quasi_harmonic import Gruneisen, QuasiHarmonic
from dp_sim.recipes.crystals.spectra import EV_IN_J_PER_MOL, THZ_IN_CM1, Density, Path, Thermal
from dp_sim.recipes.crystals.stability import UNSTABLE, Lowest
from dp_sim.recipes.crystals.start import Start
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.uncertainty.derived import ModelError, SpreadWorth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: The temperature of published tables, K.
STANDARD_K = 298.15


@dataclass(frozen=True, kw_only=True)
class PhononResult(Result):
    """Phonons of a crystal with n atoms in the primitive cell.

    Attributes
    ----------
    atoms
        The primitive cell on its symmetry, with energy and forces.
    start
        The crystal, relaxed: symmetry, cells, pressure.
    supercell
        (3, 3) multiples of the conventional cell.
    energy_eV
        Of the primitive cell.
    force_constants
        (n, N, 3, 3) eV/Angstrom^2, atoms of the primitive cell and of the supercell.
    force_constants_source
        How they were computed, in words.
    edge_share
        The largest force constant at the supercell's edge over the one on the spot.
    path, bands_THz
        Wave vectors along seekpath's path, and frequencies there (Q, 3n), imaginary ones negative.
    bands_std_THz
        (Q, 3n) standard deviation of frequencies over the members of a committee, where force constants are exact.
    lowest
        The lowest frequency, and where in the Brillouin zone it is.
    density
        Density of states.
    thermal
        Free energy, entropy and heat capacity against temperature; None of an unstable crystal.
    thermal_std
        Standard deviations of these over the members of a committee, where force constants are exact and the crystal is
        stable with each; else None.
    worth
        What the spread of the members is worth.
    gruneisen
        Grüneisen parameters, where asked for.
    qha
        The quasi-harmonic expansion, where asked for.
    phonon
        Phonopy's object, to go on with.
    """

    recipe: ClassVar[str] = "phonons"
    title: ClassVar[str] = "Phonons"

    atoms: Atoms
    start: Start
    supercell: NDArray[np.intp]
    energy_eV: float
    force_constants: Array
    force_constants_source: str
    edge_share: float
    path: Path
    bands_THz: Array
    bands_std_THz: Array | None = None
    lowest: Lowest
    density: Density
    thermal: Thermal | None
    thermal_std: Thermal | None = None
    worth: SpreadWorth | None = None
    gruneisen: Gruneisen | None = None
    qha: QuasiHarmonic | None = None
    phonon: Any = field(repr=False)

    @property
    def crystal(self) -> Crystal:
        """Symmetry and cells."""
        return self.start.crystal

    @property
    def is_stable(self) -> bool:
        """Whether no frequency is imaginary."""
        return not self.lowest.imaginary

    @property
    @override
    def outcome(self) -> str:
        return self.lowest.words

    @property
    def gamma_frequencies_THz(self) -> Array:
        """Frequencies (3n,) at Γ, the three acoustic ones among them near zero."""
        return np.asarray(self.bands_THz[self._gamma])

    @property
    def _gamma(self) -> int:
        """Where Γ is along the path."""
        return int(np.flatnonzero(np.all(np.abs(self.path.wave_vectors) < 1e-9, axis=1))[0])

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        numbers: dict[str, Quantity | Estimate] = {
            "verdict": Quantity(self.lowest.words),
            "supercell": Quantity(_matrix_words(self.supercell, self.force_constants.shape[1])),
            "lowest_frequency": Quantity(round(self.lowest.frequency_THz, 6) + 0.0, "THz"),
            "highest_frequency": Quantity(float(self.bands_THz.max()), "THz", model=self._error(self._at_the_top)),
            "gamma_frequencies": Quantity(
                np.round(self.gamma_frequencies_THz * THZ_IN_CM1, 3) + 0.0, "cm^-1", model=self._error(self._at_gamma)
            ),
        }
        if self.worth is not None and self.bands_std_THz is not None:
            largest = self.worth.error_of_spread(float(self.bands_std_THz.max()), "forces")
            numbers["largest_frequency_model_error"] = Quantity(largest.standard, "THz")
            numbers["model_errors_from"] = Quantity(self.worth.words)
        return numbers | self._thermal_quantities() | self._volume_quantities() | {
            "energy": Quantity(self.energy_eV, "eV"),
            **self.start.quantities(),
            "force_constants_source": Quantity(self.force_constants_source),
            "force_constants_at_the_edge": Quantity(self.edge_share),
        }  # fmt: skip

    def _thermal_quantities(self) -> dict[str, Quantity | Estimate]:
        if self.thermal is None:
            return {"thermal_properties": Quantity(None, "", f"the crystal is {UNSTABLE}: some modes have no energy")}
        molar = EV_IN_J_PER_MOL / self.crystal.formula_units
        at = int(np.abs(self.thermal.temperatures_K - STANDARD_K).argmin())
        temperature = f"{self.thermal.temperatures_K[at]:g}_K"

        def number(of: Callable[[Thermal], float], factor: float, unit: str) -> Quantity:
            """Take a number from the table, and the model's error of it."""
            assert self.thermal is not None
            std = None if self.thermal_std is None else factor * float(of(self.thermal_std))
            return Quantity(factor * float(of(self.thermal)), unit, model=self._error(std))

        return {
            "molar_numbers": Quantity(f"per mole of {self._formula}; energies and volumes of a primitive cell"),
            "zero_point_energy": number(lambda one: one.zero_point_energy_eV, 1.0, "eV"),
            f"free_energy_{temperature}": number(lambda one: one.free_energy_eV[at], 1.0, "eV"),
            f"entropy_{temperature}": number(lambda one: one.entropy_eV_per_K[at], molar, "J/mol/K"),
            f"heat_capacity_{temperature}": number(lambda one: one.heat_capacity_eV_per_K[at], molar, "J/mol/K"),
        }

    def _error(self, std: Array | float | None) -> ModelError | None:
        """Give a standard deviation over the members its worth; force constants are derivatives of forces."""
        return None if std is None or self.worth is None else self.worth.error_of_spread(std, "forces")

    @property
    def _at_the_top(self) -> float | None:
        """Standard deviation of the highest frequency, THz."""
        return None if self.bands_std_THz is None else float(self.bands_std_THz.flat[self.bands_THz.argmax()])

    @property
    def _at_gamma(self) -> Array | None:
        """Standard deviations (3n,) at Γ, cm^-1."""
        return None if self.bands_std_THz is None else THZ_IN_CM1 * self.bands_std_THz[self._gamma]

    @property
    def _formula(self) -> str:
        return str(self.crystal.primitive.symbols.formula.reduce()[0])

    def _volume_quantities(self) -> dict[str, Quantity | Estimate]:
        """Return what phonons at other volumes give, at the temperature nearest to `STANDARD_K`."""
        numbers: dict[str, Quantity | Estimate] = {}
        if self.gruneisen is not None:
            at = int(np.abs(self.gruneisen.temperatures_K - STANDARD_K).argmin())
            name = f"mean_gruneisen_parameter_{self.gruneisen.temperatures_K[at]:g}_K"
            mean = self.gruneisen.mean[at]
            numbers[name] = Quantity(float(mean) if np.isfinite(mean) else None, "", "no mode is excited there")
        if self.qha is not None:
            at = int(np.abs(self.qha.temperatures_K - STANDARD_K).argmin())
            molar = EV_IN_J_PER_MOL / self.crystal.formula_units
            temperature = f"{self.qha.temperatures_K[at]:g}_K"
            numbers |= {
                f"volume_{temperature}": Quantity(float(self.qha.volumes_A3[at]), "Angstrom^3"),
                f"thermal_expansion_{temperature}": Quantity(float(self.qha.expansion_per_K[at]), "1/K"),
                f"bulk_modulus_{temperature}": Quantity(float(self.qha.bulk_moduli_GPa[at]), "GPa"),
                f"heat_capacity_p_{temperature}": Quantity(
                    float(self.qha.heat_capacities_eV_per_K[at]) * molar, "J/mol/K"
                ),
            }
            if self.qha.cause:
                numbers["expansion_beyond"] = Quantity(None, "", self.qha.cause)
        return numbers

    @override
    def headline(self) -> tuple[str, ...]:
        if not self.is_stable:
            return ("lowest_frequency", "highest_frequency")
        capacity = next((name for name in self._thermal_quantities() if name.startswith("heat_capacity")), "")
        return ("highest_frequency", "zero_point_energy", capacity)

    @property
    @override
    def basis(self) -> str:
        cell = _matrix_words(self.supercell, self.force_constants.shape[1])
        return f"{self.start.words}; force constants in {cell}, from {self.force_constants_source}"

    @override
    def labels(self) -> dict[str, str]:
        return {
            "gamma_frequencies": "frequencies at Γ",
            "force_constants_at_the_edge": "largest force constant at the edge of the supercell, over that on the spot",
        }

    @override
    def captions(self) -> dict[str, str]:
        return {
            "bands": "Frequencies along the path, and how many there are of each; below zero is unstable.",
            "thermal": "Harmonic free energy, entropy and heat capacity at constant volume.",
            "gruneisen": "How much each mode softens when the crystal expands, and the mean that drives the expansion.",
        }

    @override
    def animation(self) -> dict[str, Any] | None:
        return self.start.picture()

    @override
    def figures(self) -> dict[str, Figure]:
        drawn = {"bands": self._bands_figure()}
        if self.thermal is not None:
            drawn["thermal"] = self._thermal_figure(self.thermal)
        if self.gruneisen is not None:
            drawn["gruneisen"] = self._gruneisen_figure(self.gruneisen)
        if self.qha is not None:
            drawn |= self._expansion_figures(self.qha)
        return drawn

    def _bands_figure(self) -> Figure:
        figure, (bands, density) = new_panels([("", "frequency (THz), negative: imaginary"), ("states per THz", "")])
        figure.set_size_inches(8.8, 4.2)
        for stretch in range(len(self.path.stretches)):
            chosen = self.path.stretch == stretch
            x, y = self.path.distances[chosen], self.bands_THz[chosen]
            bands.plot(x, y, color=COLOURS[0], linewidth=1)
            if self.bands_std_THz is not None:
                for branch, spread in zip(y.T, self.bands_std_THz[chosen].T, strict=True):
                    bands.fill_between(x, branch - spread, branch + spread, color=COLOURS[5], alpha=0.4, linewidth=0)
        ticks, names = self._ticks()
        bands.set_xticks(ticks, names)
        bands.set_xlim(ticks[0], ticks[-1])
        bands.axhline(0, color="black", linewidth=0.6)
        density.plot(self.density.total, self.density.frequencies_THz, color="black", linewidth=1, label="all")
        for number, (element, part) in enumerate(self.density.partial.items()):
            colour = COLOURS[number % len(COLOURS)]
            density.plot(part, self.density.frequencies_THz, color=colour, linewidth=1, label=element)
        if self.density.partial:
            set_legend(density)
        density.set_ylim(bands.get_ylim())
        density.set_xlim(left=0)
        return figure

    def _ticks(self) -> tuple[list[float], list[str]]:
        """Place the names of special points; where the path jumps, both names stand at one place."""
        places, names = [0.0], [self.path.stretches[0][0]]
        for stretch, (start, end) in enumerate(self.path.stretches):
            if start != names[-1]:
                names[-1] = f"{names[-1]}|{start}"
            places.append(float(self.path.distances[self.path.stretch == stretch][-1]))
            names.append(end)
        return places, names

    def _thermal_figure(self, thermal: Thermal) -> Figure:
        figure, (energies, capacity) = new_panels(
            [("temperature (K)", "free energy (eV, primitive cell)"), ("temperature (K)", "J/K per mol of formula")]
        )
        molar = EV_IN_J_PER_MOL / self.crystal.formula_units
        energies.plot(thermal.temperatures_K, thermal.free_energy_eV, color=COLOURS[0])
        for name, values, colour in (
            ("$C_V$", thermal.heat_capacity_eV_per_K, COLOURS[1]),
            ("$S$", thermal.entropy_eV_per_K, COLOURS[2]),
        ):
            capacity.plot(thermal.temperatures_K, values * molar, color=colour, label=name)
        set_legend(capacity)
        return figure

    def _gruneisen_figure(self, gruneisen: Gruneisen) -> Figure:
        figure, (bands, mean) = new_panels([("", "Grüneisen parameter"), ("temperature (K)", "mean, by heat capacity")])
        for stretch in range(len(self.path.stretches)):
            chosen = self.path.stretch == stretch
            bands.plot(self.path.distances[chosen], gruneisen.bands[chosen], ".", color=COLOURS[0], markersize=2)
        ticks, names = self._ticks()
        bands.set_xticks(ticks, names)
        bands.set_xlim(ticks[0], ticks[-1])
        mean.plot(gruneisen.temperatures_K, gruneisen.mean, color=COLOURS[0])
        return figure

    def _expansion_figures(self, qha: QuasiHarmonic) -> dict[str, Figure]:
        x, molar = "temperature (K)", EV_IN_J_PER_MOL / self.crystal.formula_units
        volumes, panels = new_panels([(x, "volume (Å³, primitive cell)"), (x, "thermal expansion (10⁻⁶/K)")])
        panels[0].plot(qha.temperatures_K, qha.volumes_A3, color=COLOURS[0])
        panels[1].plot(qha.temperatures_K, 1e6 * qha.expansion_per_K, color=COLOURS[0])
        moduli, panels = new_panels([(x, "bulk modulus (GPa)"), (x, "J/K per mol of formula")])
        panels[0].plot(qha.temperatures_K, qha.bulk_moduli_GPa, color=COLOURS[0])
        panels[1].plot(qha.temperatures_K, molar * qha.heat_capacities_eV_per_K, color=COLOURS[0], label="$C_p$")
        if self.thermal is not None:
            heat = molar * self.thermal.heat_capacity_eV_per_K
            panels[1].plot(self.thermal.temperatures_K, heat, color=COLOURS[1], linestyle="--", label="$C_V$")
        set_legend(panels[1])
        return {"expansion": volumes, "expansion_moduli": moduli}

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[FilePath], Any]]:
        return {"phonon": _read_phonon}

    @override
    def write_data(self, path: Callable[[str], FilePath]) -> None:
        file_io = import_optional("phonopy.file_IO", extra="phonons", purpose="the files of phonopy")
        write_frames(path("primitive.extxyz"), self.atoms)
        with atomic_path(path("phonopy.yaml")) as temporary:
            self.phonon.save(temporary, settings={"force_constants": False})
        with atomic_path(path("FORCE_CONSTANTS")) as temporary:
            file_io.write_FORCE_CONSTANTS(
                self.force_constants, filename=temporary, p2s_map=self.phonon.primitive.p2s_map
            )
        write_text(path("bands.csv"), self._branches_csv(self.bands_THz, "_THz"))
        write_text(path("dos.csv"), self.density.to_csv())
        if self.thermal is not None:
            write_text(path("thermal.csv"), self.thermal.to_csv(self.crystal.formula_units, self.thermal_std))
        if self.gruneisen is not None:
            write_text(path("gruneisen.csv"), self._branches_csv(self.gruneisen.bands, ""))
        if self.qha is not None:
            write_text(path("expansion.csv"), self.qha.to_csv(self.crystal.formula_units))
            rows = zip(self.qha.sampled_volumes_A3.tolist(), self.qha.sampled_energies_eV.tolist(), strict=True)
            write_text(path("volumes.csv"), csv_text(("volume_A3", "energy_eV"), rows))

    def _branches_csv(self, values: Array, unit: str) -> str:
        """Write a number (Q, 3n) of each branch along the path; NaN is an empty field."""
        names = [f"{start}-{end}" for start, end in self.path.stretches]
        header = ["stretch", "distance_per_A", "q1", "q2", "q3"]
        header += [f"branch_{number + 1}{unit}" for number in range(values.shape[1])]
        rows = (
            [names[stretch], distance, *q, *(one if np.isfinite(one) else None for one in branches)]
            for stretch, distance, q, branches in zip(
                self.path.stretch, self.path.distances.tolist(), self.path.wave_vectors.tolist(), values.tolist(),
                strict=True,
            )
        )  # fmt: skip
        return csv_text(header, rows)


def _read_phonon(directory: FilePath) -> Any:
    """Read phonopy's object from its files."""
    phonopy = import_optional("phonopy", extra="phonons", purpose="phonons")
    return phonopy.load(
        str(directory / "phonopy.yaml"), force_constants_filename=str(directory / "FORCE_CONSTANTS"), log_level=0
    )


def _matrix_words(matrix: NDArray[np.intp], atoms: int) -> str:
    """Write a supercell as `4 × 4 × 4 conventional cells, 256 atoms`."""
    diagonal = np.array_equal(matrix, np.diag(np.diag(matrix)))
    size = " × ".join(str(one) for one in np.diag(matrix)) if diagonal else f"matrix {matrix.tolist()}"
    return f"{size} conventional cells, {atoms} atoms"
