"""What force constants give: bands along a path, density of states, thermal properties (phonopy, seekpath)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.errors import import_optional
from dp_sim.recipes.crystals.crystal import Crystal, kinds_of
from dp_sim.recipes.results.tables import csv_text

Array = NDArray[np.float64]

#: kJ/mol and J/mol of phonopy in eV; the mole is one of primitive cells.
_KJ_PER_MOL = units.kJ / units.mol
#: One eV in J/mol.
EV_IN_J_PER_MOL = 1000 / _KJ_PER_MOL
#: Frequencies at which the density of states is given.
DENSITY_POINTS = 500
#: Share of the states that a density may miss.
MISSED_STATES = 0.01
#: The energy quantum of 1 THz, eV.
THZ_IN_EV = units._hplanck * 1e12 / units._e
#: 1 THz in cm^-1.
THZ_IN_CM1 = THZ_IN_EV / units.invcm


class Path(NamedTuple):
    """Wave vectors along a path through the Brillouin zone, Q of them.

    Attributes
    ----------
    stretches
        Names of the two ends of each straight stretch.
    stretch
        (Q,) which of them a wave vector belongs to.
    wave_vectors
        (Q, 3) in reciprocal vectors of the primitive cell.
    distances
        (Q,) along the path, 1/Angstrom without 2 pi; a jump takes no length.
    points
        Name -> wave vector of all special points.
    """

    stretches: tuple[tuple[str, str], ...]
    stretch: NDArray[np.intp]
    wave_vectors: Array
    distances: Array
    points: dict[str, Array]


class Thermal(NamedTuple):
    """Harmonic thermal properties of the vibrations, at constant volume, a primitive cell.

    Attributes
    ----------
    zero_point_energy_eV
        Half a quantum for each mode.
    temperatures_K, free_energy_eV, entropy_eV_per_K, heat_capacity_eV_per_K
        (T,) each; the free energy holds the zero-point energy and no potential energy.
    """

    zero_point_energy_eV: float
    temperatures_K: Array
    free_energy_eV: Array
    entropy_eV_per_K: Array
    heat_capacity_eV_per_K: Array

    def to_csv(self, formula_units: int, std: Thermal | None = None) -> str:
        """Write the table; the molar columns count formula units, as published tables do.

        `std` are standard deviations over a committee, in columns of their own.
        """
        molar = EV_IN_J_PER_MOL / formula_units
        names = [
            "temperature_K", "free_energy_eV", "internal_energy_eV", "entropy_eV_per_K", "heat_capacity_eV_per_K",
            "entropy_J_mol_K", "heat_capacity_J_mol_K",
        ]  # fmt: skip
        inner = self.free_energy_eV + self.temperatures_K * self.entropy_eV_per_K
        columns = [
            self.temperatures_K, self.free_energy_eV, inner, self.entropy_eV_per_K, self.heat_capacity_eV_per_K,
            self.entropy_eV_per_K * molar, self.heat_capacity_eV_per_K * molar,
        ]  # fmt: skip
        if std is not None:
            names += ["free_energy_std_eV", "entropy_std_eV_per_K", "heat_capacity_std_eV_per_K"]
            columns += [std.free_energy_eV, std.entropy_eV_per_K, std.heat_capacity_eV_per_K]
        return csv_text(names, np.column_stack(columns).tolist())


def spread_of(tables: Sequence[Thermal]) -> Thermal:
    """Compute the standard deviations (ddof=1) of tables over the same temperatures."""
    _, temperatures, *_ = tables[0]
    zero, _, free, entropy, heat = (np.std(column, axis=0, ddof=1) for column in zip(*tables, strict=True))
    return Thermal(float(zero), temperatures, free, entropy, heat)


class Density(NamedTuple):
    """Density of states of a primitive cell of n atoms: its integral is 3n.

    Attributes
    ----------
    frequencies_THz
        (F,) evenly spaced.
    total
        (F,) states per THz.
    partial
        Element -> (F,) its part; empty for one element.
    """

    frequencies_THz: Array
    total: Array
    partial: dict[str, Array]

    def to_csv(self) -> str:
        """Write the table."""
        columns = np.column_stack([self.frequencies_THz, self.total, *self.partial.values()])
        names = ["frequency_THz", "total_per_THz", *(f"{element}_per_THz" for element in self.partial)]
        return csv_text(names, columns.tolist())


def special_path(crystal: Crystal, phonon: Any, points: int) -> Path:
    """Find the path of seekpath in the basis of phonopy's primitive cell.

    Y. Hinuma, G. Pizzi, Y. Kumagai, F. Oba and I. Tanaka, Comput. Mater. Sci. 128, 140 (2017).

    Parameters
    ----------
    crystal
        What `phonon` was made of.
    phonon
        Phonopy's object.
    points
        Wave vectors on the longest stretch.
    """
    seekpath = import_optional("seekpath", extra="phonons", purpose="the path of a band structure")
    cell = phonon.primitive
    with warnings.catch_warnings():
        # Two lengths or angles are equal that need not be: either of two paths then is right, and one is taken.
        warnings.simplefilter("ignore")
        found = seekpath.get_path_orig_cell(
            (cell.cell, cell.scaled_positions, _kinds_of(crystal, phonon)), symprec=1e-4
        )
    special = {name: np.array(place, dtype=float) for name, place in found["point_coords"].items()}
    reciprocal = np.linalg.inv(cell.cell).T
    ends = [(special[a], special[b]) for a, b in found["path"]]
    lengths = np.array([np.linalg.norm((b - a) @ reciprocal) for a, b in ends])
    counts = np.maximum(2, np.rint(lengths / lengths.max() * (points - 1)).astype(int) + 1)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    along = [np.linspace(0, 1, count) for count in counts]
    return Path(
        stretches=tuple((typeset_point(a), typeset_point(b)) for a, b in found["path"]),
        stretch=np.repeat(np.arange(len(ends)), counts),
        wave_vectors=np.concatenate([a + part[:, None] * (b - a) for part, (a, b) in zip(along, ends, strict=True)]),
        distances=np.concatenate(
            [start + part * length for start, part, length in zip(starts, along, lengths, strict=True)]
        ),
        points={typeset_point(name): place for name, place in special.items()},
    )


def _kinds_of(crystal: Crystal, phonon: Any) -> NDArray[np.intp]:
    """List the kinds of atoms in phonopy's primitive cell, whose order differs from spglib's."""
    supercell = phonon.supercell
    unit = [supercell.u2u_map[supercell.s2u_map[index]] for index in phonon.primitive.p2s_map]
    return kinds_of(crystal.conventional[unit])


def typeset_point(name: str) -> str:
    """Write the name of a special point as people do: GAMMA -> Γ, SIGMA_0 -> Σ₀."""
    for ascii_name, letter in (("GAMMA", "Γ"), ("DELTA", "Δ"), ("LAMBDA", "Λ"), ("SIGMA", "Σ")):
        name = name.replace(ascii_name, letter)
    letter, _, index = name.partition("_")
    return letter + index.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def band_frequencies(phonon: Any, wave_vectors: Array) -> Array:
    """Compute the frequencies at wave vectors (Q, 3): (Q, 3n) THz, rising; an imaginary one as a negative number."""
    return np.array(phonon.run_qpoints(wave_vectors).frequencies)


def run_mesh(phonon: Any, mesh_A: float, **options: bool) -> None:
    """Sample the zone on a mesh of primitive reciprocal vectors or, where that lacks the symmetry, of others."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mesh .* is incompatible", Warning)  # that says so; both are good
        phonon.run_mesh(mesh_A, **options)


def sample_mesh(crystal: Crystal, phonon: Any, mesh_A: float) -> tuple[Array, Array]:
    """Sample the Brillouin zone, for what sums over it.

    Returns
    -------
    wave_vectors, frequencies
        (K, 3) and (K, 3n) THz of the inequivalent points. `phonon.mesh` holds them afterwards.
    """
    run_mesh(phonon, mesh_A, is_mesh_symmetry=crystal.plain)
    return np.array(phonon.mesh.qpoints), np.array(phonon.mesh.frequencies)


def density_of_states(phonon: Any, mesh_A: float) -> Density:
    """Integrate the density of states over a mesh, with the part of each element.

    By the tetrahedron method; where bands are so flat that its values at single frequencies miss states, as lines of a
    Gaussian a little wider than the spacing.
    """
    frequencies = phonon.mesh.frequencies
    margin = 0.03 * (frequencies.max() - frequencies.min())
    span = {"freq_min": frequencies.min() - margin, "freq_max": frequencies.max() + margin}
    span["freq_pitch"] = (span["freq_max"] - span["freq_min"]) / DENSITY_POINTS
    elements = sorted(set(phonon.primitive.symbols))
    if len(elements) > 1:
        run_mesh(phonon, mesh_A, with_eigenvectors=True, is_mesh_symmetry=False)
    found = _density(phonon, elements, **span)
    counted = found.total.sum() * span["freq_pitch"]
    if abs(counted / frequencies.shape[1] - 1) > MISSED_STATES:
        found = _density(phonon, elements, sigma=1.5 * span["freq_pitch"], **span)
    return found


def _density(phonon: Any, elements: Sequence[str], **options: float) -> Density:
    if len(elements) == 1:
        total = phonon.run_total_dos(**options)
        return Density(np.array(total.frequency_points), np.array(total.dos), {})
    found = phonon.run_projected_dos(**options)
    symbols, each = np.array(phonon.primitive.symbols), np.array(found.projected_dos)
    parts = {one: each[symbols == one].sum(axis=0) for one in elements}
    # On a coarse mesh the total over the symmetric part of the zone would differ a little from their sum.
    return Density(np.array(found.frequency_points), each.sum(axis=0), parts)


def thermal_properties(phonon: Any, temperatures_K: Sequence[float] | Array) -> Thermal:
    """Sum free energy, entropy and heat capacity over the mesh."""
    found = phonon.run_thermal_properties(temperatures=np.asarray(temperatures_K), exclude_gamma_acoustic=True)
    temperatures, free_energy, entropy, heat_capacity = (np.array(one) for one in found.thermal_properties)
    return Thermal(
        float(found.zero_point_energy) * _KJ_PER_MOL,
        temperatures,
        free_energy * _KJ_PER_MOL,
        entropy * _KJ_PER_MOL / 1000,
        heat_capacity * _KJ_PER_MOL / 1000,
    )
