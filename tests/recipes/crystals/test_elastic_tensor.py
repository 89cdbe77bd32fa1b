"""The tensor of elastic constants: symmetry, fit, averages, stability."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dp_sim.recipes.crystals.elastic_tensor import (
    average_errors,
    averages,
    fit_tensor,
    invariant_tensors,
    needed_strains,
    weakest_strain,
)

INVERSION = -np.eye(3)


def turn(degrees: float, axis: tuple[int, int, int]) -> np.ndarray:
    unit = np.array(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(np.radians(degrees) * unit).as_matrix()


def group(*generators: np.ndarray) -> np.ndarray:
    """Multiply until nothing new comes."""
    elements = [np.eye(3)]
    while True:
        products = [a @ b for a in elements for b in generators]
        new = [one for one in products if not any(np.allclose(one, other) for other in elements)]
        if not new:
            return np.array(elements)
        elements.append(new[0])


#: Point group -> its elements and the number of independent constants (J. F. Nye, table 9).
GROUPS = {
    "-1": (group(INVERSION), 21),
    "2/m": (group(turn(180, (0, 1, 0)), INVERSION), 13),
    "mmm": (group(turn(180, (1, 0, 0)), turn(180, (0, 1, 0)), INVERSION), 9),
    "4/m": (group(turn(90, (0, 0, 1)), INVERSION), 7),
    "4/mmm": (group(turn(90, (0, 0, 1)), turn(180, (1, 0, 0)), INVERSION), 6),
    "-3": (group(turn(120, (0, 0, 1)), INVERSION), 7),
    "-3m": (group(turn(120, (0, 0, 1)), turn(180, (1, 0, 0)), INVERSION), 6),
    "6/mmm": (group(turn(60, (0, 0, 1)), turn(180, (1, 0, 0)), INVERSION), 5),
    "m-3m": (group(turn(90, (0, 0, 1)), turn(120, (1, 1, 1)), INVERSION), 3),
}


@pytest.mark.parametrize("name", GROUPS)
def test_symmetry_leaves_the_constants_of_the_tables(name):
    rotations, count = GROUPS[name]
    basis = invariant_tensors(rotations)
    assert len(basis) == count
    if name == "6/mmm":
        np.testing.assert_allclose(basis[:, 5, 5], (basis[:, 0, 0] - basis[:, 0, 1]) / 2, atol=1e-12)
    if name == "m-3m":
        assert needed_strains(basis) == [0, 3]


@pytest.mark.parametrize("name", GROUPS)
def test_a_tensor_is_found_again_in_curved_stresses(name):
    rng = np.random.default_rng(3)
    basis = invariant_tensors(GROUPS[name][0])
    truth = np.einsum("k,kab->ab", 50 * rng.normal(size=len(basis)), basis)
    strains, amplitudes = needed_strains(basis), np.array([-0.01, -0.005, 0.005, 0.01])
    curved = rng.normal(size=(2, len(strains), 6)) * 1000
    stresses = np.array(
        [
            [a * truth[:, one] + a**2 * curved[0, n] + a**3 * curved[1, n] for a in amplitudes]
            for n, one in enumerate(strains)
        ]
    )
    fit = fit_tensor(basis, strains, amplitudes, stresses)
    np.testing.assert_allclose(fit.constants, truth, atol=1e-9)
    assert fit.errors.max() < 1e-9


def test_errors_are_those_of_repeated_fits():
    """Noise of 0.01 on the stresses: the spread of many fits is the error that each of them states."""
    rng = np.random.default_rng(4)
    basis = invariant_tensors(GROUPS["m-3m"][0])
    truth = cubic(170, 120, 80)
    strains, amplitudes = [0, 3], np.linspace(-0.01, 0.01, 7)[[0, 1, 2, 4, 5, 6]]
    clean = np.array([[a * truth[:, one] for a in amplitudes] for one in strains])
    fits = [
        fit_tensor(basis, strains, amplitudes, clean + rng.normal(scale=0.01, size=clean.shape)) for _ in range(400)
    ]
    for a, b in ((0, 0), (0, 1), (3, 3)):
        stated = np.sqrt(np.mean([fit.errors[a, b] ** 2 for fit in fits]))
        assert np.std([fit.constants[a, b] for fit in fits]) == pytest.approx(stated, rel=0.15)
    bulk = [averages(fit.constants).shear_reuss for fit in fits]
    stated = np.sqrt(np.mean([average_errors(fit).shear_reuss ** 2 for fit in fits]))
    assert np.std(bulk) == pytest.approx(stated, rel=0.15)


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    tensor = np.diag([c11 - c12] * 3 + [c44] * 3).astype(float)
    tensor[:3, :3] += c12
    return tensor


def test_averages_of_copper():
    """Cubic crystals have closed forms: R. Hill, Proc. Phys. Soc. A 65, 349 (1952)."""
    c11, c12, c44 = 168.4, 121.4, 75.4
    found = averages(cubic(c11, c12, c44))
    assert found.bulk_hill == pytest.approx((c11 + 2 * c12) / 3)
    assert found.shear_voigt == pytest.approx((c11 - c12 + 3 * c44) / 5)
    assert found.shear_reuss == pytest.approx(5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12)))
    isotropic = averages(cubic(200, 100, 50))
    assert (isotropic.young, isotropic.poisson) == pytest.approx((2 * 50 * (1 + 1 / 3), 1 / 3))
    assert isotropic.anisotropy == pytest.approx(0, abs=1e-9)


def test_borns_criterion_of_cubic_crystals():
    """C11 > C12, C11 + 2 C12 > 0, C44 > 0; the strain that gains energy is named."""
    assert weakest_strain(cubic(168, 121, 75))[0] == pytest.approx(47)
    value, strain = weakest_strain(cubic(100, 110, 50))
    assert value == pytest.approx(-10)
    assert strain[:3].sum() == pytest.approx(0, abs=1e-9)
    value, strain = weakest_strain(cubic(100, 50, -5))
    assert value == pytest.approx(-10)
    assert np.abs(strain[:3]).max() < 1e-9
