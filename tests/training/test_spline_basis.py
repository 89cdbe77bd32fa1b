"""The spline basis: exact for cubics, fourth order for anything smooth, sound at both ends."""

import pytest
import torch
from systems import SPECIES, random_config, random_model

from dp_sim.training.features.spline_basis import SplineBasis


def interpolated(basis: SplineBasis, function: torch.nn.Module, s: torch.Tensor) -> torch.Tensor:
    index, weights, _ = basis.weights(s)
    coefficients = basis.coefficients(function(basis.sites[:, None]))
    return torch.einsum("pk,pkm->pm", weights, coefficients[index[:, None] + torch.arange(4)])


def test_cubics_are_exact_up_to_both_ends() -> None:
    basis = SplineBasis(10, 1.7)
    s = torch.linspace(0.0, 1.7, 301, dtype=torch.float64)
    cubic = lambda x: 3 * x**3 - x**2 + 0.5 * x - 2  # noqa: E731
    torch.testing.assert_close(interpolated(basis, cubic, s)[:, 0], cubic(s), atol=1e-13, rtol=0)


def test_values_at_the_sites_are_reproduced() -> None:
    basis = SplineBasis(16, 2.0)
    function = lambda x: torch.cat([torch.sin(5 * x), torch.exp(-x)], dim=1)  # noqa: E731
    torch.testing.assert_close(interpolated(basis, function, basis.sites), function(basis.sites[:, None]))


def test_weights_sum_to_one_and_slopes_to_zero() -> None:
    basis = SplineBasis(12, 1.3)
    _, weights, slopes = basis.weights(torch.linspace(0, 1.3, 50, dtype=torch.float64))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(slopes.sum(dim=1), torch.zeros(50, dtype=torch.float64), atol=1e-12, rtol=0)


def test_slopes_are_the_derivative_of_the_weights() -> None:
    basis = SplineBasis(12, 1.3)
    s = torch.tensor([0.01, 0.4, 0.77, 1.29], dtype=torch.float64)
    step = 1e-6
    numeric = (basis.weights(s + step)[1] - basis.weights(s - step)[1]) / (2 * step)
    torch.testing.assert_close(basis.weights(s)[2], numeric, atol=1e-8, rtol=0)


@pytest.mark.parametrize("region", ["everywhere", "near zero", "near s_max"])
def test_error_of_embedding_nets_falls_with_the_fourth_power(region: str) -> None:
    """Twice the knots, about a sixteenth of the error; with 128 it is far below what training can see."""
    model = random_model(random_config(embedding=(25, 50, 100), axis_width=16))
    net = model.descriptor.embedding.nets[SPECIES.index("O")]
    environment = model.descriptor.environment
    function = lambda s: net((s - environment.mean[0]) / environment.deviation[0])  # noqa: E731
    s_max = 1.4
    low, high = {"everywhere": (0.0, s_max), "near zero": (0.0, 0.1), "near s_max": (s_max - 0.1, s_max)}[region]
    s = torch.linspace(low, high, 501, dtype=torch.float64)
    errors = {}
    with torch.no_grad():
        for knots in (32, 64, 128):
            difference = interpolated(SplineBasis(knots, s_max), function, s) - function(s[:, None])
            errors[knots] = float(difference.abs().max())
    assert errors[128] < errors[32] / 8**2
    assert errors[128] < 1e-6
