"""Velocity correlations, Green-Kubo integrals and densities of states with exact answers."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms
from synthetic_trajectories import langevin_gas, thermal_velocity

from dp_sim.recipes import analyse

TAU_PS, FRAME_PS, TEMPERATURE_K = 0.2, 0.01, 300.0
EXACT = 10 * thermal_velocity(TEMPERATURE_K) * TAU_PS  # 10^-9 m^2/s: kT tau / m


def moving(positions, velocities, symbols, edge):
    frames = []
    for place, velocity in zip(positions, velocities, strict=True):
        frame = Atoms(symbols, positions=place, cell=np.eye(3) * edge, pbc=True)
        frame.set_velocities(velocity / (1000 * units.fs))
        frame.wrap()
        frames.append(frame)
    return frames


@pytest.fixture(scope="module")
def gas():
    positions, velocities = langevin_gas(
        np.random.default_rng(1), 10_000, 20, temperature_K=TEMPERATURE_K, tau_ps=TAU_PS, frame_ps=FRAME_PS
    )
    frames = moving(positions, velocities, "Ar20", 40.0)
    return analyse(
        frames, frame_fs=1000 * FRAME_PS, thermostat="none", carriers="atoms", only=["diffusion", "velocities"],
        dos_resolution_cm1=20.0, progress=False,
    )  # fmt: skip


def test_green_kubo_and_einstein_agree_with_the_exact_diffusion(gas):
    """D = kT tau / m, of 20 atoms without the drift of the whole: 19/20 of it."""
    exact = EXACT * 19 / 20
    einstein, kubo = gas.diffusion("Ar"), gas.velocity_correlations[0].green_kubo.value
    assert abs(einstein.value - exact) < 3 * einstein.error
    assert abs(kubo.value - exact) < 3 * kubo.error
    assert kubo.error < 0.1 * exact
    assert abs(einstein.value - kubo.value) < 3 * np.hypot(einstein.error, kubo.error)


def test_the_correlation_decays_as_the_process_does(gas):
    (found,) = gas.velocity_correlations
    early = found.time_ps < 2 * TAU_PS
    assert found.correlation[early] == pytest.approx(np.exp(-found.time_ps[early] / TAU_PS), abs=0.06)
    assert TAU_PS < found.green_kubo.cut_ps < 10 * TAU_PS


def test_the_density_of_states_of_a_bath_is_a_lorentzian_of_3n_minus_3_modes(gas):
    density = gas.density_of_states
    assert density.degrees_of_freedom == 57
    width = density.frequency_cm1[1]
    assert density.total.sum() * width == pytest.approx(57)
    omega_tau = 2 * np.pi * density.frequency_cm1 / 33.35640952 * TAU_PS
    shape = 1 / (1 + omega_tau**2)
    low = (omega_tau > 0.5) & (omega_tau < 6)
    ratio = density.total[low] / shape[low]
    assert ratio / ratio.mean() == pytest.approx(1, abs=0.25)


def oscillators(frame_ps, frequency_cm1=1500.0, n_frames=1500):
    """Eight atoms that swing about fixed places, each along x, y and z with phases of its own."""
    rng = np.random.default_rng(2)
    omega = 2 * np.pi * frequency_cm1 / 33.35640952
    phase = rng.random((8, 3)) * 2 * np.pi
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 3) * 5.0 + 1
    angle = omega * frame_ps * np.arange(n_frames)[:, None, None] + phase
    return moving(grid + 0.1 * np.cos(angle), -0.1 * omega * np.sin(angle), "CO7", 10.0)


def test_an_oscillator_is_a_line_at_its_frequency():
    density = analyse(oscillators(0.002), frame_fs=2.0, only=["velocities"], progress=False).density_of_states
    assert density.frequency_cm1[np.argmax(density.total)] == pytest.approx(1500, abs=density.resolution_cm1)
    near = np.abs(density.frequency_cm1 - 1500) < 2 * density.resolution_cm1
    assert density.total[near].sum() * density.frequency_cm1[1] == pytest.approx(21, abs=0.05)
    parts = {name: part.sum() for name, part in density.per_element.items()}
    assert parts["O"] / parts["C"] == pytest.approx(7 * 15.999 / 12.011, rel=0.1)


def test_frames_too_far_apart_for_the_vibrations_are_refused():
    """At 12 fs a vibration of 1500 1/cm (22 fs) swings more than half a turn from frame to frame."""
    result = analyse(oscillators(0.012), frame_fs=12.0, only=["velocities"], progress=False)
    assert result.density_of_states is None
    assert "12 fs" in result.velocity_cause
    wrong_time = analyse(oscillators(0.002), frame_fs=1.0, only=["velocities"], progress=False)
    assert "velocities are not theirs" in wrong_time.velocity_cause


def test_frames_without_velocities_are_told_which_run_to_make():
    frames = oscillators(0.002, n_frames=30)
    for frame in frames:
        frame.arrays.pop("momenta")
    result = analyse(frames, frame_fs=2.0, only=["velocities"], progress=False)
    assert result.density_of_states is None
    assert any("run with velocities" in note for note in result.provenance["notes"])


def swinging_molecule(frame_ps, n_molecules=1):
    """Nitrogen molecules at rest whose bonds swing at 1500 1/cm."""
    omega = 2 * np.pi * 1500 / 33.35640952
    angle = omega * frame_ps * np.arange(1500)[:, None]
    half = np.stack([0.55 + 0.02 * np.cos(angle), np.zeros_like(angle), np.zeros_like(angle)], axis=-1)
    speed = np.stack([-0.02 * omega * np.sin(angle), np.zeros_like(angle), np.zeros_like(angle)], axis=-1)
    shift = np.array([[5.0 * one + 2, 5, 5] for one in range(n_molecules)]).repeat(2, axis=0)
    sign = np.array([1, -1] * n_molecules)[:, None]
    return moving(shift + sign * half, sign * speed, f"N{2 * n_molecules}", 20.0)


@pytest.mark.filterwarnings("error")
def test_the_centre_of_mass_of_one_molecule_has_no_correlation(tmp_path):
    """It is all that moves, and rests: a sentence in place of 0 / 0. Its atoms swing."""
    result = analyse(
        swinging_molecule(0.002), frame_fs=2.0, only=["velocities", "diffusion"], out=tmp_path / "out", progress=False
    )
    (found,) = result.velocity_correlations
    assert found.green_kubo.value.value is None
    assert "rest" in found.green_kubo.value.cause
    assert len(found.correlation) == 0
    density = result.density_of_states
    assert density.frequency_cm1[np.argmax(density.total)] == pytest.approx(1500, abs=density.resolution_cm1)
    table = (tmp_path / "out" / "velocity_correlation_N2.csv").read_text().splitlines()
    assert table == ["time_ps,velocity_autocorrelation"]


@pytest.mark.parametrize("n_molecules", [1, 2])
def test_vibrations_within_resting_molecules_decide_on_the_density_of_states(n_molecules):
    """At 12 fs a bond swings half a turn between frames, which no centre of mass shows."""
    frames = swinging_molecule(0.012, n_molecules)
    result = analyse(frames, frame_fs=12.0, only=["velocities"], progress=False)
    assert result.density_of_states is None
    assert "12 fs" in result.states_cause
    assert result.velocity_cause == ""
    assert "density_of_states" in result.quantities()


def test_fixed_atoms_have_no_correlation_and_others_have():
    frames = oscillators(0.002)
    for frame in frames:
        momenta = frame.get_momenta()
        momenta[0], frame.positions[0] = 0, frames[0].positions[0]
        frame.set_momenta(momenta)
        frame.set_constraint(FixAtoms([0]))
    result = analyse(frames, frame_fs=2.0, only=["velocities"], carriers="atoms", progress=False)
    still, moves = result.velocity_correlations
    assert (still.species, len(still.correlation)) == ("C", 0)
    assert moves.correlation[0] == pytest.approx(1)


def test_velocities_that_are_all_zero_are_named():
    frames = oscillators(0.002, n_frames=30)
    for frame in frames:
        frame.set_momenta(np.zeros((8, 3)))
    result = analyse(frames, frame_fs=2.0, only=["velocities"], progress=False)
    assert "zero" in result.velocity_cause
    assert result.density_of_states is None
