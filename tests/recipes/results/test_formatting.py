"""Numbers as text."""

import pytest

from dp_sim.recipes.results.formatting import format_estimate


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-1.2346, 0.0123, "-1.235 ± 0.012"),
        (4.8e-33, 6.7e-33, "(4.8 ± 6.7)e-33"),
        (2.5e-33, 6.7e-32, "(0.2 ± 6.7)e-32"),  # the larger of both states the power
        (3.21e12, 4.5e10, "(3.210 ± 0.045)e12"),
        (1234567.0, 89.0, "1234567 ± 89"),
        (0.0, 0.0, "0.00 ± 0.00"),
    ],
)
def test_an_estimate_keeps_its_digits_however_large_or_small(value, error, text):
    assert format_estimate(value, error) == text
