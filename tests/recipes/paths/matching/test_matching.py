"""Matching of atoms: a structure is itself, wherever it lies and however its atoms are numbered."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from refusals import refused
from scipy.spatial.transform import Rotation

from dp_sim.recipes.paths.matching import (
    best_matching,
    courses,
    difference,
    same_change,
    same_hands,
    same_structure,
)


def scrambled(atoms: Atoms, seed: int) -> tuple[Atoms, np.ndarray]:
    """The same molecule turned, moved and renumbered, and by which permutation."""
    rng = np.random.default_rng(seed)
    permutation = rng.permutation(len(atoms))
    other = atoms[permutation]
    other.positions = Rotation.random(rng=rng).apply(other.positions) + 3 * rng.normal(size=3)
    return other, permutation


@pytest.mark.parametrize("name", ["CH3CH2OH", "C6H6", "C2H6", "isobutane", "CO", "H2O"])
def test_a_molecule_is_itself_in_any_order_and_place(name):
    atoms = molecule(name)
    other, _ = scrambled(atoms, 3)
    found = same_structure(atoms, other)
    assert found.rmsd_A < 1e-6
    assert found.same
    np.testing.assert_array_equal(other.numbers[found.permutation], atoms.numbers)


def test_without_relabelling_the_order_counts():
    ethane, turned = molecule("C2H6"), molecule("C2H6")
    turned.positions[2:5] = turned.positions[[3, 4, 2]]
    found = same_structure(ethane, turned, relabel=False)
    assert found.rmsd_A > 0.3
    assert found.same_bonds
    assert not found.same


def test_a_mirror_image_has_the_same_bonds_and_is_another_structure():
    """CHFClBr: no rotation lays it on its mirror image."""
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.8
    hand = Atoms("CHFClBr", corners * np.array([1.0, 0.79, 0.97, 1.27, 1.39])[:, None])
    other = hand.copy()
    other.positions[:, 0] *= -1
    found = same_structure(hand, other)
    assert found.same_bonds
    assert not found.same


def test_bonds_that_differ_are_named():
    hcn = Atoms("HCN", [[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", [[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    found = same_structure(hcn, hnc)
    assert not found.same_bonds
    assert found.broken == ((0, 1),)
    assert found.formed == ((0, 2),)


def test_isomers_with_equal_neighbourhoods_are_told_apart():
    """Decalin and bicyclopentyl: each atom has the same neighbours in both, out to any distance."""
    decalin = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (4, 6), (6, 7), (7, 8), (8, 9), (9, 5)]
    bicyclopentyl = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 5)]
    from dp_sim.recipes.paths.matching.bond_graph import equal_graphs

    matrices = []
    for bonds in (decalin, bicyclopentyl):
        matrix = np.zeros((10, 10), dtype=bool)
        for i, j in bonds:
            matrix[i, j] = matrix[j, i] = True
        matrices.append(matrix)
    carbons = np.full(10, 6)
    assert not equal_graphs((carbons, carbons), tuple(matrices))
    assert equal_graphs((carbons, carbons), (matrices[0], matrices[0][::-1, ::-1]))


def test_two_exchanged_hydrogens_of_a_methyl_are_found():
    ethanol = molecule("CH3CH2OH")
    other = ethanol.copy()
    other.rotate(30, "x")
    other.set_dihedral(3, 2, 0, 1, other.get_dihedral(3, 2, 0, 1) + 20, indices=[3])
    methyl = [k for k in range(9) if ethanol.numbers[k] == 1 and ethanol.get_distance(k, 1) < 1.2]
    other = other[[methyl[1] if k == methyl[0] else methyl[0] if k == methyl[1] else k for k in range(9)]]
    found = best_matching(ethanol, other)
    expected = np.arange(9)
    expected[methyl[:2]] = methyl[1], methyl[0]
    np.testing.assert_array_equal(found.permutation, expected)
    assert not found.is_identity
    assert found.n_changed_bonds == 0


def test_a_crystal_is_matched_through_its_boundaries():
    rng = np.random.default_rng(5)
    crystal = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (2, 1, 1)
    other = crystal[rng.permutation(len(crystal))]
    other.positions += 0.05 * rng.normal(size=other.positions.shape) + [0.7, -0.4, 5.0]
    other.wrap()
    found = same_structure(crystal, other)
    assert 0.03 < found.rmsd_A < 0.1
    np.testing.assert_array_equal(other.numbers[found.permutation], crystal.numbers)


def test_other_atoms_cannot_be_matched():
    with refused("composition-differs", "H2O", "CO2"):
        same_structure(molecule("H2O"), molecule("CO2"))


def water_and_hydrogen_chloride(order: list[int]) -> Atoms:
    """OClH3: the first two hydrogens of the order are the water's, near and far from the chlorine, the last is its."""
    atoms = Atoms("OClH3", np.zeros((5, 3)))
    atoms.positions[1] = [0, -3.2, 0]
    atoms.positions[2 + np.array(order)] = [[0.96, -0.1, 0], [-0.4, 0.87, 0], [0, -1.9, 0]]
    return atoms


def test_the_same_bonds_change_where_like_atoms_of_an_end_lie_otherwise():
    """A hydrogen goes from chlorine to water and another one back; which place it takes in the water is no matter."""
    given = [water_and_hydrogen_chloride([0, 1, 2]), water_and_hydrogen_chloride([2, 1, 0])]
    turned = [given[0], water_and_hydrogen_chloride([1, 2, 0])]
    other = [water_and_hydrogen_chloride([1, 0, 2]), water_and_hydrogen_chloride([2, 0, 1])]
    assert difference(turned, given) > 0.3
    assert same_change(turned, given)
    assert same_change(other, given)  # the other one of two like atoms goes
    assert not same_change([given[0], given[0]], given)  # nothing is exchanged
    assert not same_change([given[0], water_and_hydrogen_chloride([1, 0, 2])], given)  # water turns, no bond changes
    assert not same_change([given[0], given[0]], [given[0], given[0]])
    assert not same_change(turned[::-1], [Atoms("OClH3", one.positions, cell=[9, 9, 9], pbc=True) for one in given])


def four(entering: float, hydrogens: str = "HHH") -> list[Atoms]:
    """A carbon with three neighbours that gives a chlorine away and takes a fluorine up, from the side given by a sign.

    The second structure is numbered as the first one; its umbrella opens away from the fluorine.
    """
    ring = np.array([[np.cos(turn), np.sin(turn), 0] for turn in 2 * np.pi / 3 * np.arange(3)])
    pair = []
    for near, far, sign in ((1.8, 4.0, 1.0), (4.0, 1.4, entering)):
        places = np.vstack([1.1 * ring - [0, 0, 0.4 * sign], [0, 0, near], [0, 0, far * entering]])
        pair.append(Atoms("C" + hydrogens + "ClF", np.vstack([np.zeros(3), places])))
    return pair


def test_inversion_and_retention_are_told_apart():
    """At CHBrI three neighbours are unlike: inversion gives the mirror image of what retention gives."""
    front, back = four(1.0, "HBrI"), four(-1.0, "HBrI")
    assert same_hands(front, front)
    assert same_hands([Atoms(one.numbers, -one.positions) for one in front], front)
    assert not same_hands(back, front)
    assert same_hands(four(-1.0), four(1.0))  # three hydrogens: no stereocentre
    assert courses(four(1.0)) == {("C", 1): 1}
    assert courses(four(-1.0)) == {("C", -1): 1}
