"""Diffusion coefficients of walks whose coefficient is known, with the coverage of their intervals."""

import numpy as np
import pytest
from ase import Atoms
from refusals import refused
from synthetic_trajectories import TRICLINIC, hot_crystal, langevin_gas, thermal_velocity, walk_steps, wrapped

from dp_sim.recipes import analyse
from dp_sim.recipes.analysis.trajectory.unwrapping import Paths
from dp_sim.recipes.analysis.transport.displacements import displacements, line_weights, walk_covariance
from dp_sim.recipes.analysis.transport.finite_size import corrected
from dp_sim.recipes.results.quantities import Estimate

QUIET = {"progress": False, "only": ["diffusion"]}
ATOMS = {**QUIET, "carriers": "atoms"}  # gases whose atoms come as close as bonded ones
D = 0.3  # Angstrom^2/ps, 3e-9 m^2/s
FRAME_PS = 0.05


def paths_of(positions):
    return Paths(species=np.array(["Ar"] * positions.shape[1]), positions=positions, velocities=None, frame_ps=FRAME_PS)


def test_intervals_hold_the_truth_in_190_of_200_walks():
    """The walkers move in pairs, as hydrogens of one molecule do: an error that took them as independent would fail."""
    covered, values, errors = 0, [], []
    for seed in range(200):
        walk = np.repeat(walk_steps(np.random.default_rng(seed), 600, 5, D, FRAME_PS), 2, axis=1)
        found = displacements(paths_of(walk), "Ar").diffusion
        assert found.ci95 is not None, found.cause
        covered += found.ci95[0] <= 10 * D <= found.ci95[1]
        values.append(found.value)
        errors.append(found.error)
    assert 180 <= covered <= 198
    assert np.mean(values) == pytest.approx(10 * D, rel=0.01)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_what_is_left_of_free_flight_does_not_count():
    """Atoms that fly freely for 0.2 ps: fitted from the first lag that looks diffusive on, D was 4 % too low."""
    found = []
    for seed in range(6):
        gas = langevin_gas(np.random.default_rng(seed), 2000, 24, temperature_K=300.0, tau_ps=0.2, frame_ps=0.1)
        paths = Paths(species=np.array(["Ar"] * 24), positions=gas[0], velocities=None, frame_ps=0.1)
        found.append(displacements(paths, "Ar").diffusion)
    error = np.sqrt(np.mean([one.error**2 for one in found]) / 6)
    exact = 10 * thermal_velocity(300.0) * 0.2
    assert error < 0.01 * exact
    assert abs(np.mean([one.value for one in found]) - exact) < 2.5 * error


def test_the_covariance_of_overlapping_windows_is_that_of_walks():
    lags, n_frames = np.array([1, 3, 7]), 60
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1.0, (20_000, n_frames)).cumsum(axis=1) + rng.normal(0, 0.5, (20_000, n_frames))
    msd = np.array([((x[:, lag:] - x[:, :-lag]) ** 2).mean(axis=1) for lag in lags])
    assert walk_covariance(lags, n_frames, 0.5, 1.0) == pytest.approx(np.cov(msd), rel=0.06)
    assert msd.mean(axis=1) == pytest.approx(0.5 + lags, rel=0.01)


def test_the_weights_of_the_line_are_exact_for_a_line():
    lags = np.array([2, 3, 5, 9])
    intercept, slope = line_weights(lags, 100, 0.7 + 0.2 * lags)
    assert (slope @ (0.7 + 0.2 * lags), intercept @ (0.7 + 0.2 * lags)) == pytest.approx((0.2, 0.7))


def test_paths_are_unwrapped_in_a_triclinic_cell():
    positions = walk_steps(np.random.default_rng(1), 800, 40, D, FRAME_PS)
    result = analyse(wrapped(positions, TRICLINIC, "Ar40"), frame_fs=1000 * FRAME_PS, thermostat="none", **ATOMS)
    drift_free = positions - positions.mean(axis=1, keepdims=True)
    expected = displacements(paths_of(drift_free), "Ar").diffusion
    assert result.diffusion("Ar").value == pytest.approx(expected.value)
    assert np.ptp(positions) > 5 * TRICLINIC[0, 0] / 4


def test_the_drift_of_the_whole_is_no_diffusion():
    positions = walk_steps(np.random.default_rng(2), 800, 20, D, FRAME_PS) + 0.3 * np.arange(800)[:, None, None]
    frames = wrapped(positions, np.eye(3) * 12, "Ar20")
    found = analyse(frames, frame_fs=1000 * FRAME_PS, thermostat="none", **ATOMS).diffusion("Ar")
    assert abs(found.value - 10 * D * (1 - 1 / 20)) < 4 * found.error


@pytest.mark.parametrize("unwrapped", [False, True])
def test_a_cell_that_breathes_adds_no_diffusion(unwrapped):
    """Atoms that stay at rest in scaled coordinates, many cells off if unwrapped, in a cell that fluctuates (NPT)."""
    rng = np.random.default_rng(3)
    scaled = rng.random((20, 3)) + unwrapped * rng.integers(-40, 40, (20, 3))
    still = []
    for _ in range(400):
        cell = np.eye(3) * 12 * (1 + 0.01 * rng.standard_normal())
        still.append(Atoms("Ar20", positions=scaled @ cell, cell=cell, pbc=True))
    result = analyse(still, frame_fs=50.0, thermostat="none", **ATOMS)
    (found,) = result.displacements
    assert found.msd_A2.max() < 0.2  # (0.01 x 12)^2 and the like; unwrapped images would give 40^2 as much
    assert found.diffusion.value is None
    assert "does not diffuse" in found.diffusion.cause


def test_molecules_diffuse_as_their_centres_of_mass():
    """Rigid N2 that turn at random: the atoms' MSD has an offset, the molecules' has none."""
    rng = np.random.default_rng(4)
    centres = rng.random((30, 3)) * 20 + walk_steps(rng, 1000, 30, D, FRAME_PS)
    centres -= centres.mean(axis=1, keepdims=True)
    axes = rng.standard_normal(centres.shape)
    axes *= 0.55 / np.linalg.norm(axes, axis=2, keepdims=True)
    positions = np.stack([centres + axes, centres - axes], axis=2).reshape(1000, 60, 3)
    # Far apart at the start, so that molecules are told from one another.
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3)[:30] * 6.0
    positions += np.repeat(grid - centres[0], 2, axis=0)
    frames = wrapped(positions, np.eye(3) * 24.0, "N60")
    result = analyse(frames, frame_fs=1000 * FRAME_PS, thermostat="none", **QUIET)
    (found,) = result.displacements
    assert (found.species, found.n_carriers) == ("N2", 30)
    assert abs(found.diffusion.value - 10 * D * 29 / 30) < 4 * found.diffusion.error
    assert found.msd_A2[0] == pytest.approx(6 * D * FRAME_PS, rel=0.05)
    (atoms,) = analyse(frames, frame_fs=1000 * FRAME_PS, thermostat="none", carriers="atoms", **QUIET).displacements
    assert atoms.n_carriers == 60
    assert atoms.msd_A2[0] == pytest.approx(6 * D * FRAME_PS + 2 * 0.55**2, rel=0.05)


def test_a_solid_a_short_run_and_free_flight_give_no_coefficient():
    solid = analyse(hot_crystal(np.random.default_rng(5), 400), frame_fs=20.0, thermostat="none", **ATOMS)
    assert "Cu does not diffuse" in solid.diffusion("Cu").cause
    few = wrapped(walk_steps(np.random.default_rng(6), 100, 5, D, FRAME_PS), np.eye(3) * 12, "Ar5")
    assert "at least 160" in analyse(few, frame_fs=50.0, thermostat="none", **ATOMS).diffusion("Ar").cause
    velocity = np.random.default_rng(7).standard_normal((30, 3))
    flight = velocity * 0.02 * np.arange(400)[:, None, None]
    found = analyse(wrapped(flight, np.eye(3) * 12, "Ar30"), frame_fs=50.0, thermostat="none", **ATOMS).diffusion("Ar")
    assert "ballistic" in found.cause


def test_diffusion_under_random_forces_is_withheld_and_the_msd_kept():
    frames = wrapped(walk_steps(np.random.default_rng(8), 300, 5, D, FRAME_PS), np.eye(3) * 12, "Ar5")
    result = analyse(frames, frame_fs=50.0, thermostat="langevin", **ATOMS)
    (found,) = result.displacements
    assert found.msd_A2[0] > 0
    assert "Langevin" in found.diffusion.cause
    assert any("Langevin" in note for note in result.provenance["notes"])
    unknown = analyse(frames, frame_fs=50.0, **ATOMS)
    assert any("is not known" in note for note in unknown.provenance["notes"])


def test_what_is_refused():
    frames = wrapped(walk_steps(np.random.default_rng(9), 30, 5, 5.0, 2.0), np.eye(3) * 6, "Ar5")
    with refused("time-unknown", "frame_fs"):
        analyse(frames, **ATOMS)
    with refused("frames-too-far-apart", "2 ps"):
        analyse(frames, frame_fs=2000.0, **ATOMS)
    with refused("molecules-missing"):
        analyse(hot_crystal(np.random.default_rng(9), 3), frame_fs=2000.0, carriers="molecules", **QUIET)


def test_the_correction_for_the_size_of_the_cell():
    """Water at 298 K, L = 18.64 Angstrom, 0.89 mPa s: xi kT / (6 pi eta L) = 0.373e-9 m^2/s."""
    diffusion = Estimate(2.0, 0.1, (1.8, 2.2), 50.0, "10^-9 m^2/s")
    exact = Estimate(0.89, 0.0, (0.89, 0.89), None, "mPa s")
    found = corrected(diffusion, exact, 298.0, 18.64)
    assert found.value == pytest.approx(2.3733, abs=5e-4)
    assert (found.error, found.ci95[1] - found.value) == pytest.approx((0.1, 0.2))
    measured = Estimate(0.89, 0.178, (0.6, 1.3), 20.0, "mPa s")
    assert corrected(diffusion, measured, 298.0, 18.64).error == pytest.approx(np.hypot(0.1, 0.2 * 0.3733), abs=1e-3)
    assert "cubic" in corrected(diffusion, exact, 298.0, None).cause
    assert "viscosity_mPa_s" in corrected(diffusion, Estimate.withheld("mPa s", "-"), 298.0, 18.64).cause
