"""Runs side by side, and the viewer by itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from ase.build import molecule
from refusals import refused

from dp_sim.recipes.results.page.comparison import compare_runs
from dp_sim.recipes.results.page.scene import movie
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Measured(Result):
    recipe: ClassVar[str] = "measured"
    title: ClassVar[str] = "A <measurement>"
    mean: float = 1.0
    modes: tuple[float, ...] = (100.0, 200.0)

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "volume": Quantity(20.0 * self.mean, "Angstrom^3"),
            "mean_energy": Estimate(self.mean, 0.03, (self.mean - 0.06, self.mean + 0.06), 40.0, "eV"),
            "frequencies": Quantity(np.array(self.modes), "cm^-1"),
        }

    def headline(self) -> tuple[str, ...]:
        return ("mean_energy",)

    def animation(self) -> dict[str, Any] | None:
        return movie([molecule("H2O")], ["the </script> structure"])


@dataclass(frozen=True, kw_only=True)
class Other(Result):
    recipe: ClassVar[str] = "other"
    title: ClassVar[str] = "Another"

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {"steps": Quantity(3)}


@pytest.fixture
def runs(tmp_path):
    given = {"settings": {"fmax": 0.1, "steps": 5}}, {"settings": {"fmax": 0.2, "steps": 5}}
    Measured(converged=True, provenance=given[0]).save(tmp_path / "a")
    Measured(converged=True, provenance=given[1], mean=1.05, modes=(103.0, 195.0)).save(tmp_path / "b")
    return tmp_path


def test_numbers_stand_side_by_side_with_their_difference(runs):
    table = compare_runs([runs / "a", runs / "b"], runs / "page.html")
    assert table.header == ["", "unit", str(runs / "a"), str(runs / "b"), "difference"]
    # 0.05 of sqrt(2) 0.03 is 1.2 standard errors; what was asked for stands first
    assert table.rows == [
        ["mean energy", "eV", "1.000 ± 0.030", "1.050 ± 0.030", "0.050 ± 0.042 (1.2 σ)"],
        ["volume", "Å³", "20", "21", "+1"],
        ["frequencies", "cm⁻¹", "2 values, 100 to 200", "2 values, 103 to 195", "mean 4, largest 5"],
    ]
    page = (runs / "page.html").read_text()
    settings = page.split("Settings that differ")[1]
    assert "fmax" in settings
    assert "steps" not in settings
    assert "A &lt;measurement&gt;" in page


def test_what_cannot_be_compared_is_refused(runs):
    Other(converged=True).save(runs / "c")
    with refused("runs-unlike", "measured", "other"):
        compare_runs([runs / "a", runs / "c"], runs / "page.html")
    with refused("run-twice", "a"):
        compare_runs([runs / "a", runs / "b" / ".." / "a"], runs / "page.html")
    assert not (runs / "page.html").exists()


def test_a_view_is_a_page_that_loads_nothing(tmp_path):
    view = Measured(converged=True).view()
    view.save(tmp_path / "view.html")
    page = (tmp_path / "view.html").read_text()
    assert "http" not in page
    assert page.count("</script>") == 2  # the data, and what draws them
    assert view._repr_html_().startswith("<iframe srcdoc=")
    with refused("view-missing", "Other"):
        Other(converged=True).view()
