"""R~ of eq. 8, by hand."""

import pytest
import torch

from dp_sim.descriptors.environment import Environment
from dp_sim.descriptors.switch import SWITCHES


@pytest.fixture
def environment() -> Environment:
    return Environment(6.0, 1.0, "polynomial", 2).double()


def test_rows_by_hand(environment: Environment) -> None:
    """r = (0.3, 0, 0.4): s = 1/0.5 = 2 below the switch, so the row is (2, 2*0.6, 0, 2*0.8) = (2, 1.2, 0, 1.6)."""
    unit, s = environment.weights(torch.tensor([[0.3, 0.0, 0.4]], dtype=torch.float64))
    torch.testing.assert_close(unit, torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64))
    torch.testing.assert_close(s, torch.tensor([2.0], dtype=torch.float64))
    rows = environment.rows(unit, s, torch.tensor([0]))
    torch.testing.assert_close(rows, torch.tensor([[2.0, 1.2, 0.0, 1.6]], dtype=torch.float64))


def test_scale_is_that_of_the_centre(environment: Environment) -> None:
    environment.scale.copy_(torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 4.0, 8.0, 16.0]]))
    unit, s = environment.weights(torch.tensor([[0.3, 0.0, 0.4]] * 2, dtype=torch.float64))
    rows = environment.rows(unit, s, torch.tensor([1, 0]))
    expected = torch.tensor([[1.0, 0.3, 0.0, 0.1], [2.0, 1.2, 0.0, 1.6]], dtype=torch.float64)
    torch.testing.assert_close(rows, expected)


def test_net_input(environment: Environment) -> None:
    """(s - mean)/deviation, with the statistics of the centre's species."""
    environment.mean.copy_(torch.tensor([0.5, 0.0]))
    environment.deviation.copy_(torch.tensor([0.25, 2.0]))
    got = environment.net_input(torch.tensor([0.0, 0.5, 1.0, 1.0]), torch.tensor([0, 0, 0, 1]))
    torch.testing.assert_close(got, torch.tensor([[-2.0], [0.0], [2.0], [0.5]]), check_dtype=False)


@pytest.mark.parametrize("kind", SWITCHES)
def test_rows_vanish_at_the_cutoff(kind: str) -> None:
    """Scaled, never shifted: a neighbour at r_c adds nothing, whatever the statistics."""
    environment = Environment(6.0, 1.0, kind, 1).double()
    environment.scale.fill_(0.01)
    environment.mean.fill_(3.0)
    unit, s = environment.weights(torch.tensor([[0.0, 6.0, 0.0]], dtype=torch.float64))
    assert not environment.rows(unit, s, torch.tensor([0])).any()


def test_rotation_turns_the_last_three_columns(environment: Environment) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=generator))[0]
    centers = torch.zeros(5, dtype=torch.int64)
    before = environment.rows(*environment.weights(vectors), centers)
    after = environment.rows(*environment.weights(vectors @ turn.T), centers)
    torch.testing.assert_close(after[:, 0], before[:, 0])
    torch.testing.assert_close(after[:, 1:], before[:, 1:] @ turn.T)
