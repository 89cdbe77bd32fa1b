"""Numbers as text."""

import pytest

from dp_sim.recipes.results.formatting import format_estimate, format_interval, readable, typeset_unit


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-1.2346, 0.0123, "-1.235 ± 0.012"),
        (4.8e-33, 6.7e-33, "(4.8 ± 6.7)e-33"),
        (2.5e-33, 6.7e-32, "(0.2 ± 6.7)e-32"),  # the larger of both states the power
        (3.21e12, 4.5e10, "(3.210 ± 0.045)e12"),
        (1234567.0, 89.0, "1234570 ± 90"),
        (1.38, 0.0, "1.38"),  # no scatter, no error
        (25470.3, 1463.2, "25500 ± 1500"),
        (129.7221520, 0.000088, "129.722 ± <0.001"),  # an error of a fit, far below what the material is known to
        (134.39213, 0.00971, "134.392 ± 0.010"),
    ],
)
def test_an_estimate_keeps_its_digits_however_large_or_small(value, error, text):
    assert format_estimate(value, error) == text


def test_energies_keep_the_digits_that_their_error_asks_for():
    assert format_estimate(-16043.12341, 0.0042, "eV") == "-16043.1234 ± 0.0042"
    assert format_estimate(-15503021.374, 0.53, "eV") == "-15503021.37 ± 0.53"
    assert format_interval(-15503022.414, -15503020.334, 0.53, "eV") == "-15503022.41 to -15503020.33"


def test_an_estimate_stands_in_brackets_before_a_power_of_ten():
    assert (
        f"{format_estimate(3.231, 0.271, '10^-9 m^2/s')} {typeset_unit('10^-9 m^2/s')}" == "(3.23 ± 0.27) × 10⁻⁹ m²/s"
    )


def test_proper_names_in_names_of_numbers():
    assert readable("bulk_modulus_voigt") == "bulk modulus (Voigt)"
    assert readable("young_modulus") == "Young's modulus"
