"""What comes out of `vibrations`: normal modes, the verdict on the structure, thermochemistry and spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.errors import InputError, choose
from dp_sim.files import atomic_path, write_text
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.static.infrared import infrared_figure
from dp_sim.recipes.static.members import MemberModes, with_errors
from dp_sim.recipes.static.mode_viewers import animation, line_figure, molden_text, trajectories_xyz
from dp_sim.recipes.static.normal_modes import force_constants
from dp_sim.recipes.static.rigid_motions import RigidMotions, whole_positions
from dp_sim.recipes.static.settings import THERMO_METHODS
from dp_sim.recipes.static.symmetry import Symmetry, molecular_symmetry
from dp_sim.recipes.static.thermochemistry import (
    J_PER_MOL_IN_EV,
    Molecule,
    Thermochemistry,
    electron_multiplicity,
    thermochemistry_figure,
)
from dp_sim.recipes.static.thermochemistry import thermochemistry as tabulate
from dp_sim.recipes.static.verdict import MINIMUM, NOT_RELAXED, imaginary, stationary_point, stationary_point_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Steps in a period of the fastest vibration that dynamics should take.
STEPS_PER_PERIOD = 20
#: The temperature of published tables, K, which every table here holds too.
STANDARD_K = 298.15


class GasOptions(NamedTuple):
    """What a table of thermochemistry is made for; see `VibResult.thermochemistry`."""

    temperatures_K: tuple[float, ...] = (STANDARD_K,)
    pressure_bar: float = 1.0
    method: str = "auto"
    symmetry_number: int | None = None
    spin_multiplicity: int | None = None


DEFAULT_GAS = GasOptions()


@dataclass(frozen=True, kw_only=True)
class VibResult(Result):
    """Normal modes of a structure of N atoms: M modes, rising in frequency.

    Attributes
    ----------
    atoms
        The structure, with the masses that were used.
    energy_eV
        Its potential energy.
    frequencies_cm1
        (M,) wavenumbers; an imaginary one is a negative number.
    modes
        (M, N, 3) Cartesian displacements of length 1.
    reduced_masses_amu
        (M,) of these displacements.
    n_imaginary
        How many frequencies are imaginary, below zero by more than `ZERO_CM1` of `normal_modes`: 0 at a minimum, 1 at a
        transition state.
    zero_point_energy_eV
        Half a quantum for each real mode.
    hessian
        (3n, 3n) eV/Angstrom^2 over the n atoms that may move; symmetric.
    hessian_source
        How it was computed, in words.
    fmax_eV_A
        Largest force on an atom of the structure.
    rigid_frequencies_cm1
        (K,) of the translations and rotations that were taken out: what the forces left in the structure, and errors
        of the Hessian, would make of them.
    rigid
        How many translations and rotations these are, and what other motions of the whole cost.
    intensities_km_mol
        (M,) infrared intensities; None where the calculator gives no dipole or the structure is periodic.
    gas
        What the table of the page is made for.
    width_cm1
        Full width at half maximum of the lines in the drawn spectrum.
    members
        Modes of the members of a committee, where the Hessian is exact; else None.
    """

    recipe: ClassVar[str] = "vib"
    title: ClassVar[str] = "Vibrations"

    atoms: Atoms
    energy_eV: float
    frequencies_cm1: NDArray[np.float64]
    modes: NDArray[np.float64]
    reduced_masses_amu: NDArray[np.float64]
    n_imaginary: int
    zero_point_energy_eV: float
    hessian: NDArray[np.float64]
    hessian_source: str
    fmax_eV_A: float
    rigid_frequencies_cm1: NDArray[np.float64]
    rigid: RigidMotions
    intensities_km_mol: NDArray[np.float64] | None = None
    gas: GasOptions = DEFAULT_GAS
    width_cm1: float = 10.0
    members: MemberModes | None = None

    @property
    def verdict(self) -> str:
        """`minimum`, `transition state`, `saddle point of order 2` (or more), or `not relaxed`."""
        return stationary_point(self.frequencies_cm1, relaxed=self.converged)

    @property
    def is_minimum(self) -> bool:
        """Whether the structure is relaxed and no frequency imaginary."""
        return self.verdict == MINIMUM

    @property
    def force_constants_eV_A2(self) -> NDArray[np.float64]:
        """(M,) second derivatives of the energy along the displacements, negative for imaginary modes."""
        return force_constants(self.frequencies_cm1, self.reduced_masses_amu)

    @property
    def largest_timestep_fs(self) -> float | None:
        """A twentieth of the shortest period: the time step that dynamics may take. None without vibrations."""
        if not len(self.frequencies_cm1) or self.frequencies_cm1[-1] <= 0:
            return None
        return float(1e15 / (self.frequencies_cm1[-1] * 100 * units._c) / STEPS_PER_PERIOD)

    @property
    def is_free_molecule(self) -> bool:
        """Whether it moves and turns freely: then it is a molecule of a gas, in a periodic cell too.

        An atom alone in a periodic cell may be a crystal: nothing that turns could tell.
        """
        if len(self.atoms) == 1 and self.atoms.pbc.any():
            return False
        turns = 0 if len(self.atoms) == 1 else 2 if self.rigid.linear else 3
        return (self.rigid.translations, self.rigid.rotations) == (3, turns)

    @cached_property
    def symmetry(self) -> Symmetry:
        """Point group and symmetry number of a free molecule; errors as in `molecular_symmetry`."""
        return molecular_symmetry(self._whole)

    @cached_property
    def _whole(self) -> Atoms:
        whole = self.atoms.copy()
        whole.positions = whole_positions(self.atoms)
        whole.pbc = False
        return whole

    def thermochemistry(
        self,
        temperatures_K: Sequence[float] | None = None,
        pressure_bar: float | None = None,
        *,
        method: str | None = None,
        symmetry_number: int | None = None,
        spin_multiplicity: int | None = None,
    ) -> Thermochemistry:
        """Compute U, H, S and G; what is not given is as the recipe was told.

        Parameters
        ----------
        temperatures_K, pressure_bar
            Temperatures and one pressure.
        method
            `ideal-gas`, `quasi-rrho` and `raised` of a free molecule, `harmonic` of anything; `auto`: the first where
            it can be, else the last. See `dp_sim.recipes.static.thermochemistry`.
        symmetry_number
            Default: found from the structure.
        spin_multiplicity
            2 S + 1; default: the lowest that the number of electrons allows.

        Raises
        ------
        InputError
            The structure is not relaxed or a saddle point of higher order; a gas is asked for of what does not move
            and turn freely; a number out of range.
        MissingPackageError
            The symmetry number is to be found and pymsym is not installed.
        """
        if self.verdict == NOT_RELAXED:
            raise InputError("structure-not-stationary", f"no thermochemistry: {self.cause}")
        asked = GasOptions(
            self.gas.temperatures_K if temperatures_K is None else tuple(temperatures_K),
            self.gas.pressure_bar if pressure_bar is None else pressure_bar,
            method or self.gas.method,
            self.gas.symmetry_number if symmetry_number is None else symmetry_number,
            self.gas.spin_multiplicity if spin_multiplicity is None else spin_multiplicity,
        )
        chosen = choose("method", asked.method, THERMO_METHODS)
        if chosen == "auto":
            chosen = "ideal-gas" if self.is_free_molecule else "harmonic"
        molecule = None if chosen == "harmonic" else self._molecule(chosen, asked)

        def table(frequencies_cm1: NDArray[np.float64], energy_eV: float) -> Thermochemistry:
            return tabulate(
                frequencies_cm1,
                energy_eV,
                asked.temperatures_K,
                asked.pressure_bar,
                method=chosen,
                molecule=molecule,
            )

        return with_errors(table(self.frequencies_cm1, self.energy_eV), self.members, self.n_imaginary, table)

    def _molecule(self, method: str, asked: GasOptions) -> Molecule:
        if not self.is_free_molecule:
            raise InputError(
                "method-needs-gas",
                f"method '{method}' is for a molecule that moves and turns freely, and here {self.rigid.words}; "
                "use 'harmonic'" + (", or, for an atom of a gas, set pbc to false" if len(self.atoms) == 1 else ""),
            )
        for name, value in (("symmetry_number", asked.symmetry_number), ("spin_multiplicity", asked.spin_multiplicity)):
            if value is not None and value < 1:
                raise InputError("setting-out-of-range", f"{name} must be 1 or more, got {value}")
        given = asked.symmetry_number is not None
        return Molecule(
            atoms=self._whole,
            linear=self.rigid.linear,
            symmetry_number=asked.symmetry_number or self.symmetry.number,
            point_group="" if given else self.symmetry.point_group,
            spin_multiplicity=electron_multiplicity(self.atoms, asked.spin_multiplicity),
        )

    @cached_property
    def _table(self) -> Thermochemistry | str:
        """The table of the page, or why there is none."""
        try:
            return self.thermochemistry()
        except InputError as error:
            return str(error)

    @property
    @override
    def outcome(self) -> str:
        words = stationary_point_words(self.frequencies_cm1, relaxed=self.converged)
        turning = len(imaginary(self.rigid.held_cm1))
        if self.converged and 0 < self.n_imaginary <= turning:
            words += "; that is how the whole turns or moves in its surroundings (a cell, fixed atoms, a field)"
        return words

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        members = self.members
        numbers: dict[str, Quantity | Estimate] = {
            "verdict": Quantity(self.verdict),
            "frequencies": Quantity(self.frequencies_cm1, "cm^-1", model=getattr(members, "frequency_errors", None)),
            "imaginary_frequencies": Quantity(self.n_imaginary),
            "reduced_masses": Quantity(self.reduced_masses_amu, "amu"),
            "force_constants": Quantity(self.force_constants_eV_A2, "eV/Angstrom^2"),
            "energy": Quantity(self.energy_eV, "eV", model=getattr(members, "energy_error", None)),
            "zero_point_energy": Quantity(
                self.zero_point_energy_eV, "eV", model=getattr(members, "zero_point_energy_error", None)
            ),
        }
        if self.intensities_km_mol is not None:
            numbers["infrared_intensities"] = Quantity(self.intensities_km_mol, "km/mol")
        if members is not None:
            numbers["model_errors_from"] = Quantity(members.words)
            numbers["imaginary_frequencies_of_members"] = Quantity(members.n_imaginary)
        timestep = self.largest_timestep_fs
        fastest = None if timestep is None else float(self.frequencies_cm1[-1])
        numbers["highest_frequency"] = Quantity(fastest, "cm^-1", "there is no vibration")
        numbers["largest_timestep"] = Quantity(timestep, "fs", "there is no vibration")
        return numbers | self._thermal_quantities() | {
            "rigid_motions": Quantity(self.rigid.words),
            "rigid_frequencies": Quantity(self.rigid_frequencies_cm1, "cm^-1"),
            "fmax": Quantity(self.fmax_eV_A, "eV/Angstrom"),
            "hessian_source": Quantity(self.hessian_source),
        }  # fmt: skip

    def _thermal_quantities(self) -> dict[str, Quantity | Estimate]:
        table = self._table
        if isinstance(table, str):
            return {"thermochemistry": Quantity(None, "", table)}
        numbers: dict[str, Quantity | Estimate] = {"thermochemistry": Quantity(table.words)}
        if table.symmetry_number is not None:
            group = f"{table.point_group}, " if table.point_group else ""
            numbers["symmetry"] = Quantity(f"{group}symmetry number {table.symmetry_number}")
            numbers["spin_multiplicity"] = Quantity(table.spin_multiplicity)
        errors = table.errors.get
        entropy, heat = (errors(name) for name in ("entropy_eV_per_K", "heat_capacity_eV_per_K"))
        return numbers | {
            "temperatures": Quantity(table.temperatures_K, "K"),
            "internal_energy": Quantity(table.internal_energy_eV, "eV", model=errors("internal_energy_eV")),
            "enthalpy": Quantity(table.enthalpy_eV, "eV", model=errors("enthalpy_eV")),
            "entropy": Quantity(table.entropy_eV_per_K, "eV/K", model=entropy),
            "entropy_molar": Quantity(
                table.entropy_J_mol_K, "J/mol/K", model=entropy and entropy.scaled(J_PER_MOL_IN_EV)
            ),
            "gibbs_energy": Quantity(table.gibbs_energy_eV, "eV", model=errors("gibbs_energy_eV")),
            "heat_capacity_molar": Quantity(
                table.heat_capacity_J_mol_K, "J/mol/K", model=heat and heat.scaled(J_PER_MOL_IN_EV)
            ),
        }

    @override
    def headline(self) -> tuple[str, ...]:
        return ("zero_point_energy", "imaginary_frequencies", "highest_frequency")

    @override
    def captions(self) -> dict[str, str]:
        return {
            "spectrum": "A line for each normal mode; with infrared intensities, as broad as lines are drawn for eyes.",
            "thermochemistry": "Enthalpy and free energy above the potential energy, and the entropy.",
        }

    @override
    def tables(self) -> dict[str, QuantityTable]:
        shown = {}
        if len(self.frequencies_cm1):
            shown["modes"] = QuantityTable(
                "Normal modes; a negative frequency is imaginary. Reduced masses and force constants are those of a "
                "Cartesian displacement of length 1.",
                {
                    "frequencies": ("frequency", 2),
                    "reduced_masses": ("reduced mass", 3),
                    "force_constants": ("force constant", 4),
                    "infrared_intensities": ("infrared", 2),
                },
                numbered="mode",
            )
        if not isinstance(self._table, str):
            columns = {"temperatures": ("T", 2), "zero_point_energy": ("ZPE", 4), "internal_energy": ("U", 4)}
            columns |= {"enthalpy": ("H", 4), "gibbs_energy": ("G", 4), "entropy_molar": ("S", 3)}
            columns |= {"heat_capacity_molar": ("Cp", 3), "entropy": ("S", 7)}
            gas = "" if self._table.symmetry_number is None else f" at {self._table.pressure_bar:g} bar"
            words = f"Thermochemistry, {self._table.method}{gas}. U, H and G hold the potential and zero-point energy."
            if self._table.errors:
                words += " Behind ± stands what the model's errors make of each."
            shown["thermochemistry"] = QuantityTable(words, columns)
        return shown

    @override
    def animation(self) -> dict[str, Any] | None:
        if not len(self.frequencies_cm1):
            return None
        return animation(self.atoms, whole_positions(self.atoms), self.frequencies_cm1, self.modes)

    @override
    def figures(self) -> dict[str, Figure]:
        std = None if self.members is None else self.members.frequency_errors.standard
        drawn = {"spectrum": line_figure(self.frequencies_cm1, std)}
        if self.intensities_km_mol is not None and len(self.frequencies_cm1):
            drawn["infrared"] = infrared_figure(self.frequencies_cm1, self.intensities_km_mol, self.width_cm1)
        if not isinstance(self._table, str) and len(self._table.temperatures_K) > 1:
            drawn["thermochemistry"] = thermochemistry_figure(self._table, self.energy_eV)
        return drawn

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        arrays: dict[str, Any] = {
            "hessian_eV_A2": self.hessian,
            "masses_amu": self.atoms.get_masses(),
            "frequencies_cm1": self.frequencies_cm1,
            "modes": self.modes,
            "reduced_masses_amu": self.reduced_masses_amu,
        }
        if self.members is not None:
            arrays["member_frequencies_cm1"] = self.members.frequencies_cm1
        with atomic_path(path("hessian.npz")) as temporary:
            np.savez(temporary, **arrays)
        if len(self.frequencies_cm1):
            write_frames(path("modes.extxyz"), [self._mode_frame(number) for number in range(len(self.modes))])
            whole = whole_positions(self.atoms)
            lines = trajectories_xyz(self.atoms, whole, self.frequencies_cm1, self.modes)
            write_text(path("modes.xyz"), "\n".join(lines) + "\n")
        write_text(path("modes.molden"), molden_text(self.atoms, self.frequencies_cm1, self.modes))
        if not isinstance(self._table, str):
            write_text(path("thermochemistry.csv"), self._table.to_csv())
        if self.intensities_km_mol is not None:
            rows = zip(self.frequencies_cm1.tolist(), self.intensities_km_mol.tolist(), strict=True)
            write_text(path("infrared.csv"), csv_text(("wavenumber_cm1", "intensity_km_mol"), rows))

    def _mode_frame(self, number: int) -> Atoms:
        frame = self.atoms.copy()
        frame.info.update(mode=number, frequency_cm1=float(self.frequencies_cm1[number]))
        frame.arrays["displacement"] = self.modes[number]
        return frame
