"""The steady state of steps in a row, against the rate equations themselves."""

import numpy as np
import pytest

from dp_sim.recipes.paths.rates.theory.steady_state import steady_state


def rate_matrix(forward, back):
    """d(amounts)/dt = M amounts for a row of minima, the product being taken away."""
    number = len(forward)
    matrix = np.zeros((number, number))
    for step in range(number):
        matrix[step, step] -= forward[step]
        if step + 1 < number:
            matrix[step + 1, step] += forward[step]
            matrix[step, step + 1] += back[step]
            matrix[step + 1, step + 1] -= back[step]
    return matrix


@pytest.fixture(params=range(5))
def row(request):
    """Rate constants of two to five steps, over six powers of ten."""
    random = np.random.default_rng(request.param)
    logarithms = random.uniform(-3, 3, (2, 2 + request.param % 4))
    return 10 ** logarithms[0], 10 ** logarithms[1]


def found(forward, back):
    return steady_state(np.log10(forward), np.log10(forward / back))


def test_the_mean_time_to_the_product_is_that_of_the_rate_equations(row):
    """Amounts integrated over time, from one molecule of the reactant: -M^-1 e_0; eq. 3 holds for any row."""
    forward, back = row
    times = -np.linalg.inv(rate_matrix(forward, back))[:, 0]
    state = found(forward, back)
    assert (1 + state.waiting) / 10**state.log10_rate == pytest.approx(times.sum(), rel=1e-9)
    np.testing.assert_allclose(10**state.log10_waiting, times[1:] / times[0], rtol=1e-9)


def test_fast_intermediates_leave_one_rate_the_slowest_of_the_rate_equations():
    forward, back = np.array([1e-3, 2e4, 5e3]), np.array([3e4, 8e3, 1e-6])
    state = found(forward, back)
    slowest = -np.linalg.eigvals(rate_matrix(forward, back)).real.max()
    assert state.waiting < 1e-6
    assert 10**state.log10_rate == pytest.approx(slowest, rel=1e-6)


def test_control_is_the_sensitivity_to_each_step_with_all_equilibria_held(row):
    forward, back = row
    state = found(forward, back)
    for step in range(len(forward)):
        faster = np.where(np.arange(len(forward)) == step, 1 + 1e-6, 1.0)
        changed = found(forward * faster, back * faster).log10_rate - state.log10_rate
        assert changed / np.log10(1 + 1e-6) == pytest.approx(state.control[step], abs=1e-5)
    assert state.control.sum() == pytest.approx(1)


def test_back_over_forward_is_the_product_of_the_equilibria(row):
    forward, back = row
    state, reverse = found(forward, back), found(back[::-1], forward[::-1])
    assert state.log10_rate - reverse.log10_rate == pytest.approx(np.log10(forward / back).sum(), abs=1e-9)
    assert state.log10_equilibrium == pytest.approx(np.log10(forward / back).sum(), abs=1e-9)


def test_rates_beyond_the_range_of_numbers():
    state = steady_state(np.array([[-400.0], [-250.0]]), np.array([[-200.0], [350.0]]))
    assert state.log10_rate[0] == pytest.approx(-450)
    assert state.control[1, 0] == pytest.approx(1)
