"""Thermochemistry against published entropies, and against the formulas written out."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from refusals import refused

from dp_sim.recipes.static.thermochemistry import Molecule, electron_multiplicity, thermochemistry

#: S at 298.15 K and 1 bar, J/mol/K (NIST-JANAF), from experimental geometries, fundamentals (cm^-1; T. Shimanouchi,
#: Tables of Molecular Vibrational Frequencies, 1972), symmetry numbers and spins.
PUBLISHED = {
    "H2O": (188.84, [1595, 3657, 3756], 2, 1),
    "CO2": (213.79, [667, 667, 1333, 2349], 2, 1),
    "CH4": (186.25, [1306] * 3 + [1534] * 2 + [2917] + [3019] * 3, 12, 1),
    "N2": (191.61, [2330], 2, 1),
    "O2": (205.15, [1556], 2, 3),
    "C2H6": (229.2, [289, 822, 822, 995, 1190, 1190, 1379, 1388, 1468, 1468, 1469, 1469, 2896, 2954, 2969, 2969,
                     2985, 2985], 6, 1),
    "C6H6": (269.2, [398, 398, 606, 606, 673, 707, 849, 849, 967, 967, 990, 993, 1010, 1037, 1037, 1146, 1178, 1178,
                     1309, 1350, 1479, 1479, 1599, 1599, 3036, 3047, 3047, 3057, 3062, 3064, 3064, 3073], 12, 1),
}  # fmt: skip


def gas(name: str, symmetry_number: int = 1, multiplicity: int = 1) -> Molecule:
    atoms = molecule(name)
    if name in ("N2", "O2"):  # that collection's bonds are 3 % too long
        atoms.set_distance(0, 1, {"N2": 1.0977, "O2": 1.2075}[name])
    linear = name in ("CO2", "N2", "O2", "H2")
    return Molecule(atoms=atoms, linear=linear, symmetry_number=symmetry_number, spin_multiplicity=multiplicity)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_entropies(name):
    entropy, frequencies, number, multiplicity = PUBLISHED[name]
    table = thermochemistry(
        np.array(frequencies, float), 0.0, [298.15], 1.0, method="ideal-gas", molecule=gas(name, number, multiplicity)
    )
    assert table.entropy_J_mol_K[0] == pytest.approx(entropy, abs=1.6 if len(frequencies) > 9 else 0.4)


@pytest.mark.parametrize(("name", "heat"), [("H2O", 33.59), ("CO2", 37.13), ("CH4", 35.69), ("N2", 29.12)])
def test_published_heat_capacities(name, heat):
    """Cp at 298.15 K, J/mol/K (NIST-JANAF)."""
    _, frequencies, number, multiplicity = PUBLISHED[name]
    molecule = gas(name, number, multiplicity)
    table = thermochemistry(np.array(frequencies, float), 0.0, [298.15], 1.0, method="ideal-gas", molecule=molecule)
    assert table.heat_capacity_J_mol_K[0] == pytest.approx(heat, abs=0.2)


@pytest.mark.parametrize("method", ["ideal-gas", "quasi-rrho", "raised", "harmonic"])
def test_the_heat_capacity_is_the_slope_of_the_enthalpy(method):
    frequencies, step = np.array([40.0, 130.0, 900.0, 3000.0]), 0.01
    made = None if method == "harmonic" else gas("H2O")
    temperatures = np.array([30.0, 300.0, 2000.0])

    def enthalpy(shift):
        return thermochemistry(frequencies, 1.0, temperatures + shift, 1.0, method=method, molecule=made).enthalpy_eV

    table = thermochemistry(frequencies, 1.0, temperatures, 1.0, method=method, molecule=made)
    slope = (enthalpy(step) - enthalpy(-step)) / (2 * step)
    np.testing.assert_allclose(table.heat_capacity_eV_per_K, slope, rtol=1e-6)
    cold = thermochemistry(frequencies, 1.0, [0.5], 1.0, method=method, molecule=made)
    assert np.isfinite(cold.heat_capacity_eV_per_K).all()  # exp(e/kT) would overflow


def test_an_atom_has_the_entropy_of_sackur_and_tetrode():
    """Argon, 154.85 J/mol/K at 1 bar (NIST-JANAF 154.84); ten times the pressure takes R ln 10."""
    argon = Molecule(atoms=Atoms("Ar"), linear=False, symmetry_number=1, spin_multiplicity=1)
    one = thermochemistry(np.zeros(0), -1.0, [298.15], 1.0, method="ideal-gas", molecule=argon)
    ten = thermochemistry(np.zeros(0), -1.0, [298.15], 10.0, method="ideal-gas", molecule=argon)
    assert one.entropy_J_mol_K[0] == pytest.approx(154.84, abs=0.02)
    assert one.entropy_J_mol_K[0] - ten.entropy_J_mol_K[0] == pytest.approx(8.314463 * np.log(10), rel=1e-5)
    assert one.enthalpy_eV[0] == pytest.approx(-1.0 + 2.5 * 8.617333e-5 * 298.15, rel=1e-7)
    np.testing.assert_allclose(one.gibbs_energy_eV, one.enthalpy_eV - 298.15 * one.entropy_eV_per_K)


def test_harmonic_modes_follow_einstein():
    """U and S of one oscillator from its partition function Z = exp(-e/2kT) / (1 - exp(-e/kT))."""
    energy, temperatures = 500 * units.invcm, np.array([5.0, 150.0, 900.0])
    table = thermochemistry(np.array([500.0]), 2.0, temperatures, 1.0, method="harmonic", molecule=None)

    def free(t):
        return energy / 2 + units.kB * t * np.log(-np.expm1(-energy / (units.kB * t)))

    step = 1e-3
    np.testing.assert_allclose(table.gibbs_energy_eV, 2.0 + free(temperatures), rtol=1e-10)
    slope = (free(temperatures - step) - free(temperatures + step)) / (2 * step)
    np.testing.assert_allclose(table.entropy_eV_per_K, slope, rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(table.enthalpy_eV, table.internal_energy_eV)
    assert table.zero_point_energy_eV == pytest.approx(energy / 2)


def test_grimmes_rotor_written_out():
    """Eqs. 4-8 of Chem. Eur. J. 18, 9955 (2012), in SI units."""
    nu, t, k, h = 40.0, 300.0, units._k, units._hplanck
    omega = nu * 100 * units._c
    mu = h / (8 * np.pi**2 * omega)
    reduced = mu * 1e-44 / (mu + 1e-44)
    rotor = k * (0.5 + np.log(np.sqrt(8 * np.pi**3 * reduced * k * t / h**2)))
    x = h * omega / (k * t)
    vibration = k * (x / np.expm1(x) - np.log(-np.expm1(-x)))
    weight = 1 / (1 + (100 / nu) ** 4)
    none = thermochemistry(np.zeros(0), 0.0, [t], 1.0, method="quasi-rrho", molecule=gas("H2O"))
    one = thermochemistry(np.array([nu]), 0.0, [t], 1.0, method="quasi-rrho", molecule=gas("H2O"))
    expected = (weight * vibration + (1 - weight) * rotor) / units._e
    np.testing.assert_allclose(one.entropy_eV_per_K - none.entropy_eV_per_K, expected, rtol=1e-6)


def test_raised_frequencies_count_as_100():
    low, at = (
        thermochemistry(np.array([nu, 900.0]), 0.0, [400.0], 1.0, method="raised", molecule=gas("H2O"))
        for nu in (23.0, 100.0)
    )
    np.testing.assert_allclose(low.gibbs_energy_eV, at.gibbs_energy_eV)


def test_a_transition_state_leaves_its_reaction_coordinate_out_and_says_so():
    with_barrier = thermochemistry(np.array([-900.0, 1500.0]), 0.0, [300.0], 1.0, method="harmonic", molecule=None)
    without = thermochemistry(np.array([1500.0]), 0.0, [300.0], 1.0, method="harmonic", molecule=None)
    np.testing.assert_allclose(with_barrier.gibbs_energy_eV, without.gibbs_energy_eV)
    assert "-900" in with_barrier.notes[0]
    assert "-900" in str(with_barrier)


def test_a_flat_vibration_is_counted_at_the_bound_and_named():
    flat = thermochemistry(np.array([-4.0, 3.0, 1500.0]), 0.0, [300.0], 1.0, method="harmonic", molecule=None)
    bound = thermochemistry(np.array([10.0, 10.0, 1500.0]), 0.0, [300.0], 1.0, method="harmonic", molecule=None)
    np.testing.assert_allclose(flat.gibbs_energy_eV, bound.gibbs_energy_eV)
    assert "2 vibration(s) within 10" in flat.notes[0]


def test_refusals():
    for temperatures, pressure in (([0.0], 1.0), ([], 1.0), ([300.0, np.nan], 1.0), ([300.0], -1.0)):
        with refused("setting-out-of-range"):
            thermochemistry(np.array([900.0]), 0.0, temperatures, pressure, method="harmonic", molecule=None)
    with refused("structure-not-minimum", "order 2"):
        thermochemistry(np.array([-900.0, -80.0]), 0.0, [300.0], 1.0, method="harmonic", molecule=None)


def test_the_multiplicity_follows_the_electrons():
    assert electron_multiplicity(molecule("H2O"), None) == 1
    assert electron_multiplicity(molecule("OH"), None) == 2
    charged = molecule("OH")
    charged.info["charge"] = -1
    assert electron_multiplicity(charged, None) == 1
    assert electron_multiplicity(molecule("O2"), 3) == 3
    triplet = Atoms("O2", [[0, 0, 0], [0, 0, 1.2]], info={"multiplicity": 3})
    assert electron_multiplicity(triplet, None) == 3  # it was 1, beside energies of the triplet
    cation = Atoms("OH", [[0, 0, 0], [0, 0, 1]], charges=[0, 1])
    assert electron_multiplicity(cation, None) == 1
    with refused("spin-impossible", "spin_multiplicity=2"):
        electron_multiplicity(molecule("H2"), 2)


def test_the_table_as_text_and_as_csv():
    table = thermochemistry(np.array([900.0]), 0.0, [300.0, 400.0], 1.0, method="harmonic", molecule=None)
    lines = table.to_csv().splitlines()
    assert lines[0].split(",")[0] == "temperature_K"
    assert float(lines[2].split(",")[4]) == pytest.approx(table.gibbs_energy_eV[1])
    assert float(lines[1].split(",")[6]) == pytest.approx(table.heat_capacity_J_mol_K[0])
    assert len(str(table).splitlines()) == 4


@pytest.mark.parametrize(("method", "named"), [("quasi-rrho", "Grimme"), ("raised", "Cramer"), ("ideal-gas", "2 bar")])
def test_method_and_pressure_are_named(method, named):
    table = thermochemistry(np.array([900.0]), 0.0, [300.0], 2.0, method=method, molecule=gas("H2O"))
    assert named in table.words
    assert method in str(table)
