"""Numbers with two errors: of sampling and of the model."""

import numpy as np
import pytest

from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.uncertainty.derived import ModelError


def test_independent_errors_add_in_quadrature_on_each_side() -> None:
    found = Estimate(10.0, 1.0, (7.0, 13.0), 20.0, "kB", model=ModelError(2.0, 4.0, 4.0))
    assert found.total_ci95 == pytest.approx((5.0, 15.0))
    entry = found.to_dict()
    assert (entry["error"], entry["model_error"]) == (1.0, 2.0)
    assert "± 2 by the model" in str(found)
    assert "model_error" not in Estimate(10.0, 1.0, (7.0, 13.0), 20.0, "kB").to_dict()
    assert "model_error" not in Quantity(None, "eV", "not known", ModelError(1.0, 1.0, 1.0)).to_dict()


def test_the_last_line_of_a_cell_says_value_interval_and_samples() -> None:
    found = Estimate(1.30110, 0.00589, (1.28751, 1.31468), 76.1, "g/cm^3")
    assert repr(found) == "<Estimate: 1.3011 ± 0.0059 g/cm^3; 95 %: 1.28751 to 1.31468; 76 independent samples>"
    assert repr(Estimate.withheld("eV", "too short")) == "<Estimate: not given: too short>"


def test_an_array_has_an_error_for_each_number() -> None:
    error = ModelError(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([2.0, 5.0]))
    entry = Quantity(np.array([10.0, 20.0]), "cm^-1", model=error).to_dict()
    assert entry["model_error"] == [1.0, 2.0]
    assert entry["total_ci95"] == [[8.0, 12.0], [16.0, 25.0]]
