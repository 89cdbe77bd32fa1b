"""Molecules found by distance, and the barostat that moves them whole."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from dp_sim.recipes.dynamics.molecules import find_molecules, has_broken_bond


def groups(bonds: list[tuple[int, int]], n_atoms: int) -> list[set[int]]:
    group_of = [{index} for index in range(n_atoms)]
    for first, second in bonds:
        joined = group_of[first] | group_of[second]
        for atom in joined:
            group_of[atom] = joined
    return sorted({id(group): group for group in group_of}.values(), key=min)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_wrapped_molecules_become_whole(seed):
    """Ethanol and water, turned and put anywhere in a triclinic box, cut by its walls."""
    rng = np.random.default_rng(seed)
    cell = np.array([[9.0, 0, 0], [2.0, 9.0, 0], [-1.5, 2.5, 9.0]])
    first, second = molecule("CH3CH2OH"), molecule("H2O")
    second.positions += [0.0, 0.0, 5.0]  # beyond any bond
    atoms = first + second
    atoms.set_cell(cell)
    atoms.pbc = True
    whole = atoms.get_all_distances()
    atoms.positions += rng.uniform(-20, 20, 3)
    atoms.wrap()
    bonds, positions = find_molecules(atoms)
    assert groups(bonds, len(atoms)) == [set(range(9)), set(range(9, 12))]
    assert len(bonds) == 8 + 2  # trees
    moved = Atoms(atoms.numbers, positions)
    for group in (slice(0, 9), slice(9, 12)):
        assert moved.get_all_distances()[group, group] == pytest.approx(whole[group, group], abs=1e-9)
    shifts = np.linalg.solve(cell.T, (positions - atoms.positions).T)
    assert shifts == pytest.approx(shifts.round(), abs=1e-9)  # moved by whole cells only


@pytest.mark.parametrize("atoms", [bulk("Si", cubic=True), bulk("Cu", cubic=True) * (2, 2, 2)], ids=["Si", "Cu"])
def test_a_crystal_has_no_molecules(atoms):
    bonds, positions = find_molecules(atoms)
    assert bonds == []
    assert np.array_equal(positions, atoms.positions)


def test_a_chain_through_the_box_beside_a_molecule():
    """A carbon chain that meets its own image stays single atoms; water beside it is one molecule."""
    chain = Atoms("C6", positions=[[1.4 * index, 0, 0] for index in range(6)])
    water = molecule("H2O")
    water.positions += [4.0, 5.0, 5.0]
    atoms = chain + water
    atoms.set_cell([8.4, 12.0, 12.0])
    atoms.pbc = True
    bonds, _ = find_molecules(atoms)
    assert groups(bonds, 9)[-1] == {6, 7, 8}
    assert len(bonds) == 2


def test_a_molecule_that_has_come_apart():
    water = molecule("H2O")
    bonds, _ = find_molecules(water)
    assert not has_broken_bond(water, bonds)
    water.positions[1] += 1.2 * (water.positions[1] - water.positions[0])
    assert has_broken_bond(water, bonds)
