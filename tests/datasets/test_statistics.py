"""Neighbours counted against crystals whose shells are known, plain loops and an ideal gas; suggestions follow them."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii
from refusals import refused
from systems import brute_force_pairs, cluster, crystal, frame, lonely_atoms

from dp_sim.datasets.label_summary import LabelSummary, summarise
from dp_sim.datasets.statistics import BATCH_ATOMS, NeighborCounter, in_batches, neighbor_statistics
from dp_sim.datasets.suggestions import suggest, suggested_sel


def labels_of(atoms: Atoms) -> LabelSummary:
    return summarise([frame(atoms)])


def test_shells_of_fcc_copper() -> None:
    """12, 6, 24, 12 atoms at a times sqrt(1/2), 1, sqrt(3/2), sqrt(2)."""
    a = 3.6
    found = neighbor_statistics([frame(bulk("Cu", a=a))], cutoff=1.1 * a, reach=1.5 * a)
    assert found.species == ("Cu",)
    assert found.closest[0, 0] == pytest.approx(a / np.sqrt(2))
    assert found.largest[0, 0] == 18
    assert found.mean[0, 0] == 18
    shells = [found.mean_within(a * (np.sqrt(square) + 0.05)) for square in (0.5, 1.0, 1.5, 2.0)]
    assert shells == [12, 18, 42, 54]


def test_salt_knows_which_species() -> None:
    found = neighbor_statistics([frame(bulk("NaCl", "rocksalt", a=5.6))], cutoff=4.2)
    assert found.species == ("Na", "Cl")
    np.testing.assert_array_equal(found.largest, [[12, 6], [6, 12]])
    np.testing.assert_allclose(found.closest, [[5.6 / np.sqrt(2), 2.8], [2.8, 5.6 / np.sqrt(2)]])


def test_frames_of_different_kinds_against_plain_loops() -> None:
    frames = [cluster(), crystal((True, True, False)), lonely_atoms()]
    found = neighbor_statistics([frame(atoms) for atoms in frames], cutoff=3.0)
    assert found.species == ("H", "O", "Cu")
    expected: dict[tuple[str, str], list[int]] = {}
    for atoms in frames:
        pairs = brute_force_pairs(atoms, 3.0)
        for i, center in enumerate(atoms.symbols):
            for neighbor in found.species:
                number = sum(atoms.symbols[j] == neighbor for k, j, *_ in pairs if k == i)
                expected.setdefault((center, neighbor), []).append(number)
    for a, center in enumerate(found.species):
        for b, neighbor in enumerate(found.species):
            numbers = expected[center, neighbor]
            assert found.largest[a, b] == max(numbers)
            assert found.mean[a, b] == pytest.approx(np.mean(numbers))
            assert found.counts[a, b].sum() == len(numbers) == found.atoms[a]
    assert found.volume is None


def test_ideal_gas_has_no_structure() -> None:
    """g(r) of points without order is 1."""
    rng = np.random.default_rng(0)
    gas = Atoms("Ar" * 400, positions=rng.uniform(0, 20, (400, 3)), cell=[20.0] * 3, pbc=True)
    gas.positions[:] = np.round(gas.positions, 1) + rng.uniform(0.02, 0.05, (400, 3))  # none on one spot
    found = neighbor_statistics([frame(gas)], cutoff=8.0)
    r, g = found.radial_distribution()
    assert g[0, 0][r > 2].mean() == pytest.approx(1.0, abs=0.02)


def test_pairs_that_do_not_exist_have_no_distance() -> None:
    found = neighbor_statistics([frame(lonely_atoms())], cutoff=4.0)
    assert np.isnan(found.closest).all()
    assert not found.largest.any()
    assert [s.key for s in suggest(found, labels_of(lonely_atoms()))].count("switch_start") == 0
    assert suggested_sel(found) == [4, 4]


def test_coincident_atoms_are_refused() -> None:
    with refused("atoms-coincide", "0", "1"):
        neighbor_statistics([frame(Atoms("H2", positions=[[0, 0, 0], [0, 0, 1e-3]]))])


def test_labels() -> None:
    water = molecule("H2O")
    forces = np.array([[0.0, 3.0, 4.0], [0, 0, 0], [0, 0, 0]])
    frames = [frame(water, energy=-6.0, forces=forces), frame(water, energy=-9.0), frame(bulk("Cu"), virial=np.eye(3))]
    found = summarise(frames)
    assert (found.frames, found.atoms) == (3, 7)
    assert found.systems == {"H2O": 2, "Cu": 1}
    assert found.periodicity == {"FFF": 2, "TTT": 1}
    assert found.labelled == {"energy": 2, "forces": 1, "virial": 1}
    assert found.energy == (-3.0, -2.0)
    assert found.largest_force == 5.0
    assert found.force_rms == pytest.approx(np.sqrt(25 / 9))


@pytest.mark.parametrize(
    ("atoms", "cutoff", "switch_start"),
    [(bulk("Cu", a=3.6), "6.5", "2.2"), (molecule("CH3CH2OH"), "4.5", "0.8"), (bulk("Ar", a=5.3), "8", "3.3")],
    ids=["crystal with many neighbours", "molecule", "crystal with few"],
)
def test_suggested_cutoff_and_switch(atoms: Atoms, cutoff: str, switch_start: str) -> None:
    """Copper has 78 neighbours up to 6 Angstrom and 86 up to 6.5; the molecule ends at 4.1; argon has 54 up to 8."""
    found = {s.key: s.value for s in suggest(neighbor_statistics([frame(atoms)], 6.0, reach=8.0), labels_of(atoms))}
    assert found["cutoff"] == cutoff
    assert found["switch_start"] == switch_start


def test_sel_is_a_tenth_more_in_whole_fours() -> None:
    """DeePMD-kit's `auto`: 18 neighbours become 20, 42 become 48."""
    for cutoff, expected in ((3.7, 20), (4.5, 48)):
        assert suggested_sel(neighbor_statistics([frame(bulk("Cu", a=3.6))], cutoff)) == [expected]


def test_frames_together_count_as_each_alone() -> None:
    """Whatever the periodicity and the elements, in any grouping; the shares of bond lengths are each frame's own."""
    frames = [frame(a) for a in (cluster(), crystal((True, True, False)), lonely_atoms(), bulk("Cu"), molecule("CH4"))]
    alone, together = NeighborCounter(3.0, reach=5.0), NeighborCounter(3.0, reach=5.0)
    shares = [alone.add(one) for one in frames]
    np.testing.assert_allclose(together.add_batch(frames), shares, rtol=1e-12)
    one, other = alone.statistics(), together.statistics()
    assert one.species == other.species
    for field in ("atoms", "counts", "histogram"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    np.testing.assert_allclose(one.closest, other.closest, rtol=1e-12)
    atoms = cluster()
    radii = covalent_radii[atoms.numbers]
    shortest = atoms.get_all_distances() / (radii[:, None] + radii)
    np.fill_diagonal(shortest, np.inf)
    assert shares[0] == pytest.approx(shortest.min())


def test_the_frame_with_coincident_atoms_is_named_among_others() -> None:
    bad = dataclasses.replace(frame(molecule("H2O")), name="frame 7", positions=np.zeros((3, 3)) + 1.0)
    with refused("atoms-coincide", "frame 7"):
        NeighborCounter(3.0).add_batch([frame(molecule("H2O")), bad, frame(molecule("CH4"))])


def test_batches_hold_every_frame_in_order() -> None:
    frames = [frame(molecule(name)) for name in ("H2O", "CH4", "C6H6") for _ in range(120)]
    batches = list(in_batches(frames))
    assert [one for batch in batches for one in batch] == frames
    assert len(batches) > 1
    assert max(sum(len(one.numbers) for one in batch) for batch in batches) < BATCH_ATOMS + 12
