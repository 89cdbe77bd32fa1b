"""Neighbour lists against ASE's and against the plainest loop over images."""

import ase.neighborlist
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy.spatial.transform import Rotation
from systems import PERIODICITIES, SMALL_CELL, brute_force_pairs, crystal, structures

from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.neighbors.search import NeighborSearch, complete_cell, neighbor_list
from dp_sim.structures import checks as structure
from dp_sim.structures.batch import AtomicBatch
from dp_sim.structures.checks import check_density, check_structures
from dp_sim.torchscript import script


def found(atoms: Atoms, cutoff: float) -> list[tuple[int, ...]]:
    pairs = neighbor_list(atoms, cutoff)
    return sorted(map(tuple, torch.column_stack([pairs.center, pairs.neighbor, pairs.shift.long()]).tolist()))


def with_ase(atoms: Atoms, cutoff: float) -> list[tuple[int, ...]]:
    i, j, shifts = ase.neighborlist.neighbor_list("ijS", atoms, cutoff)
    return sorted(map(tuple, np.column_stack([i, j, shifts]).tolist()))


@pytest.mark.parametrize("cutoff", [1.5, 4.0, 9.0])
@pytest.mark.parametrize("name", list(structures()))
def test_every_periodicity_against_brute_force_and_ase(name: str, cutoff: float) -> None:
    atoms = structures()[name]
    pairs = found(atoms, cutoff)
    assert pairs == brute_force_pairs(atoms, cutoff)
    assert pairs == with_ase(atoms, cutoff)


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_atoms_far_outside_the_box(pbc: tuple[bool, bool, bool]) -> None:
    atoms = crystal(pbc)
    atoms.positions += np.random.default_rng(0).normal(scale=15.0, size=(4, 3))
    assert found(atoms, 5.0) == with_ase(atoms, 5.0)


@settings(max_examples=25, deadline=None, database=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    pbc=st.sampled_from(PERIODICITIES),
    cutoff=st.floats(0.5, 7.0),
    skew=st.floats(-2.0, 2.0),
)
def test_random_cells(seed: int, pbc: tuple[bool, bool, bool], cutoff: float, skew: float) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(2.0, 9.0, size=3)) + skew * np.tril(rng.uniform(-1.0, 1.0, size=(3, 3)), -1)
    cell = cell @ Rotation.random(random_state=seed).as_matrix().T
    atoms = Atoms("H5", scaled_positions=rng.uniform(-1.0, 2.0, size=(5, 3)), cell=cell, pbc=pbc)
    assert found(atoms, cutoff) == brute_force_pairs(atoms, cutoff)


def test_shells_of_copper() -> None:
    """fcc: 12, 6, 24, 12 neighbours at sqrt(1/2), 1, sqrt(3/2), sqrt(2) lattice constants."""
    atoms = bulk("Cu", a=3.6)
    distances = np.array([np.linalg.norm(np.array(s) @ np.array(atoms.cell)) for *_, s in _with_shifts(atoms, 5.2)])
    shells, counts = np.unique(distances.round(6), return_counts=True)
    assert counts.tolist() == [12, 6, 24, 12]
    np.testing.assert_allclose(shells / 3.6, np.sqrt([0.5, 1.0, 1.5, 2.0]), atol=1e-6)


def _with_shifts(atoms: Atoms, cutoff: float) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(i, j, tuple(shift)) for i, j, *shift in found(atoms, cutoff)]


def test_sign_rule_and_gradient_of_pair_vectors() -> None:
    """r_ij = r_j - r_i + shift @ cell; the vector follows the neighbour, flees the centre, and scales with the cell."""
    atoms = Atoms("HO", positions=[[0.5, 1.0, 1.0], [5.5, 1.0, 1.0]], cell=[6.0, 6.0, 6.0], pbc=True)
    pairs = neighbor_list(atoms, 1.5)
    assert [pairs.center.tolist(), pairs.neighbor.tolist()] == [[0, 1], [1, 0]]
    assert pairs.shift.tolist() == [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    positions = torch.tensor(atoms.positions, requires_grad=True)
    cell = torch.tensor(np.array(atoms.cell))[None].requires_grad_(True)
    zero = torch.zeros(2, dtype=torch.int64)
    vectors = pair_vectors(AtomicBatch(positions, zero, cell, zero), pairs)
    torch.testing.assert_close(vectors, torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64))
    by_position, by_cell = torch.autograd.grad(vectors[0, 0], [positions, cell])
    assert by_position.tolist() == [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert by_cell[0, 0].tolist() == [-1.0, 0.0, 0.0]
    assert not by_cell[0, 1:].any()


def test_pairs_come_sorted_by_centre() -> None:
    pairs = neighbor_list(crystal((True, True, True)), 6.0)
    assert bool((pairs.center[1:] >= pairs.center[:-1]).all())


def test_no_limit_on_neighbours() -> None:
    """One atom in a cell of 1 Angstrom, seen out to 8: as many neighbours as lattice points in the sphere."""
    atoms = Atoms("H", positions=[[0.2, 0.3, 0.4]], cell=np.eye(3), pbc=True)
    n = np.arange(-8, 9)
    x, y, z = np.meshgrid(n, n, n)
    # vesin and the count may differ on points at exactly 8, so the sphere is a little wider
    assert len(found(atoms, 8.05)) == int((x**2 + y**2 + z**2 <= 64).sum()) - 1 == 2108


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_completed_cell_keeps_periodic_vectors_and_adds_normal_unit_vectors(pbc: tuple[bool, bool, bool]) -> None:
    cell = torch.tensor(SMALL_CELL)
    completed = complete_cell(cell, torch.tensor(pbc))
    periodic = np.array(pbc)
    assert torch.equal(completed[periodic], cell[periodic])
    gram = completed.numpy() @ completed.numpy().T
    np.testing.assert_allclose(np.diag(gram)[~periodic], 1.0, atol=1e-14)
    np.testing.assert_allclose(gram[np.ix_(~periodic, periodic)], 0.0, atol=1e-13)
    assert abs(np.linalg.det(completed.numpy())) > 0.1


@pytest.mark.parametrize("distance", [3e3, 1e6])
@pytest.mark.parametrize("pbc", [(False, False, False), (False, False, True), (True, True, False)])
def test_fragments_micrometres_apart(pbc: tuple[bool, bool, bool], distance: float) -> None:
    """A molecule that evaporated: the search's own cells overflow there, so empty stretches are closed first."""
    one = crystal(pbc)
    away = np.linalg.svd(np.asarray(one.cell)[one.pbc])[2][-1] if one.pbc.any() else np.array([1.0, 0.0, 0.7])
    other = one.copy()
    other.positions += distance * away
    own = found(one, 4.0)
    assert found(one + other, 4.0) == own + [(i + 4, j + 4, *shift) for i, j, *shift in own]


def test_float32_positions() -> None:
    """The list is found in float64; its shifts come in the dtype of the positions."""
    atoms = crystal((True, True, False))
    arguments = torch.tensor(atoms.positions).float(), torch.tensor(np.array(atoms.cell)).float()
    pairs = NeighborSearch(4.0)(*arguments, torch.tensor(atoms.pbc))
    assert pairs.shift.dtype == torch.float32
    columns = torch.column_stack([pairs.center, pairs.neighbor, pairs.shift.long()])
    assert sorted(map(tuple, columns.tolist())) == found(atoms, 4.0)


def test_search_is_scriptable() -> None:
    atoms = crystal((True, False, True))
    arguments = torch.tensor(atoms.positions), torch.tensor(np.array(atoms.cell)), torch.tensor(atoms.pbc)
    eager, scripted = NeighborSearch(4.0)(*arguments), script(NeighborSearch(4.0))(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(eager, scripted, strict=True))


@pytest.mark.parametrize(("pbc", "repeat"), [((1, 1, 1), (1, 1, 1)), ((1, 1, 0), (1, 1, 12)), ((0, 1, 0), (9, 1, 9))])
def test_too_many_pairs_are_foreseen(
    pbc: tuple[bool, bool, bool], repeat: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate is within a third of the count; atoms at a surface have fewer neighbours than it says."""
    atoms = bulk("Cu", cubic=True).repeat(repeat)
    atoms.pbc = pbc
    mean = len(neighbor_list(atoms, 6.0).center) / len(atoms)
    monkeypatch.setattr(structure, "MOST_NEIGHBORS", 1.4 * mean)
    check_density(check_structures([atoms]), 6.0)
    monkeypatch.setattr(structure, "MOST_NEIGHBORS", 0.9 * mean)
    with refused("atoms-too-dense", len(atoms)):
        check_density(check_structures([atoms]), 6.0, "copper")


@pytest.mark.parametrize("pbc", PERIODICITIES)
def test_a_crowded_cell(pbc: tuple[bool, bool, bool]) -> None:
    """Refused as long as an axis is periodic along which it repeats without end; few atoms on their own are few."""
    rng = np.random.default_rng(0)
    atoms = Atoms("H192", rng.uniform(0.0, 0.1, (192, 3)), cell=[0.1, 0.1, 0.1], pbc=pbc)
    if any(pbc):
        with refused("atoms-too-dense", "192"):
            check_density(check_structures([atoms]), 6.0)
    else:
        check_density(check_structures([atoms]), 6.0)
