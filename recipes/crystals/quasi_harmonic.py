"""What phonons at several volumes give: Grüneisen parameters and the quasi-harmonic expansion (phonopy)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dp_sim.errors import import_optional
from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.spectra import EV_IN_J_PER_MOL, THZ_IN_EV, run_mesh
from dp_sim.recipes.crystals.stability import IMAGINARY_THZ
from dp_sim.recipes.results.tables import csv_text
from dp_sim.units import EV_PER_A3_IN_GPA, KB_EV_PER_K

Array = NDArray[np.float64]

#: Change of the volume to either side for Grüneisen parameters.
GRUNEISEN_STEP = 0.01
#: Acoustic modes below this (THz) are so near to Γ that phonopy takes their branches for degenerate, and mixes them.
SLOWEST_THZ = -IMAGINARY_THZ
#: Fewer volumes than this fit no expansion.
FEWEST_VOLUMES = 5


class Gruneisen(NamedTuple):
    """Mode Grüneisen parameters, gamma = -d ln(omega) / d ln(V).

    Attributes
    ----------
    bands
        (Q, 3n) along the path, NaN where the frequency is below `SLOWEST_THZ`.
    temperatures_K, mean
        (T,) mean over all modes, weighted by their heat capacities; NaN at 0 K.
    """

    bands: Array
    temperatures_K: Array
    mean: Array


def gruneisen_parameters(
    crystal: Crystal, phonons: Sequence[Any], wave_vectors: Array, temperatures_K: Array, mesh_A: float
) -> Gruneisen:
    """Compute Grüneisen parameters by differences of dynamical matrices.

    Parameters
    ----------
    crystal
        The crystal at the volume in the middle.
    phonons
        Phonopy's objects there, at a larger volume and at a smaller one, in bases that correspond.
    wave_vectors
        (Q, 3) of the path.
    temperatures_K
        (T,) of the mean.
    mesh_A
        As for phonopy's mesh: half of it is taken here.
    """
    core = import_optional("phonopy.gruneisen.core", extra="phonons", purpose="Grüneisen parameters")
    matrices = [one.dynamical_matrix for one in phonons]

    def gammas(q: Array) -> tuple[Array, Array]:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = core.GruneisenBase(*matrices, qpoints=q)
        squares = found.get_eigenvalues()
        frequencies = np.sign(squares) * np.sqrt(np.abs(squares)) * phonons[0].unit_conversion_factor
        return np.where(np.abs(frequencies) < SLOWEST_THZ, np.nan, found.get_gruneisen()), frequencies

    run_mesh(phonons[0], mesh_A / 2, is_mesh_symmetry=crystal.plain)
    mesh, frequencies = gammas(phonons[0].mesh.qpoints)
    counted = np.isfinite(mesh)
    weights = np.repeat(phonons[0].mesh.weights[:, None], mesh.shape[1], axis=1)
    means = []
    for temperature in temperatures_K:
        capacity = weights[counted] * _heat_capacity(frequencies[counted], temperature)
        total = capacity.sum()
        means.append((capacity * mesh[counted]).sum() / total if total > 1e-12 else np.nan)
    return Gruneisen(gammas(wave_vectors)[0], np.asarray(temperatures_K), np.array(means))


def _heat_capacity(frequencies_THz: Array, temperature_K: float) -> Array:
    """Compute the heat capacity of oscillators, k_B: x^2 e^x / (e^x - 1)^2, x = h nu / k_B T."""
    if temperature_K <= 0:
        return np.zeros_like(frequencies_THz)
    x = np.minimum(np.abs(frequencies_THz) * THZ_IN_EV / (KB_EV_PER_K * temperature_K), 500.0)
    return np.asarray((x / 2 / np.sinh(x / 2)) ** 2)


class QuasiHarmonic(NamedTuple):
    """A crystal at zero pressure against temperature, a primitive cell of it.

    Attributes
    ----------
    temperatures_K, volumes_A3, expansion_per_K, bulk_moduli_GPa, heat_capacities_eV_per_K, gibbs_energies_eV
        (T,) each: the volume, its relative change with temperature, the isothermal bulk modulus, C_p, and the Gibbs
        energy, which holds the potential energy.
    sampled_volumes_A3, sampled_energies_eV
        (V,) the volumes of the phonons, and their potential energies.
    cause
        Why the table ends before the temperature asked for; else empty.
    """

    temperatures_K: Array
    volumes_A3: Array
    expansion_per_K: Array
    bulk_moduli_GPa: Array
    heat_capacities_eV_per_K: Array
    gibbs_energies_eV: Array
    sampled_volumes_A3: Array
    sampled_energies_eV: Array
    cause: str = ""

    def to_csv(self, formula_units: int) -> str:
        """Write the table; the molar column counts formula units."""
        header = (
            "temperature_K", "volume_A3", "thermal_expansion_per_K", "bulk_modulus_GPa", "heat_capacity_p_eV_per_K",
            "heat_capacity_p_J_mol_K", "gibbs_energy_eV",
        )  # fmt: skip
        molar = EV_IN_J_PER_MOL / formula_units
        columns = (
            self.temperatures_K, self.volumes_A3, self.expansion_per_K, self.bulk_moduli_GPa,
            self.heat_capacities_eV_per_K, self.heat_capacities_eV_per_K * molar, self.gibbs_energies_eV,
        )  # fmt: skip
        return csv_text(header, np.column_stack(columns).tolist())


def expand(phonons: Sequence[Any], energies_eV: Array, temperatures_K: Array, mesh_A: float) -> QuasiHarmonic:
    """Minimise the free energy over the volume at each temperature: `phonopy.run_qha` with Vinet's equation of state.

    Parameters
    ----------
    phonons
        Phonopy's objects at V volumes, rising; no frequency of them is imaginary.
    energies_eV
        (V,) potential energies of the primitive cell.
    temperatures_K
        (T,) evenly spaced, rising.
    mesh_A
        As for phonopy's mesh.

    Returns
    -------
    QuasiHarmonic
        Up to the temperature at which the volume leaves those sampled.
    """
    phonopy = import_optional("phonopy", extra="phonons", purpose="the quasi-harmonic expansion")
    # Differences take one temperature more at either end.
    step = temperatures_K[1] - temperatures_K[0]
    first = [temperatures_K[0] - step] if temperatures_K[0] >= step else []
    asked = np.concatenate([first, temperatures_K, [temperatures_K[-1] + step]])
    with warnings.catch_warnings():
        # Lengths of monoclinic cells, which are not asked for; another mesh than that of primitive vectors.
        warnings.simplefilter("ignore", UserWarning)
        found = phonopy.run_qha(
            phonons, asked, internal_energies=energies_eV, mesh=mesh_A, eos="vinet", exclude_gamma_acoustic=True
        )
    sampled = np.array(found.volumes)
    inside = (found.equilibrium_volumes >= sampled.min()) & (found.equilibrium_volumes <= sampled.max())
    end = len(inside) if inside.all() else int(np.argmin(inside))
    chosen = slice(len(first), end)
    cause = ""
    if end < len(inside):
        cause = (
            f"from {found.temperatures[end]:.0f} K on the volume is outside those sampled, {sampled.min():.2f} to "
            f"{sampled.max():.2f} Angstrom^3; widen volume_min and volume_max"
        )
    return QuasiHarmonic(
        np.array(found.temperatures[chosen]),
        np.array(found.equilibrium_volumes[chosen]),
        np.array(found.thermal_expansion[chosen]),
        np.array(found.bulk_moduli[chosen]) * EV_PER_A3_IN_GPA,
        np.array(found.heat_capacity_P.heat_capacities[chosen]),
        np.array(found.gibbs_free_energies[chosen]),
        sampled,
        np.asarray(energies_eV),
        cause,
    )
