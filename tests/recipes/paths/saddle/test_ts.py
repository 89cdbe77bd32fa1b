"""Saddle points: those that are known, and structures that are none."""

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, Surface, SurfaceWithHessian, at, mueller_brown, stationary
from ase import Atoms
from ase.calculators.emt import EMT
from ase.constraints import FixBondLength
from ase.io import read
from failing_calculators import WORDS, Failing
from refusals import refused

from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.saddle.ts import refine_ts


@pytest.mark.parametrize("name", list(SADDLES))
@pytest.mark.parametrize("kind", [Surface, SurfaceWithHessian])
def test_mueller_brown_saddles(name, kind):
    known = stationary(SADDLES[name])
    ts = refine_ts(at(*(known + np.array([0.05, -0.04]))), kind(mueller_brown), fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*known, 0], atol=1e-4)
    assert ts.energy_eV == pytest.approx(mueller_brown(*known)[0], abs=1e-6)
    # One atom of mass m: its frequencies are the roots of the eigenvalues of the analytic Hessian (and of the spring).
    values = np.sort([*np.linalg.eigvalsh(mueller_brown(*known)[2]), 1.0])
    mass = ts.atoms.get_masses()[0]
    in_cm1 = 521.4709 * np.sign(values) * np.sqrt(np.abs(values) / mass)  # sqrt(eV/Angstrom^2/amu) in cm^-1
    np.testing.assert_allclose(ts.frequencies_cm1, in_cm1, rtol=1e-3)
    assert np.linalg.norm(ts.mode) == pytest.approx(1.0)


def test_an_exact_hessian_is_asked_for_where_there_is_one():
    calculator = SurfaceWithHessian(mueller_brown)
    ts = refine_ts(at(*(stationary(SADDLES["BC"]) + 0.03)), calculator, fmax=1e-3)
    assert ts.converged, ts.cause
    assert calculator.hessians >= 2, "one to start with, one for the frequencies"
    assert calculator.evaluations <= ts.steps + 2, "differences of forces would need 6 more for each Hessian"


def test_hcn_from_the_climbing_image(tmp_path):
    tblite = pytest.importorskip("tblite.ase", reason="the molecular reference needs tblite")
    calculator = tblite.TBLite(method="GFN2-xTB", verbosity=0)
    hcn = Atoms("HCN", positions=[[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", positions=[[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    path = find_path(hcn, hnc, calculator, fmax=0.1)
    ts = refine_ts(path.highest, calculator, fmax=1e-3, out=tmp_path / "ts")
    assert ts.converged, ts.cause
    assert len(ts.frequencies_cm1) == 3
    assert (ts.frequencies_cm1 < 0).tolist() == [True, False, False]
    # The hydrogen moves from one end to the other: the mode is mostly its motion.
    assert np.argmax(np.linalg.norm(ts.mode, axis=1)) == 0
    assert ts.energy_eV == pytest.approx(path.energies.max(), abs=5e-3)
    saved = read(tmp_path / "ts/ts.extxyz")
    assert saved.get_potential_energy() == pytest.approx(ts.energy_eV)
    assert len(read(tmp_path / "ts/mode.extxyz", index=":")) == 20


def test_a_minimum_and_a_maximum_are_no_saddle_points():
    minimum = refine_ts(at(*stationary(MINIMA["C"])), Surface(mueller_brown))
    assert not minimum.converged
    assert "no imaginary frequency" in minimum.cause

    def hilltop(x, y):
        return -(x**2) - y**2, np.array([-2 * x, -2 * y]), np.diag([-2.0, -2.0])

    maximum = refine_ts(at(0, 0), Surface(hilltop))
    assert not maximum.converged
    assert "2 imaginary frequencies" in maximum.cause


def test_too_few_steps_have_a_cause():
    short = refine_ts(at(*(stationary(SADDLES["AC"]) + 0.1)), Surface(mueller_brown), steps=0)
    assert not short.converged
    assert "0.01 was asked for; allow more steps" in short.cause


@pytest.mark.parametrize(
    ("option", "refusal"), [({"fmax": 0}, ("setting-out-of-range",)), ({"steps": -1}, ("setting-out-of-range",))]
)
def test_keywords_out_of_range(option, refusal, tmp_path):
    with refused(*refusal):
        refine_ts(at(0, 0), Surface(mueller_brown), out=tmp_path / "ts", **option)
    assert not (tmp_path / "ts").exists()


def test_a_constraint_whose_modes_are_not_known(tmp_path):
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [2.3, 0, 0], [0, 2.3, 0]], constraint=FixBondLength(0, 1))
    with refused("constraint-unsupported", "FixBondLength"):
        refine_ts(atoms, EMT(), out=tmp_path / "ts")
    assert not (tmp_path / "ts").exists()


def test_a_failed_evaluation_shortens_the_step():
    known = stationary(SADDLES["BC"])
    guess = at(*(known + np.array([0.05, -0.04])))
    usual = Surface(mueller_brown)
    refine_ts(guess, usual, fmax=1e-4)
    failing = Failing(Surface(mueller_brown), lambda number, atoms: number == 8)  # the first step after the Hessian
    ts = refine_ts(guess, failing, fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*known, 0], atol=1e-4)
    assert failing.evaluations > usual.evaluations


def test_a_calculator_that_goes_on_failing_ends_the_search_with_its_files(tmp_path):
    guess = at(*(stationary(SADDLES["BC"]) + np.array([0.05, -0.04])))
    ts = refine_ts(guess, Failing(Surface(mueller_brown), lambda number, atoms: number > 7), out=tmp_path / "ts")
    assert not ts.converged
    assert WORDS in ts.cause
    np.testing.assert_array_equal(ts.atoms.positions, guess.positions)
    assert ts.frequencies_cm1 is None
    assert WORDS in (tmp_path / "ts" / "report.html").read_text()
    assert read(tmp_path / "ts" / "ts.extxyz").get_potential_energy() == pytest.approx(ts.energy_eV)
