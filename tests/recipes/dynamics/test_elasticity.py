"""Elastic constants from strain fluctuations, against strains whose covariance is known exactly."""

from __future__ import annotations

import json
from itertools import permutations, product

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.stats import binom
from synthetic_series import CUBIC_GPA, autoregressive, strained_cells

from dp_sim.recipes import load_result
from dp_sim.recipes.crystals.elastic_tensor import independent_constants, invariant_tensors
from dp_sim.recipes.dynamics import estimators, npt
from dp_sim.recipes.dynamics.elasticity.constants import StrainFluctuations
from dp_sim.recipes.dynamics.elasticity.symmetry import symmetry_of_run
from dp_sim.recipes.dynamics.estimators import elasticity
from dp_sim.recipes.dynamics.estimators.elasticity import lagrangian_strains
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import make_plan
from dp_sim.recipes.dynamics.run_files import CELL_COLUMNS, Row
from dp_sim.recipes.dynamics.settings import NPTSettings
from dp_sim.recipes.results.quantities import Estimate

TEMPERATURE_K = 300.0
#: From Voigt's form to Mandel's.
ROOT = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
#: Order in which the tests name constants, and their exact values.
EXACT = {"C11": CUBIC_GPA[0, 0], "C12": CUBIC_GPA[0, 1], "C44": CUBIC_GPA[3, 3]}


def cube() -> np.ndarray:
    """Give the 48 rotations and reflections of a cube."""
    signs = product((1, -1), repeat=3)
    return np.array([np.eye(3)[list(order)] * sign for sign in signs for order in permutations(range(3))])


def cubic_basis() -> np.ndarray:
    return invariant_tensors(cube())


def constants(cells: np.ndarray, basis: np.ndarray | None = None) -> estimators.FluctuationConstants:
    return estimators.elastic_constants(cells, TEMPERATURE_K, basis=basis, steps_per_sample=1)


def test_lagrangian_strain_of_a_turned_cell():
    """F = R U has eta = (U^2 - 1) / 2 whatever R; rows and columns exchanged would give another tensor."""
    rng = np.random.default_rng(0)
    cell = rng.normal(size=(3, 3)) + 5 * np.eye(3)
    stretch = np.eye(3) + np.array([[3, 1, 2], [1, -2, 1], [2, 1, 4]]) / 100
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = (turn @ stretch @ cell.T).T
    middle, strains = lagrangian_strains(np.array([cell, cell, moved, 2 * cell - moved]))
    np.testing.assert_allclose(middle, cell)
    expected = (stretch @ stretch - np.eye(3)) / 2
    np.testing.assert_allclose(strains[2, :3], np.diag(expected), atol=1e-12)
    np.testing.assert_allclose(strains[2, 3:], np.sqrt(2) * expected[[1, 0, 0], [2, 2, 1]], atol=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_intervals_cover(symmetric: bool):
    """Each kind of strain with a correlation time of its own; without the correction for 7 / nu the mean is off."""
    basis, repeats = cubic_basis() if symmetric else None, 100
    made = [
        constants(strained_cells(np.random.default_rng([7, one]), 900, (3, 4, 4, 5, 5, 5)), basis).estimates
        for one in range(repeats)
    ]
    for name, exact in EXACT.items():
        found = [one[name] for one in made]
        assert all(one.value is not None for one in found)
        hold = sum(one.ci95[0] < exact < one.ci95[1] for one in found)
        values = np.array([one.value for one in found])
        assert hold >= binom.ppf(0.001, repeats, 0.95), f"{name}: {hold} of {repeats} intervals hold the truth"
        assert 0.85 < np.mean([one.error for one in found]) / values.std() < 1.5
        off = 3.5 * values.std() / np.sqrt(repeats)
        assert values.mean() == pytest.approx(exact, abs=off)
        if name == "C44" and not symmetric:  # nu = 180: what is taken away would be seen
            assert off < 7 / 180 * exact


def test_neither_the_compliance_nor_its_inverse_is_biased():
    """tr(S C) / 6 and tr(C S) / 6 with the exact other one are 1: short correlated runs, and white strains.

    Without what the mean strain takes, S of 200 samples at a correlation time of 4 is 4 % too small; the inverse of 200
    white ones is nu / (nu - 7), 4 % too large, and twice the correction is as much too small.
    """
    exact = CUBIC_GPA * np.outer(ROOT, ROOT)
    compliances, inverses = [], []
    for one in range(300):
        rng = np.random.default_rng([11, one])
        slow, white = (strained_cells(rng, 200, (tau,) * 6) for tau in (4.0, 0.01))
        compliances.append(np.trace(_made(slow).compliance @ exact) / 6)
        inverses.append(np.trace(_made(white).corrected @ np.linalg.inv(exact)) / 6)
    assert np.mean(compliances) == pytest.approx(1, abs=0.02)
    assert np.mean(inverses) == pytest.approx(1, abs=0.012)


def _made(cells: np.ndarray) -> elasticity.Compliance:
    reference, strains = lagrangian_strains(cells)
    return elasticity.Compliance(strains, reference, TEMPERATURE_K, estimators.no_symmetry())


def test_bulk_modulus_is_that_of_the_volume():
    cells = strained_cells(np.random.default_rng(2), 3000, (5,) * 6)
    of_volume = estimators.bulk_modulus(np.abs(np.linalg.det(cells)), TEMPERATURE_K, steps_per_sample=1)
    of_strains = constants(cells, cubic_basis()).bulk_modulus_GPa
    assert of_strains.value == pytest.approx(of_volume.value, rel=0.01)
    assert of_strains.error == pytest.approx(of_volume.error, rel=0.05)


def test_too_short_a_run_is_withheld():
    few = constants(strained_cells(np.random.default_rng(0), 200, (10,) * 6))
    assert few.tensor_GPa() is None
    assert "strain" in few.estimates["C11"].cause
    assert "steps more" in few.estimates["C11"].cause


def test_few_shapes_one_after_the_other_are_withheld():
    """Monte Carlo moves leave a cell as it is for a while: five shapes in fifty samples have no inverse."""
    shapes = np.eye(3) + 0.01 * np.tril(np.random.default_rng(0).normal(size=(5, 3, 3)))
    found = estimators.elastic_constants(np.repeat(shapes, 10, axis=0), 300.0, steps_per_sample=10)
    assert found.bulk_modulus_GPa.value is None
    assert "too few shapes" in found.bulk_modulus_GPa.cause


def test_a_cell_that_keeps_its_shape_has_none():
    volume = 10 * (1 + 0.01 * autoregressive(np.random.default_rng(0), 2000, 5.0))
    still = constants(volume[:, None, None] * np.eye(3))
    assert "does not fluctuate" in still.estimates["C11"].cause
    assert still.bulk_modulus_GPa.value is None


@pytest.mark.parametrize("repeat", [(2, 2, 2), (1, 2, 3)])
def test_symmetry_of_the_start_in_the_axes_of_the_run(repeat: tuple[int, int, int]):
    """Turned by 30 degrees, larger by 1 % and strained by noise: three tensors, nearly those of the turned crystal."""
    start = bulk("Cu", cubic=True) * repeat
    turned = start.copy()
    turned.rotate(30, (1, 2, 3), rotate_cell=True)
    noise = np.array([[1, 0.7, -0.4], [0.7, -1, 0.3], [-0.4, 0.3, 0.5]]) / 1000
    found = symmetry_of_run(start, 1.01 * turned.cell.array @ (np.eye(3) + noise))
    assert found.basis is not None
    assert len(found.basis) == 3
    rotation = np.linalg.solve(start.cell.array, turned.cell.array).T
    expected = invariant_tensors(np.array([rotation @ one @ rotation.T for one in cube()]))
    np.testing.assert_allclose(_projector(found.basis), _projector(expected), atol=0.005)
    assert "Fm-3m" in found.words


def _projector(basis: np.ndarray) -> np.ndarray:
    flat = basis.reshape(len(basis), -1)
    return flat.T @ flat


def test_symmetry_that_the_mean_cell_has_lost_is_not_used():
    start = bulk("Cu", cubic=True)
    found = symmetry_of_run(start, start.cell.array * [1.05, 1, 1])
    assert found.basis is None
    assert "Fm-3m" in found.words
    assert "%" in found.words


def test_a_start_that_is_not_at_rest_has_no_symmetry():
    start = bulk("Cu", cubic=True)
    start.rattle(0.05, seed=1)
    found = symmetry_of_run(start, start.cell.array)
    assert found.basis is None
    assert "P1" in found.words


def test_hexagonal_crystals_have_five_constants():
    start = bulk("Mg")
    basis = symmetry_of_run(start, start.cell.array).basis
    assert basis is not None
    assert independent_constants(basis) == [(0, 0), (0, 1), (0, 2), (2, 2), (3, 3)]


def test_second_derivatives_under_pressure():
    """C11 + p, C12 - p, C44 + p: of a gas, whose stress-strain coefficients are K = p and no shear, 2 p, 0, p."""
    cells = strained_cells(np.random.default_rng(1), 3000, (5,) * 6)
    found = StrainFluctuations(
        constants=constants(cells, cubic_basis()), independent=tuple(EXACT), symmetry="", pressure_GPa=2.0
    )
    numbers = found.quantities()
    for name, added in (("C11", 2.0), ("C12", -2.0), ("C44", 2.0)):
        raw, other = numbers[name], numbers[f"{name}_second_derivative"]
        assert other.value - raw.value == pytest.approx(added)
        assert other.ci95[1] - raw.ci95[1] == pytest.approx(added)


def test_second_derivatives_of_an_ideal_gas():
    """A = -N k_B T ln V has d^2 A / d eta^2 / V0 = p (d_ik d_jl + d_il d_jk): 2 p, 0 and p (C11, C12, C44)."""
    found = StrainFluctuations(
        constants=estimators.FluctuationConstants(
            np.eye(3), {name: _known(value) for name, value in zip(EXACT, (1.0, 1.0, 0.0), strict=True)}, _known(1.0)
        ),
        independent=tuple(EXACT),
        pressure_GPa=1.0,
    )
    assert [found.second_derivative(name).value for name in EXACT] == [2.0, 0.0, 1.0]


def _known(value: float) -> Estimate:
    return Estimate(value, 0.0, (value, value), 1.0, "GPa")


def flexible_run(size: int):
    """A run whose table is known: what `run_npt` makes of it."""
    rng = np.random.default_rng(3)
    atoms = bulk("Cu", cubic=True)
    settings = NPTSettings.check({"temperature_K": TEMPERATURE_K, "steps": 10 * size, "cell_change": "flexible"})
    energy, warmth = autoregressive(rng, size, 5.0), TEMPERATURE_K * (1 + 0.1 * autoregressive(rng, size, 5.0))
    rows, kinetic = [], 0.5
    for number, cell in enumerate(strained_cells(rng, size, (4,) * 6)):
        volume = float(np.linalg.det(cell))
        energies = (energy[number], kinetic, energy[number] + kinetic)
        fixed = (10 * number, 0.02 * number, warmth[number], *energies, volume, 8.9, 1.0)
        rows.append(Row(*fixed, **dict(zip(CELL_COLUMNS, cell.ravel(), strict=True))))
    return npt.analyse(Recorded(rows, atoms, 12, stopped=""), make_plan(settings, atoms, EMT()))


def test_a_flexible_run_reports_them(tmp_path):
    result = flexible_run(1500)
    result.save(tmp_path / "run")
    numbers = json.loads((tmp_path / "run" / "result.json").read_text())["values"]
    assert "Fm-3m" in numbers["elastic_symmetry"]["value"]
    for name, exact in (("C11", 170.0), ("C12", 120.0), ("C44", 75.0)):
        assert numbers[name]["value"] == pytest.approx(exact, abs=4 * numbers[name]["error"])
    table = np.genfromtxt(tmp_path / "run" / "elastic.csv", delimiter=",", skip_header=1)[:, 1:]
    np.testing.assert_allclose(table[:, :6], numbers["elastic_constants"]["value"], atol=1e-5)
    assert table[3, 9] == pytest.approx(numbers["C44"]["error"])
    assert np.all(table[:3, 3:6] == 0)  # a cube has no C14, whatever the samples say
    assert result.elastic.pressure_GPa == pytest.approx(1e-4)  # 1 bar
    assert "C11" in (tmp_path / "run" / "report.html").read_text()
    again = load_result(tmp_path / "run")
    assert again.to_dict()["values"] == numbers
    assert again.elastic.constants.estimates["C44"] == result.elastic.constants.estimates["C44"]


def test_a_flexible_run_that_is_too_short_says_so(tmp_path):
    numbers = flexible_run(60).to_dict()["values"]
    assert numbers["C11"]["value"] is None
    assert "steps more" in numbers["C11"]["cause"]
    assert "elastic_constants" not in numbers
