"""Radial distributions, coordination numbers and structure factors with exact answers."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from refusals import refused
from synthetic_trajectories import TRICLINIC, hot_crystal, ideal_gas

from dp_sim.recipes import analyse
from dp_sim.recipes.analysis.figures import radial
from dp_sim.recipes.analysis.structure.coordination import Coordination, first_minimum
from dp_sim.recipes.analysis.structure.pairs import PairHistogram, smallest_height
from dp_sim.recipes.analysis.structure.rdf import PairDistribution
from dp_sim.recipes.results.quantities import Estimate

QUIET = {"progress": False, "only": ["structure"]}


@pytest.fixture(scope="module")
def gas():
    return analyse(ideal_gas(np.random.default_rng(1), 400), q_max_per_A=5.0, bin_A=0.2, **QUIET)


def test_an_ideal_gas_has_g_of_one_for_every_pair_in_a_triclinic_cell(gas):
    """(g - 1) / error is Student's with 12 degrees of freedom: its square averages 1.2, beside noise."""
    assert [one.name for one in gas.distributions] == ["Ar-Ar", "Ar-Ne", "Ne-Ne"]
    heights = 1 / np.linalg.norm(np.linalg.inv(TRICLINIC), axis=0)
    for one in gas.distributions:
        assert one.r[-1] + 0.1 == pytest.approx(heights.min() / 2, abs=0.2)
        seen = one.r > 0.5  # a bin with hardly a pair is not Gaussian
        deviation = (one.g - 1)[seen] / one.error[seen]
        assert abs(deviation.mean()) < 4 / np.sqrt(seen.sum())
        assert 0.3 < (deviation**2).mean() < 2.2


def test_an_ideal_gas_has_a_structure_factor_of_one(gas):
    total, *partials = gas.structure_factors
    assert total.s == pytest.approx(1, abs=0.25)
    assert np.average(total.s, weights=total.error**-2.0) == pytest.approx(1, abs=0.02)
    for one in partials:
        assert np.average(one.s, weights=one.error**-2.0) == pytest.approx(float(one.pair[0] == one.pair[1]), abs=0.02)


def test_an_ideal_gas_has_no_first_minimum(gas):
    for one in gas.distributions:
        for shell in one.coordinations:
            assert shell.number.value is None
            assert "no first minimum" in shell.number.cause


def test_an_fcc_crystal_has_shells_of_12_6_24_and_12_neighbors():
    """a = 4: shells at a / sqrt(2), a, a sqrt(3/2), a sqrt(2); neighbours 12, 18, 42, 54 within them."""
    found = analyse(hot_crystal(np.random.default_rng(2), 60), structure_frames=60, **QUIET).rdf("Cu", "Cu")
    (shell,) = found.coordinations
    assert shell.number.value == pytest.approx(12, abs=1e-9)
    assert 4 / np.sqrt(2) + 0.3 < shell.radius.value < 4 - 0.3
    for radius, neighbors in ((3.4, 12), (4.45, 18), (5.3, 42), (5.9, 54)):
        assert found.neighbors[found.r < radius][-1] == pytest.approx(neighbors, abs=0.05)
    assert found.r[np.argmax(found.g)] == pytest.approx(4 / np.sqrt(2), abs=0.06)


def test_a_small_cell_may_end_before_the_second_maximum():
    """32 atoms of copper: half the cell is 3.6 Angstrom, and g(r) still rises there."""
    r = np.arange(0.025, 3.6, 0.05)
    g = 8 * np.exp(-(((r - 2.55) / 0.12) ** 2)) + 4 * np.exp(-(((r - 3.7) / 0.15) ** 2))
    assert first_minimum(r, g, 0.01) == pytest.approx(3.1, abs=0.1)
    assert first_minimum(r, np.where(r < 3.2, g, 0.0), 0.01) is None


def test_a_crystal_scatters_at_bragg_peaks_only():
    """S = N exp(-q^2 u^2) + 1 - exp(-q^2 u^2) at (111), the second term elsewhere; u the width along one axis."""
    total, *_ = analyse(hot_crystal(np.random.default_rng(2), 60), q_max_per_A=3.5, **QUIET).structure_factors
    damping = np.exp(-(total.q**2) * 0.06**2)
    bragg = 2 * np.pi / 4 * np.sqrt([3, 4, 8])
    shells = np.isin((total.q / 0.1).astype(int), (bragg / 0.1).astype(int))
    assert total.s[~shells] == pytest.approx((1 - damping)[~shells], abs=0.02)
    assert (total.s[shells] > 4 * total.s[~shells].max()).all()


def test_the_same_numbers_as_mdtraj_in_a_triclinic_cell():
    mdtraj = pytest.importorskip("mdtraj")
    frames = ideal_gas(np.random.default_rng(3), 30)
    ours = analyse(frames, bin_A=0.5, r_max_A=3.0, **QUIET).rdf("Ar", "Ne")
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for symbol in frames[0].get_chemical_symbols():
        topology.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), topology.add_residue(symbol, chain))
    theirs = mdtraj.Trajectory(np.array([one.positions for one in frames]) / 10, topology)
    theirs.unitcell_vectors = np.array([one.cell.array for one in frames]) / 10
    pairs = topology.select_pairs("element Ar", "element Ne")
    _, g = mdtraj.compute_rdf(theirs, pairs, r_range=(0, 0.3), n_bins=6)
    assert ours.g == pytest.approx(g, abs=1e-5)


@pytest.mark.parametrize(
    "cell", [np.diag([9.0, 10.0, 11.0]), -np.diag([9.0, 9.0, 9.0]), TRICLINIC, [[0, 9, 9], [9, 0, 9], [9, 9, 0]]]
)
@pytest.mark.parametrize("heights", [0.5, 0.7, 1.2])
def test_the_same_pairs_as_a_search_over_all_images(cell, heights):
    """Beyond half of the smallest height, too: a barostat may make cells smaller than the first one."""
    atoms = Atoms("H30O20", cell=cell, pbc=True)
    atoms.positions = 20 * np.random.default_rng(5).normal(size=(50, 3))
    counted = PairHistogram(np.array(atoms.get_chemical_symbols()), heights * smallest_height(atoms), 0.07)
    n_bins = len(counted.edges) - 1
    i, j, distance = neighbor_list("ijd", atoms, counted.edges[-1])
    found = counted.of_frame(atoms)
    for row, (a, b) in enumerate(counted.pairs):
        pairs = (atoms.symbols[i] == a) & (atoms.symbols[j] == b)
        expected = np.bincount((distance[pairs] / 0.07).astype(int), minlength=n_bins)[:n_bins] / (2 if a == b else 1)
        np.testing.assert_array_equal(found[row], expected)


def test_each_frame_counts_with_its_own_volume():
    """Gas in two cells that take turns: g = 1 still."""
    rng = np.random.default_rng(4)
    frames = [one for _ in range(150) for size in (1.0, 1.3) for one in ideal_gas(rng, 1, cell=TRICLINIC * size)]
    one = analyse(frames, bin_A=0.4, **QUIET).rdf("Ar", "Ar")
    seen = one.r > 1
    assert np.average(one.g[seen], weights=one.error[seen] ** -2.0) == pytest.approx(1, abs=0.01)


def test_errors_cover_correlated_frames():
    """Each frame four times over: no more independent than once, so that the error stays as it was."""
    frames = ideal_gas(np.random.default_rng(5), 120)
    once = analyse(frames, bin_A=0.5, **QUIET).rdf("Ar", "Ar")
    repeated = analyse([one for frame in frames for one in [frame] * 4], bin_A=0.5, **QUIET).rdf("Ar", "Ar")
    ratio = (repeated.error / once.error)[once.r > 1]
    assert np.median(ratio) == pytest.approx(1, abs=0.25)


def test_what_is_refused():
    frames = ideal_gas(np.random.default_rng(6), 3)
    with refused("distance-beyond-cell", "r_max_A", "Å", "12"):
        analyse(frames, r_max_A=12.0, **QUIET)
    with refused("frame-out-of-range", "first", 3):
        analyse(frames, first=3, **QUIET)
    with refused("frames-too-few", "stride 9"):
        analyse(frames, stride=9, **QUIET)
    with refused("frames-differ", "49", "first frame 50"):
        analyse([frames[0], frames[1][:-1]], **QUIET)
    with refused("frames-differ", "atom 0", "Ar", "Ne"):
        analyse([frames[0], frames[1][::-1]], **QUIET)
    with refused("choice-unknown", "only", "structur"):
        analyse(frames, only=["structur"])


def test_a_cluster_has_no_radial_distribution_and_is_told():
    frames = ideal_gas(np.random.default_rng(7), 5)
    for one in frames:
        one.pbc = False
    result = analyse(frames, **QUIET)
    assert (result.converged, result.distributions) == (False, ())
    assert "periodic along all three axes" in result.cause


def test_a_bond_does_not_flatten_the_liquid_in_the_plot_of_g():
    r = np.linspace(0.025, 6, 240)
    none = Estimate.withheld("", "not asked for")
    shell = Coordination(("A", "A"), none, none)

    def distribution(pair, bond, first):
        g = bond * np.exp(-(((r - 1) / 0.05) ** 2)) + (r > 2.2) + first * np.exp(-(((r - 2.9) / 0.3) ** 2))
        return PairDistribution(pair=pair, r=r, g=g, error=None, neighbors=r, coordinations=(shell,))

    liquid = radial([distribution(("O", "H"), 24.0, 0.5), distribution(("O", "O"), 0.0, 2.0)]).axes[0]
    assert 3.0 < liquid.get_ylim()[1] < 6.0
    assert [text.get_text() for text in liquid.texts] == ["24"]
    simple = radial([distribution(("Ar", "Ar"), 0.0, 2.0)]).axes[0]
    assert simple.get_ylim()[1] < 4.0
    assert not simple.texts
