"""How results are printed, shown and put into the report."""

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from refusals import refused

from dp_sim.recipes.results.formatting import format_interval, format_quantity, format_value, typeset_unit
from dp_sim.recipes.results.page.html import collected_html, rebuild_report, report_html
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Example(Result):
    recipe: ClassVar[str] = "example"
    title: ClassVar[str] = "An <example>"

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "mean_energy": Estimate(-1.23456, 0.0123, (-1.26, -1.21), 42.0, "eV"),
            "compressibility": Estimate.withheld("1/GPa", "the run holds 3 independent samples & 50 are needed"),
            "frequencies": Quantity(np.array([1e-9, 1500.126]), "cm^-1"),
        }

    def figures(self):
        from dp_sim.recipes.results.figures import new_figure

        return {"first": new_figure("x", "y")[0], "second": new_figure("x", "y")[0]}


def test_the_summary_has_values_errors_and_causes():
    text = Example(converged=False, cause="too short").summary()
    assert text.splitlines() == [
        "An <example>: not converged: too short",
        "  mean_energy: -1.235 ± 0.012 eV",
        "  compressibility: not given: the run holds 3 independent samples & 50 are needed",
        "  frequencies: 0.0, 1500.1 cm^-1",
    ]


def test_print_and_repr_are_short():
    """A dataclass would print every array: a Hessian fills the screen."""
    result = Example(converged=False, cause="too short")
    assert str(result) == result.summary()
    assert repr([result]) == "[<Example: An <example>: not converged: too short>]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (3, "3"),
        (0.000123456789, "0.000123457"),
        (-12345.678912, "-12345.6789"),
        (330.0, "330"),
        ([], "none"),
        ([1, 2], "1, 2"),
        ([[1.0], [2.0]], "[1.0], [2.0]"),
        (list(range(100)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …, 94, 95, 96, 97, 98, 99"),
    ],
)
def test_values_for_people(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.17537, "eV", "3.1754"),
        (-309.98804, "eV", "-309.9880"),
        (3560.5354, "cm^-1", "3560.5"),
        (-1425.8044, "cm^-1", "-1425.8"),
        (0.0237857, "eV/Angstrom", "0.02379"),
        (0.000588644, "eV/atom", "0.0005886"),
        (6.05497e-36, "1/s", "6.055e-36"),
        (52.1135, "", "52.11"),
        (123456.78, "us", "123457"),
        (330.0, "K", "330"),
        (2.6, "ps", "2.6"),
        (0.5, "eV", "0.5000"),
        (7, "", "7"),
        ("minimum", "", "minimum"),
        ([-0.95558, 1e-5, 8.27892], "cm^-1", "-1.0, 0.0, 8.3"),
    ],
)
def test_a_number_has_the_digits_that_its_unit_is_used_with(value, unit, text):
    assert format_quantity(value, unit) == text


def test_bounds_have_the_decimals_of_their_estimate():
    assert format_interval(1.28751, 1.31468, 0.0059) == "1.2875 to 1.3147"
    assert format_interval(1e-36, 3e-34, 1e-35) == "1e-36 to 3e-34"
    assert format_interval(5678.0, 9253.0, 775.0) == "5680 to 9250"
    assert not format_interval(129.721970, 129.722335, 0.000088)  # both read 129.722


@dataclass(frozen=True, kw_only=True)
class Withheld(Example):
    def headline(self):
        return ("mean_energy", "expansion", "not_there")

    @property
    def basis(self):
        return "12 <samples>"

    @property
    def outcome(self):
        return "half of it is known" if self.converged else ""

    def captions(self):
        return {"first": "What to see & where."}

    def quantities(self):
        cause = "too short by far"
        return super().quantities() | {name: Estimate.withheld("", cause) for name in ("expansion", "difference")}


def test_the_page_begins_with_the_outcome_and_the_numbers_asked_for():
    page = report_html(Withheld(converged=True).to_dict(), {"first": b"\x89PNG", "second": b"\x89PNG"})
    places = [page.index(text) for text in ("✓ Half of it is known", 'class="card"', "12 &lt;samples&gt;", "<figure",
              "All numbers")]  # fmt: skip
    assert places == sorted(places)
    assert page.count('class="card"') == 2  # a name that the result has no number for is left out
    assert page.count('class="big withheld">not given') == 1
    assert "What to see &amp; where.</figcaption>" in page
    assert "<figcaption>second</figcaption>" in page


def test_a_cause_that_several_numbers_share_is_read_once():
    page = report_html(Withheld(converged=True).to_dict(), {})
    assert page.count("too short by far") == 1
    assert "<th>expansion, difference</th>" in page


def test_plot_gives_the_named_figure():
    result = Example(converged=True)
    assert result.plot().axes[0].get_xlabel() == "x"
    assert result.plot("second") is not None
    with refused("figure-unknown", "'secnd'", "'second'?"):
        result.plot("secnd")


def test_the_report_is_one_file_without_network():
    page = report_html(Example(converged=False, cause="a < b").to_dict(), {"first": b"\x89PNG"})
    assert "An &lt;example&gt;" in page
    assert "Not converged: a &lt; b" in page
    assert "-1.235 ± 0.012 eV" in page
    assert "95 % interval -1.260 to -1.210, 42 independent samples" in page
    assert "not given: the run holds 3 independent samples &amp; 50 are needed" in page
    assert "1500.1 cm⁻¹" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


MARKUP = "<script>alert('x')</script>\" onload=\"y"


def pages_with(markup: str) -> dict[str, str]:
    """Every kind of page, with the same text wherever a user's text can stand."""
    part = Example(converged=False, cause=markup, provenance={"command": markup, "settings": {markup: [markup]}})
    content = part.to_dict() | {"title": markup, "recipe": markup}
    content["values"] = {markup: Quantity(markup, markup).to_dict()}
    content["values"]["withheld"] = Estimate.withheld("eV", markup).to_dict()
    return {
        "report": report_html(content, {markup: b"\x89PNG"}),
        "collected": collected_html(content, {markup: (markup, part)}),
        "cell": part._repr_html_(),
    }


@pytest.mark.parametrize("kind", ["report", "collected", "cell"])
def test_markup_in_a_users_text_stays_text(kind):
    page = pages_with(MARKUP)[kind]
    assert "<script" not in page
    assert '" onload' not in page
    assert "&lt;script&gt;" in page


def test_a_page_of_several_parts_names_those_that_did_not_converge():
    good, bad = Example(converged=True), Example(converged=False, cause="too short")
    page = collected_html(good.to_dict(), {"1. First": ("It ran.", good), "2. Second": ("It stopped.", bad)})
    assert "All parts ran. Not converged, with the cause given below: 2. Second</p>" in page
    assert "Not converged: too short" in page
    assert page.count("data:image/png;base64,") == 4
    assert "✓ All parts ran" in collected_html(good.to_dict(), {"1. First": ("It ran.", good)})


def test_settings_without_a_value_have_no_row():
    settings = {"recipe": "example", "steps": 5, "model": None, "data": [], "other": {}, "layers": {"first": 2}}
    page = report_html(Example(converged=True, provenance={"settings": settings}).to_dict(), {})
    assert re.findall(r"<th>(\w+)</th><td><code>(.*?)</code>", page) == [("steps", "5"), ("layers", "first 2")]


def test_the_notebook_shows_numbers_and_figures():
    fragment = Example(converged=True)._repr_html_()
    assert fragment.count("data:image/png;base64,") == 2
    assert "mean energy" in fragment


def test_units_are_typeset():
    assert typeset_unit("eV/Angstrom^2") == "eV/Å²"
    assert typeset_unit("cm^-1") == "cm⁻¹"


def test_a_report_is_rebuilt_from_its_directory(tmp_path):
    Example(converged=True).save(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "run" / "report.html").unlink()
    assert rebuild_report(tmp_path / "run").read_text() == page


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "file-unreadable"),
        ("{", "file-unreadable"),
        ("\x00", "file-unreadable"),
        ("[]", "result-invalid"),
        ('{"schema": 2}', "result-invalid"),
        ('{"schema": 1}', "result-invalid"),
    ],
)
def test_a_damaged_result_gives_one_sentence(tmp_path, content, code):
    (tmp_path / "result.json").write_text(content)
    with refused(code, tmp_path / "result.json"):
        rebuild_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_no_result_gives_one_sentence(tmp_path):
    with refused("file-missing", tmp_path / "result.json"):
        rebuild_report(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": ["/a/water.pt"]}, "water.pt"),
        ({"model": ["a.pt", "b.pt"]}, "2 models"),
        ({"calculator": "emt"}, "emt"),
    ],
)
def test_the_first_line_names_the_calculator(settings, words):
    content = Example(converged=True, provenance={"settings": settings}).to_dict()
    assert f'<p class="lead">dp-sim example · {words}</p>' in report_html(content, {})


def test_what_numbers_rest_on_is_the_structure_where_a_recipe_says_no_more():
    @dataclass(frozen=True, kw_only=True)
    class OfWater(Example):
        atoms: Atoms

    assert OfWater(converged=True, atoms=molecule("H2O")).to_dict()["basis"] == "H2O, 3 atoms"
