"""The compiled neighbour search against vesin's, in every kind of cell."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from neighbor_pairs import pairs_of

from dp_sim.compiled.library import register_operators
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.search import NeighborSearch

pytestmark = pytest.mark.skipif(register_operators() != "", reason=register_operators())

CUTOFF = 3.0471  # no multiple of a round length: at the cutoff itself either answer is right


def compare(positions: np.ndarray, cell: np.ndarray, pbc: tuple[bool, bool, bool], cutoff: float = CUTOFF) -> None:
    """The same pairs as vesin, sorted by centre, vectors within the cutoff, the smallest distance."""
    x, h, periodic = torch.tensor(positions), torch.tensor(cell), torch.tensor(pbc)
    *got, closest = CompiledSearch(cutoff).of_systems(
        x, h[None], periodic[None], torch.zeros(len(x), dtype=torch.int64)
    )
    assert pairs_of(tuple(got)) == pairs_of(tuple(NeighborSearch(cutoff)(x, h, periodic)))
    center, neighbor, shift = got
    assert bool((center[1:] >= center[:-1]).all())
    distances = torch.linalg.vector_norm(x[neighbor] - x[center] + shift @ h, dim=1)
    assert bool((distances < cutoff + 1e-9).all())
    assert float(closest) == pytest.approx(float(distances.min()) if len(distances) else np.inf, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    atoms=st.integers(1, 60),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    lengths=st.tuples(*[st.floats(1.5, 14.0)] * 3),
    skew=st.floats(0.0, 0.6),
    spread=st.floats(0.3, 3.0),
)
def test_same_pairs_as_vesin(
    seed: int, atoms: int, pbc: tuple[bool, bool, bool], lengths: tuple[float, ...], skew: float, spread: float
) -> None:
    """Cells smaller than the cutoff and larger, triclinic, atoms inside and outside of them."""
    rng = np.random.default_rng(seed)
    cell = np.diag(lengths) + skew * np.tril(rng.uniform(-1, 1, (3, 3)), -1) * min(lengths)
    compare(rng.uniform(-spread, spread, (atoms, 3)) @ cell, cell, pbc)


def test_liquid_in_many_cells() -> None:
    """Large enough for every branch of the search, at a density like water's."""
    rng = np.random.default_rng(0)
    cell = np.array([[24.0, 0, 0], [5.0, 22.0, 0], [-3.0, 4.0, 27.0]])
    compare(rng.uniform(-0.5, 1.5, (1200, 3)) @ cell, cell, (True, True, True), cutoff=5.0)
    compare(rng.uniform(0, 1, (1200, 3)) @ cell, cell, (True, True, False), cutoff=5.0)
    compare(rng.uniform(0, 1, (1200, 3)) @ cell, cell, (False, False, False), cutoff=5.0)


def test_far_fragments_and_flat_clusters() -> None:
    molecule = np.array([[0.0, 0, 0], [1.0, 0, 0], [0, 1.2, 0]])
    far = np.concatenate([molecule, molecule + np.array([4000.0, -2000.0, 1e6])])
    compare(far, np.zeros((3, 3)), (False, False, False))
    compare(molecule, np.zeros((3, 3)), (False, False, False))
    compare(np.zeros((1, 3)), np.diag([0.0, 0.0, 2.0]), (False, False, True))


def test_number_of_threads_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    x, cell, pbc = (
        torch.tensor(rng.uniform(0, 20, (700, 3))),
        20.0 * torch.eye(3, dtype=torch.float64),
        torch.tensor([True] * 3),
    )
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(CompiledSearch(5.0)(x, cell, pbc))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert torch.equal(a, b)


def test_positions_that_are_not_finite() -> None:
    """Without this the cell of an atom would be any number."""
    x = torch.tensor([[0.0, 0, 0], [float("nan"), 0, 0]], dtype=torch.float64)
    with pytest.raises(RuntimeError, match="a position is NaN"):
        CompiledSearch(3.0)(x, 9.0 * torch.eye(3, dtype=torch.float64), torch.tensor([True] * 3))
