"""Statistics of the data: against numbers worked out by hand, and where data are missing."""

import numpy as np
import pytest
import torch
from ase import Atoms
from systems import frame

from dp_sim.descriptors.environment import Environment
from dp_sim.neighbors.pairs import StructurePairs, find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index
from dp_sim.training.initialisation import energy_bias

KNOWN = ("H", "O")


def pairs_of(*structures: Atoms, cutoff: float = 3.0) -> list[StructurePairs]:
    search = NeighborSearch(cutoff)
    return [find_pairs(frame(a), species_index(a.numbers, KNOWN), search, "structure") for a in structures]


def environment() -> Environment:
    return Environment(3.0, 2.5, "polynomial", 2).double()


def test_mean_deviation_and_scale_by_hand() -> None:
    """H at 1 and at 2 Angstrom from O, 3 apart (beyond reach): s = 1, 1/2 for the pairs of O, the same from the H."""
    found = environment()
    found.set_statistics(pairs_of(Atoms("OHH", positions=[[0, 0, 0], [1, 0, 0], [-2, 0, 0]], cell=None)))
    np.testing.assert_allclose(found.mean, 0.75)
    np.testing.assert_allclose(found.deviation, 0.25)
    angular = np.sqrt((1 + 0.25) / 2 / 3)
    # O sees two neighbours, each H one
    np.testing.assert_allclose(found.scale[1], [2 * 0.25, *[2 * angular] * 3])
    np.testing.assert_allclose(found.scale[0], [0.25, *[angular] * 3])


def test_without_pairs_everything_stays_as_it_is() -> None:
    found = environment()
    found.set_statistics(pairs_of(Atoms("O"), Atoms("HH", positions=[[0, 0, 0], [9, 0, 0]])))
    assert not found.mean.any()
    assert torch.equal(found.deviation, torch.ones(2, dtype=torch.float64))
    assert torch.equal(found.scale, torch.ones(2, 4, dtype=torch.float64))


def test_a_species_that_the_data_lack_keeps_a_finite_scale() -> None:
    found = environment()
    found.set_statistics(pairs_of(Atoms("HH", positions=[[0, 0, 0], [1, 0, 0]])))
    assert torch.equal(found.scale[1], torch.ones(4, dtype=torch.float64))
    assert bool((found.scale > 0).all())


def test_pairs_all_at_one_distance_have_no_deviation_but_a_positive_scale() -> None:
    found = environment()
    found.set_statistics(pairs_of(Atoms("HH", positions=[[0, 0, 0], [1, 0, 0]])))
    np.testing.assert_allclose(found.deviation, 1e-2)
    assert found.scale[0, 0].item() == pytest.approx(1e-2)


def test_energy_bias_of_known_atomic_energies() -> None:
    """E = n_H * -13.6 + n_O * -2041.3 exactly: least squares finds both."""
    molecules = [Atoms("H2O"), Atoms("H2"), Atoms("O3H"), Atoms("H5")]
    frames, species = [], []
    for molecule in molecules:
        molecule.positions[:, 0] = np.arange(len(molecule))
        counts = molecule.symbols.formula.count()
        frames.append(frame(molecule, energy=-13.6 * counts.get("H", 0) - 2041.3 * counts.get("O", 0)))
        species.append(species_index(molecule.numbers, KNOWN))
    np.testing.assert_allclose(energy_bias(frames, species, 2), [-13.6, -2041.3])


def test_energy_bias_of_one_composition_is_the_shortest_solution() -> None:
    """Water alone cannot tell H from O: 2 b_H + b_O = E has the least-norm solution E (2, 1)/5."""
    water = Atoms("H2O", positions=[[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    bias = energy_bias([frame(water, energy=-50.0)], [species_index(water.numbers, KNOWN)], 2)
    np.testing.assert_allclose(bias, [-20.0, -10.0])


def test_energy_bias_looks_at_labelled_frames_only() -> None:
    atom = Atoms("H")
    frames = [frame(atom, energy=-2.0), frame(atom, forces=np.zeros((1, 3)))]
    species = [species_index(atom.numbers, KNOWN)] * 2
    np.testing.assert_allclose(energy_bias(frames, species, 2), [-2.0, 0.0], atol=1e-15)
    assert torch.equal(energy_bias(frames[1:], species[1:], 2), torch.zeros(2, dtype=torch.float64))
