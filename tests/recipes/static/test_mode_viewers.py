"""Modes for eyes: what the page moves, what XYZ files hold, and that a browser moves it."""

import shutil
import subprocess
from base64 import b64decode

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read

from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.mode_viewers import FRAMES, MOST_BYTES, MOST_LINES, animation, trajectories_xyz


def decoded(data: dict) -> np.ndarray:
    steps = np.frombuffer(b64decode(data["displacements"]), dtype=np.int8)
    return steps.reshape(len(data["numbers"]), len(data["elements"]), 3) / 127


def test_the_page_gets_directions_and_proportions_of_every_mode():
    water = molecule("H2O")
    modes = np.random.default_rng(3).normal(size=(3, 3, 3))
    data = animation(water, water.positions, np.array([-500.0, 1600.0, 3600.0]), modes)
    expected = modes / np.linalg.norm(modes, axis=2).max(axis=1)[:, None, None]
    np.testing.assert_allclose(decoded(data), expected, atol=0.5 / 127)
    assert data["bonds"] == [[0, 1], [0, 2]]
    assert data["numbers"] == [1, 2, 3]
    assert data["frequencies"] == [-500.0, 1600.0, 3600.0]
    assert (data["cell"], data["note"]) == (None, "")
    view = np.array(data["view"])
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(view) == pytest.approx(1, abs=1e-5)  # no mirror image


def test_a_page_of_many_modes_stays_small_and_says_which_move():
    crystal = bulk("Cu", cubic=True) * 5
    m = 3 * len(crystal) - 3
    modes = np.broadcast_to(np.eye(3)[0], (m, len(crystal), 3)) * np.linspace(1, 2, m)[:, None, None]
    data = animation(crystal, crystal.positions, np.arange(float(m)), modes)
    shown = len(data["numbers"])
    assert MOST_BYTES - 6 * len(crystal) < 3 * shown * len(crystal) <= MOST_BYTES
    assert len(data["displacements"]) <= 4 * MOST_BYTES // 3 + 4
    assert (data["numbers"][0], data["numbers"][-1]) == (1, m)
    gap = np.flatnonzero(np.diff(data["numbers"]) > 1)[0]
    assert f"1 to {data['numbers'][gap]} and {data['numbers'][gap + 1]} to {m}" in data["note"]
    assert data["cell"] is not None


def test_a_trajectory_is_a_period_of_each_mode():
    water = molecule("H2O")
    modes = np.random.default_rng(4).normal(size=(2, 3, 3))
    lines = list(trajectories_xyz(water, water.positions, np.array([10.0, 20.0]), modes))
    assert lines[1].startswith("mode 1 of 2, 10.00 cm^-1")
    assert len(lines) == 2 * FRAMES * 5
    long = list(trajectories_xyz(bulk("Cu") * 10, np.zeros((1000, 3)), np.arange(300.0), np.ones((300, 1000, 3))))
    fitting = MOST_LINES // (FRAMES * 1000)
    assert len(long) == 1002 * FRAMES * fitting
    assert f"mode 1 of 300 (the first {fitting} are in this file)" in long[1]


def test_files_hold_what_the_result_does(tmp_path):
    relaxed = optimize(molecule("H2O"), EMT(), fmax=1e-3).atoms
    result = vibrations(relaxed, EMT(), out=tmp_path / "vib", symmetry_number=2)
    frames = read(tmp_path / "vib" / "modes.xyz", ":")
    assert len(frames) == 3 * FRAMES
    np.testing.assert_allclose(frames[0].positions, relaxed.positions, atol=1e-6)
    step = frames[FRAMES + FRAMES // 4].positions - relaxed.positions  # the second mode's farthest point
    np.testing.assert_allclose(step / np.linalg.norm(step), result.modes[1], atol=1e-5)
    assert np.linalg.norm(step, axis=1).max() == pytest.approx(0.3, abs=1e-5)


def test_force_constants_are_the_curvature_along_the_displacements():
    relaxed = optimize(molecule("H2O"), EMT(), fmax=1e-5).atoms
    result = vibrations(relaxed, EMT())
    flat = result.modes.reshape(3, 9)
    expected = np.einsum("ka,ab,kb->k", flat, result.hessian, flat)
    np.testing.assert_allclose(result.force_constants_eV_A2, expected, rtol=1e-6)


def test_a_browser_moves_the_first_mode_without_network(tmp_path):
    """Screenshots of headless Chromium at two moments differ in the canvas and nowhere else."""
    chromium = shutil.which("chromium") or pytest.skip("no chromium here")
    image = pytest.importorskip("PIL.Image")
    chops = pytest.importorskip("PIL.ImageChops")
    relaxed = optimize(Atoms("N2", [[0, 0, 0], [0, 0, 1.1]]), EMT(), fmax=1e-3).atoms
    vibrations(relaxed, EMT(), out=tmp_path / "vib", symmetry_number=2)

    def shot(moment: int):
        file = tmp_path / f"{moment}.png"
        subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--window-size=900,1300", f"--virtual-time-budget={moment}", f"--screenshot={file}",
             (tmp_path / "vib" / "report.html").as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        return image.open(file).convert("RGB")

    first = shot(300)
    assert first.size == (900, 1300)
    # a busy machine draws few frames, and two moments may show the same one
    boxes = (chops.difference(first, shot(moment)).getbbox() for moment in (700, 1150, 1600, 2350, 3100))
    left, upper, right, lower = next(box for box in boxes if box is not None)
    assert right - left < 500
    assert lower - upper < 460
