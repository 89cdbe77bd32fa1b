"""Thermochemistry of normal modes: the molecule as an ideal gas, or all motions as harmonic vibrations.

Translation, rotation and spin of the ideal gas are ASE's `IdealGasThermo`: C. J. Cramer, Essentials of Computational
Chemistry (2nd ed.), ch. 10. Of each vibration

    harmonic     U = e/2 + e/(exp(e/kT) - 1),  S = (e/T)/(exp(e/kT) - 1) - k ln(1 - exp(-e/kT)),
    quasi-rrho   S of a vibration and of a rotor of the same frequency, w S_vib + (1 - w) S_rot with
                 w = 1/(1 + (100 cm^-1/nu)^4): S. Grimme, Chem. Eur. J. 18, 9955 (2012), eqs. 3-8,
    raised       frequencies below 100 cm^-1 counted as 100 cm^-1: R. F. Ribeiro, A. V. Marenich, C. J. Cramer and
                 D. G. Truhlar, J. Phys. Chem. B 115, 14556 (2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units
from ase.thermochemistry import AbstractMode, HarmonicMode, IdealGasThermo, RRHOMode
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.static.normal_modes import ZERO_CM1
from dp_sim.structures.stated import lowest_multiplicity, stated_multiplicity
from dp_sim.uncertainty.derived import Kind, ModelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Where a vibration is half a rotor (quasi-rrho), and what low frequencies are raised to, cm^-1.
LOW_CM1 = 100.0
#: Moment of inertia of Grimme's rotor, 1e-44 kg m^2, in ASE's units (amu Angstrom^2).
ROTOR_INERTIA: float = 1e-44 * units.kg * units.m**2
#: 1 eV/K is this in J/mol/K.
J_PER_MOL_IN_EV: float = units._e * units._Nav
COLUMNS = (
    "temperature_K", "internal_energy_eV", "enthalpy_eV", "entropy_eV_per_K", "gibbs_energy_eV", "entropy_J_mol_K",
    "heat_capacity_J_mol_K", "zero_point_energy_eV",
)  # fmt: skip
#: The methods in words.
WORDS = {
    "ideal-gas": "ideal gas of rigid rotors with harmonic vibrations",
    "quasi-rrho": "ideal gas of rigid rotors; the entropy of low vibrations goes over to that of rotors (quasi-RRHO, "
    f"Grimme 2012, {LOW_CM1:g} cm^-1)",
    "raised": "ideal gas of rigid rotors; vibrations below "
    f"{LOW_CM1:g} cm^-1 are raised to that (Cramer and Truhlar 2011)",
    "harmonic": "harmonic vibrations alone: U is H, and G the Helmholtz energy, as no volume changes",
}


#: What the model's errors in each number come from: the potential energy, or the vibrations alone.
DERIVED_FROM: dict[str, Kind] = {
    "internal_energy_eV": "both", "enthalpy_eV": "both", "entropy_eV_per_K": "forces", "gibbs_energy_eV": "both",
    "heat_capacity_eV_per_K": "forces",
}  # fmt: skip


@dataclass(frozen=True)
class Thermochemistry:
    """Energies and entropy of one structure over temperatures. Its text is a table.

    Attributes
    ----------
    method
        `ideal-gas`, `quasi-rrho`, `raised` or `harmonic`.
    temperatures_K, pressure_bar
        (T,) and one pressure.
    internal_energy_eV, enthalpy_eV, gibbs_energy_eV
        (T,) with the potential energy and the zero-point energy; of a harmonic solid or adsorbate, where no volume
        changes, H is U and G is the Helmholtz energy.
    entropy_eV_per_K, heat_capacity_eV_per_K
        (T,); the heat capacity is dH/dT, of a gas at constant pressure.
    zero_point_energy_eV
        Half a quantum of each vibration.
    point_group, symmetry_number, spin_multiplicity
        Of the ideal gas; the group is empty where the number was given.
    notes
        What was assumed or left out, in sentences.
    errors
        What the model's errors make of the arrays, by their names; empty where they are not known.
    """

    method: str
    temperatures_K: Array
    pressure_bar: float
    internal_energy_eV: Array
    enthalpy_eV: Array
    entropy_eV_per_K: Array
    gibbs_energy_eV: Array
    heat_capacity_eV_per_K: Array
    zero_point_energy_eV: float
    point_group: str = ""
    symmetry_number: int | None = None
    spin_multiplicity: int | None = None
    notes: tuple[str, ...] = ()
    errors: Mapping[str, ModelError] = field(default_factory=dict)

    @property
    def entropy_J_mol_K(self) -> Array:
        """(T,) the entropy in the unit of published tables."""
        return self.entropy_eV_per_K * J_PER_MOL_IN_EV

    @property
    def heat_capacity_J_mol_K(self) -> Array:
        """(T,) the heat capacity in the unit of published tables."""
        return self.heat_capacity_eV_per_K * J_PER_MOL_IN_EV

    @property
    def words(self) -> str:
        """How it was computed and at which pressure, with what was assumed: a sentence."""
        pressure = "" if self.symmetry_number is None else f", at {self.pressure_bar:g} bar"
        return "; ".join([f"{self.method}: {WORDS[self.method]}{pressure}", *self.notes])

    def rows(self) -> list[tuple[float, ...]]:
        """Return the rows of the table, in the order of `COLUMNS`."""
        columns = (
            self.temperatures_K,
            self.internal_energy_eV,
            self.enthalpy_eV,
            self.entropy_eV_per_K,
            self.gibbs_energy_eV,
            self.entropy_J_mol_K,
            self.heat_capacity_J_mol_K,
            np.full(len(self.temperatures_K), self.zero_point_energy_eV),
        )
        return [tuple(map(float, row)) for row in zip(*columns, strict=True)]

    def to_csv(self) -> str:
        """Write the table as CSV."""
        if not self.errors:
            return csv_text(COLUMNS, self.rows())
        names = tuple(f"model_error_of_{name}" for name in self.errors)
        errors = np.column_stack([one.standard for one in self.errors.values()]).tolist()
        return csv_text(COLUMNS + names, [[*row, *more] for row, more in zip(self.rows(), errors, strict=True)])

    def __str__(self) -> str:
        """Return the table as text, with what was assumed."""
        head = f"{self.words}; zero-point energy {self.zero_point_energy_eV:.4f} eV"
        lines = [f"{'T (K)':>8} {'U (eV)':>14} {'H (eV)':>14} {'S (J/mol/K)':>12} {'Cp (J/mol/K)':>13} {'G (eV)':>14}"]
        lines += [
            f"{t:8.2f} {u:14.5f} {h:14.5f} {s:12.3f} {c:13.3f} {g:14.5f}" for t, u, h, _, g, s, c, _ in self.rows()
        ]
        return "\n".join([head, *lines])


@dataclass(frozen=True, kw_only=True)
class Molecule:
    """What the ideal gas needs of a molecule: whole, its symmetry and its spin.

    Attributes
    ----------
    atoms
        The structure, whole and without periodicity, with its masses.
    linear
        Whether it has two rotations; a single atom has none either way.
    symmetry_number, spin_multiplicity
        Of its rotations and its electrons.
    point_group
        Schoenflies symbol; empty where the symmetry number was given.
    """

    atoms: Atoms
    linear: bool
    symmetry_number: int
    spin_multiplicity: int
    point_group: str = ""


def electron_multiplicity(atoms: Atoms, given: int | None) -> int:
    """Return the spin multiplicity 2 S + 1 that was given, else that of the structure, else the lowest possible.

    Raises
    ------
    InputError
        `spin-impossible`: the number of electrons, with the charge that the structure states, cannot have it.
    """
    lowest = lowest_multiplicity(atoms)
    if given is None:
        return stated_multiplicity(atoms) or lowest
    if (given - lowest) % 2:
        raise InputError(
            "spin-impossible",
            f"spin_multiplicity={given} is one that the electrons of {atoms.get_chemical_formula()} cannot have: it is "
            f"{'odd' if lowest == 1 else 'even'}, with the charge that the structure states",
        )
    return given


def thermochemistry(
    frequencies_cm1: Array,
    energy_eV: float,
    temperatures_K: Sequence[float] | Array,
    pressure_bar: float,
    *,
    method: str,
    molecule: Molecule | None,
) -> Thermochemistry:
    """Compute U, H, S and G at each temperature.

    Parameters
    ----------
    frequencies_cm1
        (M,) of the vibrations, imaginary ones negative: at most one, the motion over a barrier, which is left out.
    energy_eV
        Potential energy.
    method
        One of `THERMO_METHODS` but `auto`.
    molecule
        For all methods but `harmonic`.

    Raises
    ------
    InputError
        A temperature or pressure that is not positive; more than one imaginary frequency.
    """
    temperatures = np.atleast_1d(np.asarray(temperatures_K, dtype=np.float64))
    if not (len(temperatures) and np.isfinite(temperatures).all() and (temperatures > 0).all()):
        raise InputError(
            "setting-out-of-range",
            f"temperatures_K must be finite and above 0, got {temperatures.tolist()}; at 0 K there is the energy and "
            "zero_point_energy_eV alone",
        )
    if not 0 < pressure_bar < math.inf:
        raise InputError("setting-out-of-range", f"pressure_bar must be finite and above 0, got {pressure_bar}")
    kept, notes = _counted(frequencies_cm1)
    modes = [_mode(value * units.invcm, method) for value in kept]
    with np.errstate(over="ignore"):  # exp(e/kT) of a stiff bond at 5 K is as good as infinite
        u = [energy_eV + sum(m.get_internal_energy(t, contributions=False) for m in modes) for t in temperatures]
        s = [float(sum(m.get_entropy(t, contributions=False) for m in modes)) for t in temperatures]
    internal, entropy = np.array(u, dtype=np.float64), np.array(s)
    enthalpy, heat = internal, _heat_capacity(np.array([mode.energy for mode in modes]), temperatures)
    if molecule is not None:
        energy, own = _gas(molecule, temperatures, pressure_bar)
        internal, entropy = internal + energy, entropy + own
        enthalpy = internal + units.kB * temperatures  # p V of an ideal gas
        heat = heat + energy / temperatures + units.kB  # the energy of its motion is proportional to T
    return Thermochemistry(
        method=method,
        temperatures_K=temperatures,
        pressure_bar=pressure_bar,
        internal_energy_eV=internal,
        enthalpy_eV=enthalpy,
        entropy_eV_per_K=entropy,
        gibbs_energy_eV=enthalpy - temperatures * entropy,
        heat_capacity_eV_per_K=heat,
        zero_point_energy_eV=float(sum(mode.get_ZPE_correction() for mode in modes)),
        point_group=molecule.point_group if molecule else "",
        symmetry_number=molecule.symmetry_number if molecule else None,
        spin_multiplicity=molecule.spin_multiplicity if molecule else None,
        notes=tuple(notes),
    )


def _counted(frequencies_cm1: Array) -> tuple[Array, list[str]]:
    """Choose the vibrations that count, with notes on those that do not as they are."""
    notes = []
    imaginary = frequencies_cm1 < -ZERO_CM1
    if imaginary.sum() > 1:
        raise InputError(
            "structure-not-minimum",
            f"thermochemistry needs a minimum or a transition state, and this is a saddle point of order "
            f"{imaginary.sum()} (lowest: {', '.join(f'{value:.0f}' for value in frequencies_cm1[:3])} cm^-1); relax it "
            "on: optimize(..., check_minimum=True), dp-sim opt --check-minimum",
        )
    if imaginary.any():
        notes.append(f"the motion over the barrier ({frequencies_cm1[0]:.0f} cm^-1) is left out")
    kept = frequencies_cm1[~imaginary]
    if (flat := kept < ZERO_CM1).any():
        notes.append(
            f"{flat.sum()} vibration(s) within {ZERO_CM1:g} cm^-1 of zero count as {ZERO_CM1:g} cm^-1: what they add "
            "to the entropy is not known"
        )
    return np.maximum(kept, ZERO_CM1), notes


def _mode(energy_eV: float, method: str) -> AbstractMode:
    if method == "quasi-rrho":
        return RRHOMode(energy_eV, ROTOR_INERTIA, tau=LOW_CM1)
    return HarmonicMode(max(energy_eV, LOW_CM1 * units.invcm) if method == "raised" else energy_eV)


def _heat_capacity(energies_eV: Array, temperatures: Array) -> Array:
    """Sum Einstein's function over the vibrations, C = k x^2 e^x / (e^x - 1)^2 with x = e/kT: (T,), eV/K.

    The energy of a vibration is harmonic in `quasi-rrho` too; see the head of this module.
    """
    half = energies_eV / (2 * units.kB * temperatures[:, None])
    # x^2 e^x / (e^x - 1)^2 = (x/2 / sinh(x/2))^2; beyond 300 it is zero, and sinh would overflow.
    return np.asarray(units.kB * ((half / np.sinh(np.minimum(half, 300.0))) ** 2).sum(axis=1))


def _gas(molecule: Molecule, temperatures: Array, pressure_bar: float) -> tuple[Array, Array]:
    """Energy (T,), eV, and entropy (T,), eV/K, of translation, rotation and spin."""
    geometry = "monatomic" if len(molecule.atoms) == 1 else "linear" if molecule.linear else "nonlinear"
    gas = IdealGasThermo(
        [],
        geometry,
        atoms=molecule.atoms,
        symmetrynumber=molecule.symmetry_number,
        spin=(molecule.spin_multiplicity - 1) / 2,
        vib_selection="all",
    )
    energy = [
        gas.get_ideal_translational_energy(t) + gas.get_ideal_rotational_energy(geometry, t) for t in temperatures
    ]
    entropy = [
        gas.get_ideal_entropy(
            t,
            translation=True,
            rotation=True,
            electronic=True,
            geometry=geometry,
            pressure=pressure_bar * 1e5,
            symmetrynumber=molecule.symmetry_number,
        )[0]
        for t in temperatures
    ]
    return np.array(energy), np.array(entropy)


def thermochemistry_figure(table: Thermochemistry, energy_eV: float) -> Figure:
    """Draw enthalpy and Gibbs energy above the potential energy, and the entropy."""
    figure, (energies, entropies) = new_panels(
        [("temperature (K)", "above the potential energy (eV)"), ("temperature (K)", "entropy (J/mol/K)")]
    )
    for name, values, colour in (("H", table.enthalpy_eV, COLOURS[0]), ("G", table.gibbs_energy_eV, COLOURS[1])):
        energies.plot(table.temperatures_K, values - energy_eV, color=colour, label=name)
    set_legend(energies)
    entropies.plot(table.temperatures_K, table.entropy_J_mol_K, color=COLOURS[2])
    return figure
