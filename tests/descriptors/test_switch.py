"""The weight s(r): 1/r near by, zero beyond the cutoff, as smooth at both ends as its kind promises."""

import math

import pytest
import torch

from dp_sim.descriptors.switch import SWITCHES, Switch

START, CUTOFF = 2.0, 6.0


def derivatives(kind: str, r: float, orders: int) -> list[float]:
    """s, s', s'', ... at r, by automatic differentiation."""
    x = torch.tensor([r], dtype=torch.float64, requires_grad=True)
    value = Switch(START, CUTOFF, kind)(x)
    values = [value.item()]
    for _ in range(orders):
        (value,) = torch.autograd.grad(value.sum(), [x], create_graph=True)
        values.append(value.item())
    return values


@pytest.mark.parametrize("kind", SWITCHES)
def test_values(kind: str) -> None:
    s = Switch(START, CUTOFF, kind)(torch.tensor([0.7, 2.0, 4.0, 6.0, 7.0], dtype=torch.float64))
    torch.testing.assert_close(
        s, torch.tensor([1 / 0.7, 0.5, 0.125, 0.0, 0.0], dtype=torch.float64), atol=0, rtol=1e-15
    )


def test_values_by_hand_inside_the_switch() -> None:
    """u = 1/4 at r = 3: the cosine of eq. 9, and DeePMD-kit's u^3 (-6 u^2 + 15 u - 10) + 1."""
    r = torch.tensor([3.0], dtype=torch.float64)
    assert Switch(START, CUTOFF, "cosine")(r).item() == pytest.approx(
        (0.5 * math.cos(math.pi / 4) + 0.5) / 3, rel=1e-15
    )
    assert Switch(START, CUTOFF, "polynomial")(r).item() == pytest.approx((1 - 53 / 512) / 3, rel=1e-15)


@pytest.mark.parametrize(("kind", "order"), [("cosine", 1), ("polynomial", 2)])
@pytest.mark.parametrize("place", [START, CUTOFF])
def test_continuous_derivatives(kind: str, order: int, place: float) -> None:
    """Up to `order` the derivatives meet at both ends of the switch; the next one jumps: the order is the true one."""
    below, above = derivatives(kind, place - 1e-7, order + 1), derivatives(kind, place + 1e-7, order + 1)
    assert below[: order + 1] == pytest.approx(above[: order + 1], abs=1e-6)
    assert abs(below[order + 1] - above[order + 1]) > 1e-2


@pytest.mark.parametrize("kind", SWITCHES)
def test_decreases(kind: str) -> None:
    s = Switch(START, CUTOFF, kind)(torch.linspace(0.1, CUTOFF, 2000, dtype=torch.float64))
    assert bool((s[1:] < s[:-1]).all())


def test_start_at_zero() -> None:
    s = Switch(0.0, CUTOFF, "polynomial")(torch.tensor([1e-3, 3.0], dtype=torch.float64))
    torch.testing.assert_close(s, torch.tensor([1e3, 0.5 / 3], dtype=torch.float64), rtol=1e-6, atol=0)
