"""What all figures and tables of a page share."""

import pytest

from dp_sim.recipes.results.figures import new_figure
from dp_sim.recipes.results.formatting import typeset_unit
from dp_sim.recipes.results.page.rendering import _environment


@pytest.mark.parametrize(("values", "some"), [([60, 320], {"240"}), ([6, 320], {"10", "20", "50"}), ([60, 75], {"60"})])
def test_a_short_logarithmic_axis_has_plain_ticks(values, some):
    figure, axes = new_figure("step", "error (meV)")
    axes.semilogy([1, 2], values)
    figure._repr_png_()
    shown = {label.get_text() for label in axes.get_yticklabels(which="both")}
    assert some <= shown
    assert not [text for text in shown if "10^" in text]


@pytest.mark.parametrize(
    ("unit", "shown"), [("amu^1/2 Angstrom", "√amu Å"), ("us", "µs"), ("1426i cm^-1", "1426i cm⁻¹"), ("tasks", "tasks")]
)
def test_units_are_set_for_people(unit, shown):
    assert typeset_unit(unit) == shown


def test_a_table_sets_words_to_the_left_and_numbers_to_the_right():
    source = "{% import 'parts.html' as parts %}{{ parts.rows(['task', 'x'], [['001-opt', '1.2e-05']]) }}"
    page = _environment().from_string(source).render()
    assert '<td class="words">001-opt</td><td>1.2e-05</td>' in page
