"""Committees: what their members make of the modes, matched to those of the mean, and of the thermochemistry."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import molecule
from ase.constraints import FixAtoms

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.members import MemberModes, matched_modes, unit_vectors
from dp_sim.recipes.static.normal_modes import normal_modes
from dp_sim.uncertainty.derived import SpreadWorth
from tests.support.random_model import write_random_committee


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return write_random_committee(folder, 3, apart=0.003, species=("H", "O"), seed=6)


@pytest.fixture(scope="module")
def atoms(files):
    """A structure at which the mean of three models of nearly the same random weights is at rest."""
    start = molecule("H2O2")
    start.rattle(0.05, seed=3)
    return optimize(start, files, fmax=1e-4, check_minimum=True).atoms


@pytest.fixture(scope="module")
def result(atoms, files):
    return vibrations(atoms, files)


def matched(mean: np.ndarray, members: list[np.ndarray], mass: float) -> MemberModes:
    """Match modes of matrices (3, 3) for one atom that nothing lets move as a whole."""
    masses, none = np.array([mass]), np.zeros((3, 0))
    rows = unit_vectors(normal_modes(mean, masses, none).displacements, masses)
    pairs = [matched_modes(one, masses, none, rows) for one in members]
    frequencies, overlaps = (np.array(one) for one in zip(*pairs, strict=True))
    count = len(members)
    return MemberModes(frequencies, overlaps, np.zeros(count), SpreadWorth.of(count, None), np.ones(count, dtype=bool))


def test_modes_that_change_places_are_matched():
    """Two members exchange the curvatures along y and z: along x, y, z the spread is that of the roots."""
    members = [np.diag([1.0, 4.0, 16.0]), np.diag([1.0, 25.0, 9.0])]
    found = matched(np.mean(members, axis=0), members, mass=4.0)
    expected = 521.4709 / 2 * np.array([[1, 4, 2], [1, 3, 5]])  # the mean has 1, 12.5 and 14.5: z before y
    np.testing.assert_allclose(found.frequencies_cm1, expected, rtol=1e-6)
    np.testing.assert_allclose(found.overlaps, 1)
    spread = 521.4709 / 2 * np.array([0, 1, 3]) / np.sqrt(2)
    worth = 1.8373 * np.sqrt(1.5)  # 68.3 % of Student's t with one degree; the truth is one member more
    np.testing.assert_allclose(found.frequency_errors.standard, worth * spread, rtol=1e-4, atol=1e-4)


def test_modes_that_mix_are_named():
    turned = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3  # each mode has 4/9 of two others
    members = [np.diag([1.0, 4.0, 9.0]), turned @ np.diag([1.0, 4.0, 9.0]) @ turned.T]
    found = matched(members[0], members, mass=1.0)
    np.testing.assert_allclose(found.overlaps, [[1, 1, 1], [4 / 9] * 3])
    assert "mode(s) 1, 2, 3 mix" in found.words


def test_each_member_is_asked_where_it_is_at_rest_itself(result, atoms, files):
    """Frequencies and energies are those that each member finds alone, relaxed from the same structure."""
    assert result.members.moved.all()
    for number, file in enumerate(files):
        alone = vibrations(optimize(atoms, file, fmax=1e-4, optimizer="bfgs").atoms, file)
        np.testing.assert_allclose(np.sort(result.members.frequencies_cm1[number]), alone.frequencies_cm1, atol=0.5)
        assert result.members.energies_eV[number] == pytest.approx(alone.energy_eV, abs=1e-6)
    here = np.mean([DPCalculator(file).get_hessian(atoms) for file in files], axis=0)
    np.testing.assert_allclose(result.hessian, here, atol=1e-12)


def test_a_structure_that_is_not_relaxed_is_no_start_for_members(atoms, files):
    moved = atoms.copy()
    moved.rattle(0.05, seed=1)
    found = vibrations(moved, files)
    assert not found.converged
    assert not found.members.moved.any()
    assert "all at this structure" in found.members.words
    each = [DPCalculator(file) for file in files]
    np.testing.assert_allclose(found.members.energies_eV, [one.get_potential_energy(moved) for one in each])


def test_gibbs_energies_of_members_spread(result):
    """Each member's table, made of its own frequencies and energy, has the spread that the mean's table tells."""
    members = result.members
    calm = replace(result, members=members._replace(frequencies_cm1=np.abs(members.frequencies_cm1) + 20))
    table = calm.thermochemistry([200, 400])
    alone = [
        replace(calm, members=None, frequencies_cm1=np.sort(one), energy_eV=float(energy)).thermochemistry([200, 400])
        for one, energy in zip(calm.members.frequencies_cm1, calm.members.energies_eV, strict=True)
    ]
    for name, error in table.errors.items():
        expected = np.std([getattr(one, name) for one in alone], axis=0, ddof=1)
        np.testing.assert_allclose(error.standard, members.worth.energy.factor * expected, rtol=1e-9)
    assert len(calm.quantities()["gibbs_energy"].model_error) == len(calm.gas.temperatures_K)
    assert "model_error_of_gibbs_energy_eV" in table.to_csv().splitlines()[0]
    assert len(table.to_csv().splitlines()[1].split(",")) == 13


def test_a_member_with_another_saddle_point_leaves_no_spread_of_the_table(result):
    frequencies = result.members.frequencies_cm1.copy()
    frequencies[1, 0] = -500
    torn = replace(result, members=result.members._replace(frequencies_cm1=frequencies))
    assert not torn.thermochemistry([300]).errors
    assert "another number of imaginary frequencies" in torn.summary()
    assert torn.quantities()["gibbs_energy"].model_error is None


def test_fixed_atoms_and_the_page(atoms, files, tmp_path):
    held = atoms.copy()
    held.set_constraint(FixAtoms([0, 1]))
    found = vibrations(held, files, out=tmp_path / "out")
    assert found.members.frequencies_cm1.shape == (3, len(found.frequencies_cm1))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the raw spread of 3 members" in page
    assert "± (cm⁻¹)" in page
    with np.load(tmp_path / "out" / "hessian.npz") as content:
        np.testing.assert_array_equal(content["member_frequencies_cm1"], found.members.frequencies_cm1)


def test_differences_know_no_members_and_say_so(atoms, files, tmp_path):
    found = vibrations(atoms, files, hessian="differences", out=tmp_path / "out")
    assert found.members is None
    assert any("committee's mean" in note for note in found.provenance["notes"])
    alone = vibrations(atoms, files[0], fmax=100)
    assert alone.members is None
    assert alone.quantities()["frequencies"].model_error is None
