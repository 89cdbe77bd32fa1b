"""The ends of a path: one set of atoms in one order, at rest, and two minima."""

import functools

import numpy as np
import pytest
from analytic_surfaces import MINIMA, Surface, at, mueller_brown, stationary
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.recipes.paths.band import ends
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.band.order import ordered_product


def acetaldehyde() -> tuple[Atoms, Atoms, list[int]]:
    """Acetaldehyde before and after a turn of its methyl by 60 degrees, and the methyl's hydrogens."""
    start = molecule("CH3CHO")
    carbons = [k for k in range(7) if start.numbers[k] == 6]
    oxygen = int(np.flatnonzero(start.numbers == 8)[0])
    methyl = max(carbons, key=lambda k: start.get_distance(k, oxygen))
    other = next(k for k in carbons if k != methyl)
    hydrogens = [k for k in range(7) if start.numbers[k] == 1 and start.get_distance(k, methyl) < 1.2]
    end = start.copy()
    axis = start.positions[methyl] - start.positions[other]
    part = end[hydrogens]
    part.rotate(60, axis, center=start.positions[methyl])
    end.positions[hydrogens] = part.positions
    return start, end, hydrogens


def exchanged(atoms: Atoms, i: int, j: int) -> Atoms:
    order = np.arange(len(atoms))
    order[[i, j]] = j, i
    return atoms[order]


def test_two_exchanged_hydrogens_are_told_and_put_back():
    start, end, (first, second, _) = acetaldehyde()
    wrong = exchanged(end, first, second)
    kept, note = ordered_product(start, wrong, match=False)
    np.testing.assert_array_equal(kept.positions, wrong.positions)
    assert "another order of like atoms fits better" in note
    assert "--match-atoms" in note
    relabelled, note = ordered_product(start, wrong, match=True)
    assert "instead of" in note
    assert ordered_product(start, relabelled, match=False)[1] == ""
    spread = np.linalg.norm(relabelled.positions - end.positions)
    assert spread < 1e-9 or ordered_product(start, end, match=False)[1] == ""


def test_a_good_order_is_left_alone():
    start, end, _ = acetaldehyde()
    _, note = ordered_product(start, end, match=True)
    assert note == "match_atoms: the order of the atoms is the best one found"


def test_match_atoms_leaves_no_path_of_an_exchange():
    ammonia, inverted = molecule("NH3"), molecule("NH3")
    inverted.positions[:, 2] *= -1
    assert "exchanged" in ordered_product(ammonia, inverted, match=False)[1]
    with refused("ends-equal", "match_atoms"):
        ordered_product(ammonia, inverted, match=True)


def test_isotopes_follow_their_atoms():
    start, end, (first, _, _) = acetaldehyde()
    masses = start.get_masses()
    masses[first] = 2.014
    start.set_masses(masses)
    end.set_masses(masses)
    shuffled = end[np.random.default_rng(2).permutation(len(end))]
    relabelled, _ = ordered_product(start, shuffled, match=True)
    np.testing.assert_allclose(relabelled.get_masses(), start.get_masses())


def moved_copper(**arrays: list[float]) -> Atoms:
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [2.4, 0, 0], [1.2, 2.1, 0]])
    for name, values in arrays.items():
        atoms.set_array(name, np.array(values))
    return atoms


@pytest.mark.parametrize(
    ("arrays", "refusal"),
    [
        ({"initial_charges": [0.4, 0.3, 0.0]}, ("charge-differs", "charges", "0.7 e")),
        ({"initial_charges": [1.0, 0.0, 0.0]}, ("charge-differs",)),
        ({"initial_magmoms": [1.0, 0.0, 0.0]}, ("charge-differs", "magnetic moments")),
        ({"masses": [63.5, 63.5, 65.0]}, ("masses-differ", "atom 0 (Cu)")),
    ],
)
def test_ends_of_another_charge_spin_or_mass_are_refused(arrays, refusal, tmp_path):
    product = moved_copper(**arrays)
    product.positions[2] = [1.2, -2.1, 0.3]
    with refused(*refusal):
        find_path(moved_copper(), product, ReadsCharges(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class ReadsCharges(EMT):
    """Depends on the charges of the atoms, so that they count."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = self.results["energy"] + self.atoms.get_initial_charges().sum()


def test_an_end_that_does_not_relax_is_no_end(monkeypatch):
    monkeypatch.setattr(ends, "optimize", functools.partial(ends.optimize, steps=1))
    start, end = stationary(MINIMA["A"]), np.add(stationary(MINIMA["B"]), [0.2, 0.1])
    path = find_path(at(*start), at(*end), Surface(mueller_brown), interpolation="linear", steps=2)
    assert not path.converged
    assert "the product did not relax" in path.cause
    assert "no end of a path" in path.cause
    assert "reactant did not" not in path.cause
