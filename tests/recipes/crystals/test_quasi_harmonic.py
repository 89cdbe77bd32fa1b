"""Grüneisen parameters and quasi-harmonic expansion: other routes to the same numbers, and relations between them."""

import warnings

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import vinet
from ase.units import GPa
from phonopy.structure.atoms import PhonopyAtoms
from refusals import refused
from scipy.optimize import curve_fit

from dp_sim.recipes import phonons
from dp_sim.recipes.crystals.spectra import EV_IN_J_PER_MOL

COPPER_A = 3.58982
OPTIONS = {"supercell": "1", "mesh_A": 20.0, "temperature_step_K": 50.0, "points": 11}


@pytest.fixture(scope="module")
def expanded():
    return phonons(
        bulk("Cu", a=COPPER_A), EMT(), qha=True, gruneisen=True, volumes=6, volume_min=0.97, volume_max=1.1, **OPTIONS
    )


def test_the_volume_is_where_the_free_energy_is_lowest(expanded):
    """Phonons at each volume by themselves, a fit of E + F_vib at each temperature by scipy."""
    free, volumes = [], []
    for ratio in np.linspace(0.97, 1.1, 6):
        one = phonons(bulk("Cu", a=COPPER_A * ratio ** (1 / 3)), EMT(), **OPTIONS)
        volumes.append(one.atoms.get_volume())
        free.append(one.energy_eV + one.thermal.free_energy_eV)
    there = list(expanded.thermal.temperatures_K)
    for at in (0, 6, 12):
        energies = np.array(free)[:, there.index(expanded.qha.temperatures_K[at])]
        fit, _ = curve_fit(vinet, volumes, energies, p0=(energies.min(), 0.8, 5.0, 11.8))
        assert expanded.qha.volumes_A3[at] == pytest.approx(fit[3], rel=1e-5)
        assert expanded.qha.bulk_moduli_GPa[at] == pytest.approx(fit[1] / GPa, rel=1e-3)
        assert expanded.qha.gibbs_energies_eV[at] == pytest.approx(fit[0], abs=1e-6)


def test_relations_of_thermodynamics(expanded):
    """C_p - C_V = beta^2 B V T (C_V at the expanded volume is within 1 %), and beta = gamma C_V / B V."""
    qha, at = expanded.qha, 6
    assert qha.temperatures_K[at] == 300
    beta, modulus, volume = qha.expansion_per_K[at], qha.bulk_moduli_GPa[at] * GPa, qha.volumes_A3[at]
    capacity = expanded.thermal.heat_capacity_eV_per_K[list(expanded.thermal.temperatures_K).index(300)]
    excess = beta**2 * modulus * volume * 300
    assert qha.heat_capacities_eV_per_K[at] - capacity == pytest.approx(excess, rel=0.15)
    assert expanded.gruneisen.mean[at] == pytest.approx(beta * modulus * volume / capacity, rel=0.06)
    # 0 K: nothing expands, but zero-point motion has already
    assert qha.expansion_per_K[0] == 0
    assert qha.volumes_A3[0] > expanded.atoms.get_volume() * 1.004
    slope = np.gradient(np.log(qha.volumes_A3), qha.temperatures_K)
    np.testing.assert_allclose(qha.expansion_per_K[3:-1], slope[3:-1], rtol=0.02)


def test_gruneisen_parameters_are_slopes_of_frequencies(expanded):
    ends = [phonons(bulk("Cu", a=COPPER_A * r ** (1 / 3)), EMT(), **OPTIONS).bands_THz for r in (0.99, 1.01)]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = -np.log(ends[1] / ends[0]) / np.log(1.01 / 0.99)
    seen = expanded.bands_THz > 0.5
    np.testing.assert_allclose(expanded.gruneisen.bands[seen], slopes[seen], atol=0.01)
    assert np.isnan(expanded.gruneisen.bands[expanded.bands_THz < 0.01]).all()


def test_files_and_numbers_of_the_expansion(expanded, tmp_path):
    expanded.save(tmp_path / "run")
    table = np.genfromtxt(tmp_path / "run" / "expansion.csv", delimiter=",", names=True)
    assert table["temperature_K"].tolist() == list(range(0, 1001, 50))
    assert (tmp_path / "run" / "gruneisen.csv").is_file()
    assert (tmp_path / "run" / "expansion.png").is_file()
    assert expanded.quantities()["thermal_expansion_300_K"].value == pytest.approx(6e-5, rel=0.15)


def test_a_first_temperature_above_zero_has_its_expansion(expanded):
    """Differences need a temperature below the first, which is computed and not shown."""
    options = OPTIONS | {"temperature_min_K": 300.0, "temperature_max_K": 400.0}
    later = phonons(bulk("Cu", a=COPPER_A), EMT(), qha=True, volumes=6, volume_min=0.97, volume_max=1.1, **options)
    assert later.qha.temperatures_K.tolist() == [300, 350, 400]
    np.testing.assert_allclose(later.qha.expansion_per_K, expanded.qha.expansion_per_K[6:9], rtol=1e-3)


def test_beyond_the_volumes_sampled_nothing_is_given():
    found = phonons(bulk("Cu", a=COPPER_A), EMT(), qha=True, volumes=5, volume_min=0.96, volume_max=1.03, **OPTIONS)
    last = found.qha.temperatures_K[-1]
    assert 300 < last < 900
    assert "outside" in found.qha.cause
    assert found.quantities()["expansion_beyond"].value is None
    too_small = phonons(
        bulk("Cu", a=COPPER_A * 0.98), EMT(), qha=True, volumes=5, volume_min=0.96, volume_max=1.01, **OPTIONS
    )
    assert not too_small.converged
    assert "volume_max" in too_small.cause


def test_volumes_belong_to_the_expansion():
    with refused("volumes-without-qha", "volume_max"):
        phonons(bulk("Cu", a=COPPER_A), EMT(), volume_max=1.2)


def test_against_phonopy_qha_itself(expanded, tmp_path):
    """Phonopy's own way, as its command line goes: its displacements and symmetry, files, `phonopy-qha`'s class.

    Another cell (primitive, in ASE's setting), both signs of the displacements, and Vinet's curve for E + F at each
    temperature. Compared: V(T), alpha(T), B(T), C_p(T).
    """
    temperatures = np.arange(0.0, 1051.0, 50.0)
    volumes, energies, thermal = [], [], []
    for ratio in np.linspace(0.97, 1.1, 6):
        cell = bulk("Cu", a=COPPER_A * ratio ** (1 / 3), cubic=True)
        cell.calc = EMT()
        volumes.append(cell.get_volume() / 4)
        energies.append(cell.get_potential_energy() / 4)
        thermal.append(phonopy_thermal(cell, temperatures))
    free, entropy, heat = (np.array(one).T for one in zip(*thermal, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is what the command phonopy-qha runs
        oracle = phonopy.PhonopyQHA(
            volumes=volumes, electronic_energies=energies, temperatures=temperatures, free_energy=free, cv=heat,
            entropy=entropy, eos="vinet", t_max=1000,
        )  # fmt: skip
    qha, end = expanded.qha, len(expanded.qha.temperatures_K)
    np.testing.assert_allclose(qha.volumes_A3, oracle.volume_temperature[:end], rtol=1e-5)
    np.testing.assert_allclose(qha.expansion_per_K, oracle.thermal_expansion[:end], rtol=2e-3, atol=1e-8)
    np.testing.assert_allclose(qha.bulk_moduli_GPa, oracle.bulk_modulus_temperature[:end], rtol=1e-3)
    molar = EV_IN_J_PER_MOL * qha.heat_capacities_eV_per_K
    np.testing.assert_allclose(molar, oracle.heat_capacity_P_polyfit[:end], rtol=2e-3, atol=1e-3)


def phonopy_thermal(cell, temperatures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free energy (kJ/mol), entropy and heat capacity (J/K/mol) of phonopy by itself, for a primitive cell."""
    unit = PhonopyAtoms(numbers=cell.numbers, cell=cell.cell.array, scaled_positions=cell.get_scaled_positions())
    alone = phonopy.Phonopy(unit, np.eye(3, dtype=int), primitive_matrix="F")
    alone.generate_displacements(distance=0.01, is_plusminus=True)
    alone.forces = [
        Atoms(one.symbols, positions=one.positions, cell=one.cell, pbc=True, calculator=EMT()).get_forces()
        for one in alone.supercells_with_displacements
    ]
    alone.produce_force_constants()
    alone.run_mesh(20.0)
    alone.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    found = alone.thermal_properties
    return found.free_energy, found.entropy, found.heat_capacity
