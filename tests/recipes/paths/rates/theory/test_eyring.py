"""Two reactants, path degeneracy, Arrhenius fits and NASA polynomials, against hand-made numbers."""

import numpy as np
import pytest
import yaml
from ase import Atoms, units
from ase.build import molecule

from dp_sim.recipes import rate_constant
from dp_sim.recipes.paths.rates.theory.eyring import degeneracy
from dp_sim.recipes.paths.rates.theory.fits import ArrheniusFit, fit_arrhenius
from dp_sim.recipes.paths.rates.theory.mechanism import _enthalpy_row, nasa7
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.symmetry import Symmetry
from dp_sim.recipes.static.vib import vibrations

RANGE = {"temperature_min_K": 300.0, "temperature_max_K": 1000.0, "temperature_step_K": 100.0, "progress": False}


@pytest.fixture(scope="module")
def exchange(xtb):
    """H + H2 -> H2 + H over the saddle point that GFN2-xTB has (a triangle)."""
    guess = Atoms("H3", positions=[[0, 0, 0], [0, 0, 0.95], [0, 0, 1.9]])
    saddle = refine_ts(guess, xtb, fmax=1e-3, progress=False)
    two = optimize(molecule("H2"), xtb, fmax=1e-3, progress=False).atoms
    found = rate_constant(
        [Atoms("H"), two], saddle, xtb, product=[two, Atoms("H")], temperature_K=1000, follow_path=False, **RANGE
    )
    return two, saddle.atoms, found


def test_two_reactants_by_hand(exchange, xtb):
    """k = kT/h (2 pi mu k T/h^2)^(-3/2) q_TS / q_H2 exp(-E/kT): the triangle has symmetry number 2, and counts as 1."""
    two, top, found = exchange
    kT, h = units._k * 1000, units._hplanck
    inertia, mass = units._amu * 1e-20, units._amu * 1.008
    modes = [vibrations(one, xtb, progress=False) for one in (two, top)]

    def vibrational(vib):
        x = vib.frequencies_cm1[vib.frequencies_cm1 > 0] * 100 * units._c * h / kT
        return (np.exp(-x / 2) / (1 - np.exp(-x))).prod()

    per_volume = (2 * np.pi * mass * (2 / 3) * kT / h**2) ** 1.5  # m_H m_H2 / m_H3
    linear = 8 * np.pi**2 * kT / h**2 * two.get_moments_of_inertia()[-1] * inertia / 2
    bent = np.sqrt(np.pi * np.prod(8 * np.pi**2 * kT / h**2 * top.get_moments_of_inertia() * inertia))
    hydrogen = Atoms("H", calculator=xtb).get_potential_energy()
    barrier = (modes[1].energy_eV - modes[0].energy_eV - hydrogen) * units._e
    ratio = bent * vibrational(modes[1]) / (linear * vibrational(modes[0]) * per_volume)
    by_hand = kT / h * ratio * np.exp(-barrier / kT) * 1e6 * 10 ** found._at(found.table.log10_transmission)
    assert found.rate_unit == "cm^3/s"
    assert found.rate == pytest.approx(by_hand, rel=5e-3)
    assert found.rate_per_s is None
    assert found.rate_L_mol_s == pytest.approx(by_hand * units._Nav / 1000, rel=5e-3)
    # Free energies at both standard states give the same rate: 1 mol/L, and 1 bar.
    values = found.to_dict()["values"]
    at_bar, at_molar = (values[f"activation_gibbs_energy{suffix}"]["value"] for suffix in ("", "_1_mol_per_L"))
    kT_eV = units.kB * 1000
    assert kT_eV / (h / units._e) * np.exp(-at_molar / kT_eV) * 10 ** found._at(
        found.table.log10_transmission
    ) == pytest.approx(found.rate_L_mol_s, rel=1e-6)
    molar_volume = units._Nav * kT / 1e5 * 1000
    assert at_bar - at_molar == pytest.approx(kT_eV * np.log(molar_volume), rel=1e-6)


def test_the_pressure_does_not_change_the_rate_constant(exchange, xtb):
    two, top, found = exchange
    dense = rate_constant(
        [Atoms("H"), two],
        top,
        xtb,
        temperature_K=1000,
        pressure_bar=50,
        follow_path=False,
        path_degeneracy=1.0,
        **RANGE,
    )
    assert dense.rate == pytest.approx(found.rate / found.paths.forward, rel=0.05)


def test_equal_sides_are_in_equal_parts(exchange):
    found = exchange[2]
    assert found.equilibrium_constant == pytest.approx(1.0, abs=1e-9)
    assert found.reverse_rate == pytest.approx(found.rate)


class Shape:
    """As much of a state as the degeneracy looks at; of a transition state a little down its path."""

    def __init__(self, group: str, number: int) -> None:
        self.groups, self.symmetry_number = group, number
        self.mirror_images = 2 if group in ("C1", "C2") else 1
        self.on_its_path = Symmetry(group, number)


@pytest.mark.parametrize(
    ("reactant", "saddle", "product", "paths", "ratio"),
    [
        (Shape("Td", 12), Shape("C3v", 3), Shape("C3v", 3), 4, 4),  # a hydrogen taken from methane
        (Shape("D3h", 6), Shape("Cs", 1), Shape("Cs", 1), 6, 6),  # ring opening of cyclopropane
        (Shape("Cs", 1), Shape("C1", 1), Shape("C1", 1), 2, 2),  # anti to gauche: left and right
        (Shape("C1", 1), Shape("C1", 1), Shape("Cs", 1), 1, 0.5),  # and back
        (Shape("C2", 2), Shape("C2", 2), Shape("C2", 2), 1, 1),  # hydrogen peroxide to its mirror image, over C2h
        (Shape("C3v", 3), Shape("C3v", 3), Shape("C3v", 3), 1, 1),  # ammonia inverted, over D3h
        (Shape("Dinfh", 2), Shape("Cinfv", 1), Shape("Dinfh", 2), 2, 1),  # H + H2, over Dinfh: either end
    ],
)
def test_known_degeneracies(reactant, saddle, product, paths, ratio):
    found = degeneracy(reactant, saddle, product, None, gas=True)
    assert (found.forward, found.equilibrium) == (paths, ratio)
    assert str(reactant.symmetry_number) in found.words
    assert degeneracy(reactant, saddle, product, 7.0, gas=True).forward == 7.0
    assert degeneracy(reactant, saddle, product, None, gas=False).forward == 1.0


def test_a_transition_state_is_less_symmetric_on_its_path(exchange, xtb):
    """The triangle H3 has an axis that exchanges reactant and product; ammonia's plane has three."""
    found = exchange[2]
    assert State((found.saddle,)).groups == "C2v"
    assert State((found.saddle,)).on_its_path.number == 1
    assert found.paths.forward == 2
    flat = Atoms("NH3", positions=[[0, 0, 0], [1, 0, 0], [-0.5, 3**0.5 / 2, 0], [-0.5, -(3**0.5) / 2, 0]])
    flat = State((vibrations(optimize(flat, xtb, fmax=1e-3, progress=False).atoms, xtb, progress=False),))
    assert (flat.groups, flat.symmetry_number) == ("D3h", 6)
    assert flat.on_its_path == ("C3v", 3)


def test_fits_give_back_what_they_are_made_of():
    temperatures = np.linspace(250.0, 1500.0, 26)
    plain = ArrheniusFit(3e13, 0.0, 0.45, 1.0)
    curved = ArrheniusFit(2e6, 2.1, 0.31, 1.0)
    for made, modified in ((plain, False), (curved, True)):
        found = fit_arrhenius(temperatures, made.log10_rate(temperatures), modified=modified)
        np.testing.assert_allclose(found, made, rtol=1e-6)
    bent = fit_arrhenius(temperatures, curved.log10_rate(temperatures), modified=False)
    assert bent.energy_eV > curved.energy_eV  # E + n k T of the middle
    assert bent.largest_ratio > 1.1
    assert fit_arrhenius(temperatures[:2], np.array([1.0, 2.0]), modified=True) is None


def test_nasa_polynomials_give_the_heat_and_free_energy_that_they_were_fitted_to(xtb):
    water = vibrations(optimize(molecule("H2O"), xtb, fmax=1e-3, progress=False).atoms, xtb, progress=False)
    temperatures = np.linspace(200.0, 3000.0, 113)
    table = water.thermochemistry(temperatures, 1.0)
    kT = units.kB * temperatures
    zero = water.thermochemistry([298.15], 1.0).enthalpy_eV[0]
    low, high = nasa7(temperatures, (table.gibbs_energy_eV - zero) / kT, (table.enthalpy_eV - zero) / kT)
    for coefficients, chosen in ((low, temperatures <= 1000), (high, temperatures >= 1000)):
        t = temperatures[chosen]
        powers = np.column_stack([t**k for k in range(5)])
        heat = powers @ coefficients[:5]
        np.testing.assert_allclose(heat, table.heat_capacity_eV_per_K[chosen] / units.kB, rtol=0.01)
        enthalpy = (powers / np.arange(1, 6)) @ coefficients[:5] + coefficients[5] / t
        np.testing.assert_allclose(enthalpy, (table.enthalpy_eV[chosen] - zero) / kT[chosen], atol=5e-3)
        entropy = coefficients[0] * np.log(t) + (powers[:, 1:] / np.arange(1, 5)) @ coefficients[1:5] + coefficients[6]
        np.testing.assert_allclose(entropy, table.entropy_eV_per_K[chosen] / units.kB, atol=5e-3)
    assert _enthalpy_row(np.array([500.0])).shape == (1, 7)


def test_the_mechanism_is_what_cantera_reads(exchange):
    """Read by Cantera 3.2 too, whose rate and equilibrium constants are these (3.94e12 L/mol/s at 1000 K, K = 1)."""
    found = exchange[2]
    content = yaml.safe_load(found.to_cantera())
    assert content["units"] == {"length": "cm", "quantity": "mol", "activation-energy": "J/mol"}
    names = content["phases"][0]["species"]
    assert names == ["H_reactant1", "H2_reactant2", "H2_product1", "H_product2"]
    assert [one["name"] for one in content["species"]] == names
    for one in content["species"]:
        assert one["thermo"]["model"] == "NASA7"
        assert [len(data) for data in one["thermo"]["data"]] == [7, 7]
        assert one["thermo"]["reference-pressure"] == 1e5
    (reaction,) = content["reactions"]
    assert reaction["equation"] == "H_reactant1 + H2_reactant2 <=> H2_product1 + H_product2"
    rate = reaction["rate-constant"]
    arrhenius = rate["A"] * 1000.0 ** rate["b"] * np.exp(-rate["Ea"] / (units._k * units._Nav * 1000))
    assert arrhenius / 1000 == pytest.approx(found.rate_L_mol_s, rel=0.02)  # cm^3 to L


def test_other_masses_give_the_frequencies_of_a_new_computation(xtb):
    water = optimize(molecule("H2O"), xtb, fmax=1e-3, progress=False).atoms
    light = vibrations(water, xtb, progress=False)
    heavy = vibrations(water, xtb, isotopes=["H=D"], progress=False)
    swapped = State((light,)).with_isotopes(["H=D"]).parts[0]
    np.testing.assert_allclose(swapped.frequencies_cm1, heavy.frequencies_cm1, atol=0.5)
    assert swapped.zero_point_energy_eV == pytest.approx(heavy.zero_point_energy_eV, abs=1e-4)
