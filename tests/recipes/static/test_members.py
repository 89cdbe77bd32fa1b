"""Committees: what their members make of the modes, matched to those of the mean, and of the thermochemistry."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.hessian import SecondDerivatives
from dp_sim.recipes.static.members import member_modes
from dp_sim.recipes.static.mode_analysis import ModeAnalysis
from dp_sim.recipes.static.normal_modes import normal_modes
from dp_sim.recipes.static.rigid_motions import RigidMotions
from tests.support.random_model import write_random_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return [write_random_model(folder / f"{seed}.pt", seed=seed, species=("H", "O")) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def atoms(files):
    """A structure at which the mean of three models of random weights is at rest."""
    start = molecule("H2O2")
    start.rattle(0.05, seed=3)
    return optimize(start, files, fmax=1e-4, check_minimum=True).atoms


@pytest.fixture(scope="module")
def result(atoms, files):
    return vibrations(atoms, files)


def analysis(mean: np.ndarray, members: list[np.ndarray], masses: np.ndarray) -> ModeAnalysis:
    """Modes of matrices for atoms that nothing lets move as a whole."""
    none = RigidMotions(np.zeros((len(mean), 0)), 0, 0, np.zeros(0), False)
    second = SecondDerivatives(mean, "", True, None, tuple(members))
    return ModeAnalysis(second, none, normal_modes(mean, masses, none.columns))


def test_modes_that_change_places_are_matched(monkeypatch):
    """Two members exchange the curvatures along y and z: along x, y, z the spread is that of the roots."""
    monkeypatch.setattr("dp_sim.recipes.static.members._energies", lambda _: np.zeros(2))
    members = [np.diag([1.0, 4.0, 16.0]), np.diag([1.0, 25.0, 9.0])]
    atoms = Atoms("H", masses=[4.0])
    found = member_modes(atoms, np.array([0]), analysis(np.mean(members, axis=0), members, atoms.get_masses()))
    expected = 521.4709 / 2 * np.array([[1, 4, 2], [1, 3, 5]])  # the mean has 1, 12.5 and 14.5: z before y
    np.testing.assert_allclose(found.frequencies_cm1, expected, rtol=1e-6)
    np.testing.assert_allclose(found.overlaps, 1)
    np.testing.assert_allclose(found.frequencies_std_cm1, 521.4709 / 2 * np.array([0, 1, 3]) / np.sqrt(2), atol=1e-4)


def test_modes_that_mix_are_named(monkeypatch):
    monkeypatch.setattr("dp_sim.recipes.static.members._energies", lambda _: np.zeros(2))
    turned = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3  # each mode has 4/9 of two others
    members = [np.diag([1.0, 4.0, 9.0]), turned @ np.diag([1.0, 4.0, 9.0]) @ turned.T]
    atoms = Atoms("H")
    found = member_modes(atoms, np.array([0]), analysis(members[0], members, atoms.get_masses()))
    np.testing.assert_allclose(found.overlaps, [[1, 1, 1], [4 / 9] * 3])
    assert "mode(s) 1, 2, 3 mix" in found.words


def test_the_spread_is_that_of_the_members_at_one_structure(result, atoms, files):
    each = [DPCalculator(file) for file in files]
    modes = [normal_modes(one.get_hessian(atoms), atoms.get_masses(), result.rigid.columns) for one in each]
    for known, matched in zip(modes, result.members.frequencies_cm1, strict=True):
        np.testing.assert_allclose(np.sort(matched), known.frequencies_cm1, atol=1e-6)
    np.testing.assert_allclose(result.hessian, np.mean([one.get_hessian(atoms) for one in each], axis=0), atol=1e-12)
    assert result.members.energy_std_eV == pytest.approx(
        np.std([one.get_potential_energy(atoms) for one in each], ddof=1)
    )
    assert result.members.zero_point_energy_std_eV == pytest.approx(
        np.std([one.zero_point_energy_eV for one in modes], ddof=1)
    )


def test_gibbs_energies_of_members_spread(result):
    """Each member's table, made of its own frequencies and energy, has the spread that the mean's table tells."""
    members = result.members
    calm = replace(result, members=members._replace(frequencies_cm1=np.abs(members.frequencies_cm1) + 20))
    table = calm.thermochemistry([200, 400])
    alone = [
        replace(calm, members=None, frequencies_cm1=np.sort(one), energy_eV=float(energy)).thermochemistry([200, 400])
        for one, energy in zip(calm.members.frequencies_cm1, calm.members.energies_eV, strict=True)
    ]
    for name in table.spread._fields:
        expected = np.std([getattr(one, name) for one in alone], axis=0, ddof=1)
        np.testing.assert_allclose(getattr(table.spread, name), expected, rtol=1e-9)
    assert "gibbs_energy_spread" in calm.quantities()
    assert table.to_csv().splitlines()[0].endswith("gibbs_energy_std_eV")
    assert len(table.to_csv().splitlines()[1].split(",")) == 11


def test_a_member_with_another_saddle_point_leaves_no_spread_of_the_table(result):
    frequencies = result.members.frequencies_cm1.copy()
    frequencies[1, 0] = -500
    torn = replace(result, members=result.members._replace(frequencies_cm1=frequencies))
    assert torn.thermochemistry([300]).spread is None
    assert "another number of imaginary frequencies" in torn.summary()
    assert "gibbs_energy_spread" not in torn.quantities()


def test_fixed_atoms_and_the_page(atoms, files, tmp_path):
    held = atoms.copy()
    held.set_constraint(FixAtoms([0, 1]))
    found = vibrations(held, files, out=tmp_path / "out")
    assert found.members.frequencies_cm1.shape == (3, len(found.frequencies_cm1))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "3 members at this structure" in page
    assert "spread" in page
    with np.load(tmp_path / "out" / "hessian.npz") as content:
        np.testing.assert_array_equal(content["member_frequencies_cm1"], found.members.frequencies_cm1)


def test_differences_know_no_members_and_say_so(atoms, files, tmp_path):
    found = vibrations(atoms, files, hessian="differences", out=tmp_path / "out")
    assert found.members is None
    assert any("committee's mean" in note for note in found.provenance["notes"])
    alone = vibrations(atoms, files[0], fmax=100)
    assert alone.members is None
    assert "frequency_spread" not in alone.quantities()
