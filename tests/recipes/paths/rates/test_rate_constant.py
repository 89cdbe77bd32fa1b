"""Rate constants and their verdict: HCN to HNC at GFN2-xTB, failures planted, and laws that hold for any reaction."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import add_adsorbate, fcc100, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from refusals import refused

from dp_sim.errors import InputError
from dp_sim.recipes import load_result, rate_constant
from dp_sim.recipes.paths.rates.settled import reasons_at_rest
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.vib import vibrations
from dp_sim.recipes.static.vib_result import VibResult

RANGE = {"temperature_min_K": 300.0, "temperature_max_K": 1000.0, "temperature_step_K": 100.0, "progress": False}


@pytest.fixture(scope="module")
def forward(isomers, xtb, tmp_path_factory):
    out = tmp_path_factory.mktemp("rate") / "run"
    return rate_constant(
        isomers.hcn, isomers.saddle, xtb, irc=isomers.irc, temperature_K=800, isotopes=["H=D"], out=out, **RANGE
    )


def test_a_sound_reaction_passes_with_the_product_from_its_path(forward, isomers):
    assert forward.verdict == "PASS"
    assert forward.converged
    assert forward.reasons == ()
    energies = [one.get_potential_energy() for one in (isomers.hcn, isomers.hnc, isomers.saddle)]
    assert forward.barrier_eV == pytest.approx(energies[2] - energies[0], abs=1e-4)
    assert forward.products[0].energy_eV == pytest.approx(energies[1], abs=1e-3)
    values = forward.to_dict()["values"]
    assert values["verdict"]["value"] == "PASS"
    assert all((one["value"] is None) == bool(one["cause"]) for one in values.values())
    assert (forward.directory / "report.html").read_text().count("PASS") >= 2


def test_the_rate_is_eyrings_by_hand(forward, isomers, xtb):
    """Partition functions of Herzberg and Wilson, from moments of inertia and frequencies alone.

    q = (2 pi m k T)^(3/2)/h^3 cancels; linear: 8 pi^2 I k T / h^2; bent: sqrt(pi) (8 pi^2 k T / h^2)^(3/2) sqrt(ABC).
    """
    kT, h = units._k * 800, units._hplanck
    inertia = units._amu * 1e-20

    def vibrational(vib):
        x = vib.frequencies_cm1[vib.frequencies_cm1 > 0] * 100 * units._c * h / kT
        return np.exp(-x / 2).prod() / (1 - np.exp(-x)).prod()

    start, top = vibrations(isomers.hcn, xtb, progress=False), vibrations(isomers.saddle, xtb, progress=False)
    linear = 8 * np.pi**2 * kT / h**2 * isomers.hcn.get_moments_of_inertia()[-1] * inertia
    bent = np.sqrt(np.pi * np.prod(8 * np.pi**2 * kT / h**2 * isomers.saddle.get_moments_of_inertia() * inertia))
    ratio = bent * vibrational(top) / (linear * vibrational(start))
    barrier = (top.energy_eV - start.energy_eV) * units._e
    factor = 10 ** forward._at(forward.table.log10_transmission)
    assert forward.rate == pytest.approx(factor * kT / h * ratio * np.exp(-barrier / kT), rel=5e-3)
    assert forward.rate_per_s == forward.rate
    assert forward.rate_unit == "1/s"


def test_forward_and_back_obey_the_equilibrium(forward, isomers, xtb):
    """Detailed balance: the reverse computed by itself, and K from the thermochemistry of the ends."""
    back = rate_constant(isomers.hnc, isomers.saddle, xtb, irc=isomers.irc, temperature_K=800, **RANGE)
    assert back.verdict == "PASS"
    np.testing.assert_allclose(back.table.log10_forward, forward.table.log10_reverse, atol=1e-3)
    np.testing.assert_allclose(back.table.log10_equilibrium, -forward.table.log10_equilibrium, atol=1e-3)
    gibbs = [vibrations(one, xtb, progress=False).thermochemistry([800.0], 1.0).gibbs_energy_eV[0]
             for one in (isomers.hcn, isomers.hnc)]  # fmt: skip
    assert forward.equilibrium_constant == pytest.approx(np.exp(-(gibbs[1] - gibbs[0]) / (units.kB * 800)), rel=5e-3)


def test_deuterium_is_slower_and_slower_still_in_the_cold(forward):
    """The effect of zero-point energies alone is exp(dE/kT); tunnelling adds to it."""
    effects = 10 ** (forward.table.log10_forward - forward.heavy.log10_forward)
    assert (effects > 1).all()
    assert (np.diff(effects) < 0).all()
    assert forward.heavy.frequency_cm1 / forward.table.frequency_cm1 == pytest.approx(1 / np.sqrt(2), abs=0.06)
    assert forward.kinetic_isotope_effect == pytest.approx(effects[5])


def test_it_comes_back_from_its_directory(forward):
    again = load_result(forward.directory)
    assert again.to_dict()["values"] == forward.to_dict()["values"]
    assert again.verdict == "PASS"


def test_a_minimum_given_as_transition_state_fails(isomers, xtb):
    found = rate_constant(isomers.hcn, isomers.hcn, xtb, **RANGE)
    assert (found.verdict, found.converged, found.rate) == ("FAIL", False, None)
    assert "no imaginary mode" in found.reasons[0]
    assert found.to_dict()["values"]["rate_constant"]["value"] is None


def test_a_second_order_saddle_fails(xtb):
    """Ethane eclipsed and with one methyl group flat is no transition state; planar, linear water has two ways down."""
    water = optimize(molecule("H2O"), xtb, fmax=1e-3, progress=False).atoms
    straight = Atoms("OHH", positions=[[0, 0, 0], [0, 0, 0.93], [0, 0, -0.93]])
    straight = optimize(straight, xtb, fmax=1e-3, progress=False).atoms
    found = rate_constant(water, straight, xtb, **RANGE)
    assert found.verdict == "FAIL"
    assert "2 imaginary modes" in found.reasons[0]


def test_a_path_that_ends_elsewhere_fails(isomers, xtb):
    """HCN on both sides: the product is another; and a reactant that the path does not lead to."""
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, product=isomers.hcn, irc=isomers.irc, **RANGE)
    assert found.verdict == "FAIL"
    assert "does not join the ends" in found.reasons[0]
    assert found.rate is not None


def test_a_path_of_another_saddle_point_fails(isomers, xtb):
    other = isomers.saddle.copy()
    other.calc = isomers.saddle.calc
    moved = type(isomers.irc)(**{**vars(isomers.irc), "images": tuple(reversed(isomers.irc.images[:3]))})
    moved = type(moved)(**{**vars(moved), "arc_length": np.array([0.0, 1.0, 2.0]), "energies": moved.energies[:3]})
    found = rate_constant(isomers.hcn, other, xtb, irc=moved, **RANGE)
    assert found.verdict == "FAIL"
    assert "does not begin at the transition state" in found.reasons[0]


def test_a_path_that_was_not_followed_is_not_believed(isomers, xtb):
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, follow_path=False, **RANGE)
    assert found.verdict == "FAIL"
    assert "was not followed" in found.reasons[0]
    assert "Wigner" in found.tunnelling_words
    assert found.equilibrium_constant is None


def test_a_molecule_that_noise_keeps_from_turning_fails(isomers, xtb, monkeypatch):
    """A rotation that seems to cost something would be counted as a vibration; asked for in words, it may be."""
    held = property(lambda vib: vib.n_imaginary == 0)
    monkeypatch.setattr(VibResult, "is_free_molecule", held)
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, irc=isomers.irc, **RANGE)
    assert found.verdict == "FAIL"
    assert "does not turn freely" in found.reasons[0]
    asked = rate_constant(isomers.hcn, isomers.saddle, xtb, irc=isomers.irc, thermo="harmonic", **RANGE)
    assert asked.verdict == "PASS"


def test_ends_that_soft_motions_set_apart_are_compared_at_rest(isomers, xtb):
    """An end bent by 65 degrees has the bonds of HCN, and relaxes to it: it is no other minimum."""
    bent = isomers.irc.reactant.copy()
    hydrogen = 0 if bent.symbols[0] == "H" else 2
    bent.set_angle(*(0, 1, 2) if hydrogen == 0 else (2, 1, 0), 115, indices=[hydrogen])
    bent.calc = SinglePointCalculator(bent, energy=float(isomers.irc.reactant.get_potential_energy()) + 0.01)
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, product=isomers.hnc, irc=isomers.irc, **RANGE)
    assert "ends at rest" not in [cost.stage for cost in found.costs]
    loose = replace(isomers.irc, reactant=bent)
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, product=isomers.hnc, irc=loose, **RANGE)
    assert found.verdict == "PASS", found.reasons
    assert "ends at rest" in [cost.stage for cost in found.costs]


def test_other_ends_stay_others_at_rest(isomers, xtb):
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, product=isomers.hcn, irc=isomers.irc, **RANGE)
    assert (found.verdict, found.outcome) == ("FAIL", "")
    words = reasons_at_rest(isomers.irc, evaluated(isomers.hcn, xtb), evaluated(isomers.hcn, xtb), xtb)
    assert "other bonds" in words[0]


def evaluated(atoms, calc):
    copied = atoms.copy()
    copied.calc = calc
    copied.calc = SinglePointCalculator(copied, energy=copied.get_potential_energy())
    return copied


def test_a_symmetry_that_cannot_be_found_fails_with_the_reason(isomers, xtb, monkeypatch):
    def lost(vib):
        raise InputError("symmetry-not-found", "the point group cannot be found")

    monkeypatch.setattr(VibResult, "symmetry", property(lost))
    found = rate_constant(isomers.hcn, isomers.saddle, xtb, irc=isomers.irc, **RANGE)
    assert (found.verdict, found.rate) == ("FAIL", None)
    assert "point group" in found.reasons[-1]


def test_an_end_that_is_no_minimum_fails(isomers, xtb):
    found = rate_constant(isomers.saddle, isomers.saddle, xtb, irc=isomers.irc, relax=False, **RANGE)
    assert found.verdict == "FAIL"
    assert "the reactant is no minimum" in found.reasons[0]


def test_bad_input_is_refused(isomers, xtb):
    for wrong in (0.0, -10.0):
        with refused("setting-out-of-range", "temperature_K", wrong):
            rate_constant(isomers.hcn, isomers.saddle, xtb, temperature_K=wrong)
    with refused("ends-differ", "CHN", "H2O"):
        rate_constant(molecule("H2O"), isomers.saddle, xtb)
    with refused("ends-differ", "periodic"):
        boxed = isomers.hcn.copy()
        boxed.cell, boxed.pbc = [9, 9, 9], True
        rate_constant(boxed, isomers.saddle, xtb)
    apart = Atoms("HCN", positions=[[-7.0, 0, 0], [0, 0, 0], [1.15, 0, 0]])
    with refused("reactant-fragments", "CN", "H", "apart"):
        rate_constant(apart, isomers.saddle, xtb)
    near = Atoms("HCN", positions=[[-2.2, 0, 0], [0, 0, 0], [1.15, 0, 0]])
    with refused("reactant-fragments", "unimolecular", "2 fragments"):
        rate_constant(near, isomers.saddle, xtb, molecularity="unimolecular")
    with refused("isotope-order", "0=D"):
        rate_constant(isomers.hcn[[1, 0, 2]], isomers.saddle, xtb, isotopes=["0=D"])
    with refused("charge-differs", "charge of 1"):
        charged = isomers.hcn.copy()
        charged.info["charge"] = 1
        rate_constant(charged, isomers.saddle, xtb)


@pytest.fixture(scope="module")
def hop():
    """A copper atom in a hollow of Cu(100), and on the bridge: the saddle point of its hop, by symmetry."""

    def relaxed(site: str) -> Atoms:
        slab = fcc100("Cu", size=(2, 2, 2), vacuum=6.0)
        add_adsorbate(slab, "Cu", 1.7, site)
        slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
        slab.info.clear()
        return optimize(slab, EMT(), fmax=1e-3, progress=False).atoms

    return relaxed("hollow"), relaxed("bridge")


def test_the_hop_of_an_adatom_has_vineyards_prefactor(hop):
    """The product of the frequencies at the minimum over those at the saddle: 1e12 to 1e13 1/s for a metal."""
    start, top = hop
    found = rate_constant(start, top, EMT(), temperature_K=300, follow_path=False, tunnelling="none", **RANGE)
    values = found.to_dict()["values"]
    low, high = (vibrations(one, EMT(), progress=False).frequencies_cm1 for one in hop)
    exact = np.exp(np.log(low).sum() - np.log(high[1:]).sum()) * 100 * units._c
    assert values["vineyard_prefactor"]["value"] == pytest.approx(exact, rel=1e-3)
    assert 1e12 < exact < 2e13
    barrier = top.get_potential_energy() - start.get_potential_energy()
    classical = exact * np.exp(-barrier / (units.kB * 300))
    assert values["vineyard_rate_constant"]["value"] == pytest.approx(classical, rel=1e-2)
    # Quantum vibrations go over into classical ones where it is hot.
    hot = rate_constant(start, top, EMT(), temperature_K=3000, follow_path=False, tunnelling="none", **RANGE)
    assert hot.rate == pytest.approx(hot.to_dict()["values"]["vineyard_rate_constant"]["value"], rel=5e-3)
    assert "standard_state" in values
    assert values["activation_gibbs_energy"]["unit"] == "eV"
