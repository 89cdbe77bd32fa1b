"""Minima followed atom by atom: other numbers of like atoms, mirror images, what joins the ends, where to look next."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from dp_sim.recipes.paths.irc.result import IrcResult
from dp_sim.recipes.paths.matching import difference
from dp_sim.recipes.paths.rates.chain.network import PRODUCT, REACTANT, Network
from dp_sim.recipes.paths.rates.chain.sameness import labelled_difference, moved, placement
from dp_sim.recipes.paths.saddle.surface import Cost


def evaluated(atoms, energy, forces=None):
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy, forces=np.zeros((len(atoms), 3)) if forces is None else forces
    )
    return atoms


@pytest.fixture
def methanol():
    """Without symmetry: its OH is turned and one C-H is longer, so that like atoms and mirror images differ."""
    atoms = molecule("CH3OH")
    atoms.set_dihedral(*chain_of(atoms), 80.0, indices=[chain_of(atoms)[3]])
    first = [index for index in range(6) if atoms.symbols[index] == "H"][-1]
    atoms.set_distance(0, first, 1.5, fix=0)
    return evaluated(atoms, -1.0, np.random.default_rng(0).normal(size=(6, 3)))


def chain_of(atoms):
    """Atoms of the dihedral H-C-O-H."""
    carbon, oxygen = atoms.symbols.indices()["C"][0], atoms.symbols.indices()["O"][0]
    hydrogens = sorted(atoms.symbols.indices()["H"], key=lambda index: atoms.get_distance(oxygen, index))
    return hydrogens[1], carbon, oxygen, hydrogens[0]


def turned(atoms, order=None, mirrored=False):
    """The same molecule elsewhere, with its atoms in another order, or mirrored."""
    image = atoms.copy()
    image.rotate(40, "x")
    image.rotate(70, "y")
    image.positions += [1, 2, 3]
    if mirrored:
        image.positions[:, 0] *= -1
    return evaluated(image if order is None else image[order], atoms.get_potential_energy())


@pytest.mark.parametrize(("exchanged", "mirrored"), [(1, False), (1, True), (0, True)])
def test_a_molecule_is_laid_on_itself_with_other_numbers_or_mirrored(methanol, exchanged, mirrored):
    hydrogens = methanol.symbols.indices()["H"]
    order = np.arange(6)
    order[hydrogens] = np.roll(hydrogens, exchanged)
    other = turned(methanol, order, mirrored)
    assert (labelled_difference(other, methanol) > 0.3) == bool(exchanged)
    how = placement(other, methanol)
    assert how.mirrored == mirrored
    laid = moved(other, how)
    assert labelled_difference(laid, methanol) < 1e-8
    # Not only the distances: the handedness, by the volume of three bonds.
    volumes = [np.linalg.det((one.positions - one.positions[0])[1:4]) for one in (laid, methanol)]
    assert volumes[0] == pytest.approx(volumes[1], abs=1e-6)
    assert placement(evaluated(other, -0.9), methanol) is None


def test_forces_go_with_the_atoms(methanol):
    order = np.array([0, 1, 2, 3, 5, 4])
    how = placement(turned(methanol, order, mirrored=True), methanol)
    image = evaluated(methanol[np.argsort(how.order)], -1.0, methanol.get_forces()[np.argsort(how.order)])
    np.testing.assert_allclose(moved(image, how).get_forces(), -methanol.get_forces())


def irc(start, end):
    images, energies = (start, end), np.array([one.get_potential_energy() for one in (start, end)])
    return IrcResult(
        converged=True, images=images, energies=energies, arc_length=np.array([-1.0, 1.0]), reactant=start, product=end,
        frequency_cm1=-500.0, cost=Cost(),
    )  # fmt: skip


def numbered(distance):
    """A hydrogen at some distance along a line of two heavier atoms: each distance another minimum."""
    atoms = molecule("HCN")
    atoms.positions = [[0, 0, 0], [0, 0, 1.2], [0.3, 0, distance]]
    return evaluated(atoms, 0.0)


def step(network, places, start, end, height=1.0, name="search"):
    network.add_step(irc(places[start], places[end]), evaluated(places[start], height), name)


def test_the_way_goes_over_the_lowest_saddle_points_and_gaps_are_closed_from_short_to_long():
    places = [numbered(distance) for distance in (2.0, 6.0, 4.0, 5.0)]
    network = Network(places[0], places[1], [places[0]])
    network.tried(REACTANT, PRODUCT)
    assert network.next_gap() is None
    step(network, places, 0, 2)
    assert network.next_gap() == (2, PRODUCT)
    network.tried(2, PRODUCT)
    step(network, places, 2, 3)
    assert network.next_gap() == (3, PRODUCT)
    assert network.way() == []
    step(network, places, 1, 3, height=3.0)
    assert [(one.start, one.end) for one in network.way()] == [(0, 2), (2, 3), (3, 1)]
    step(network, places, 2, 1, height=2.0)
    assert [(one.start, one.end) for one in network.way()] == [(0, 2), (2, 1)]
    assert labelled_difference(network.way()[1].irc.product, places[1]) < 1e-9
    step(network, places, 2, 1, height=2.5, name="higher")
    assert network.way()[1].place == "search"


def test_minima_that_relax_into_one_are_joined_without_a_step():
    places = [numbered(distance) for distance in (2.0, 6.0, 4.0)]
    network = Network(places[0], places[1], [places[0]])
    step(network, places, 0, 2)
    network.equal(2, PRODUCT)
    assert [(one.start, one.end) for one in network.way()] == [(0, 2)]


def test_a_step_counts_with_exchanged_atoms_where_that_joins_two_minima():
    """A row of three: from the left to the middle, and so, with the ends exchanged, from the middle to the right."""
    left, middle = molecule("CO2"), molecule("CO2")
    left.positions, middle.positions = [[0, 0, 0], [0, 0, 1.0], [0, 0, -2.0]], [[0, 0, 0], [0, 0, 1.5], [0, 0, -1.5]]
    left, middle = evaluated(left, 0.0), evaluated(middle, 0.5)
    right = evaluated(left[[0, 2, 1]], 0.0)
    assert difference([left], [right]) < 1e-9
    assert labelled_difference(left, right) == pytest.approx(1.0)
    network = Network(left, right, [left])
    network.add_step(irc(left, middle), evaluated(middle, 0.6), "")
    assert [(one.start, one.end) for one in network.way()] == [(0, 2), (2, 1)]


def test_the_same_molecule_with_other_numbers_is_another_minimum():
    """Two ends that are like those given, with other atoms moved between them, do not join what was given."""
    left = molecule("CO2")
    left.positions = [[0, 0, 0], [0, 0, 1.0], [0, 0, -2.0]]
    left = evaluated(left, 0.0)
    bent = molecule("CO2")
    bent.positions = [[0, 0, 0], [0, 0, 1.3], [0, 1.9, 0.4]]
    bent, swapped = evaluated(bent, 0.2), evaluated(bent[[0, 2, 1]], 0.2)
    network = Network(left, bent, [left])
    network.add_step(irc(left, swapped), evaluated(bent, 0.6), "")
    assert len(network.minima) == 3
    assert network.way() == []
