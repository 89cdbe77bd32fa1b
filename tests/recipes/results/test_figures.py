"""What all figures and tables of a page share."""

import io

import numpy as np
import pytest
from PIL import Image

from dp_sim.recipes.results.figures import new_figure, new_panels, set_legend
from dp_sim.recipes.results.formatting import typeset_unit
from dp_sim.recipes.results.page.rendering import _environment
from dp_sim.recipes.results.png import png_of


@pytest.mark.parametrize(("values", "some"), [([60, 320], {"240"}), ([6, 320], {"10", "20", "50"}), ([60, 75], {"60"})])
def test_a_short_logarithmic_axis_has_plain_ticks(values, some):
    figure, axes = new_figure("step", "error (meV)")
    axes.semilogy([1, 2], values)
    figure._repr_png_()
    shown = {label.get_text() for label in axes.get_yticklabels(which="both")}
    assert some <= shown
    assert not [text for text in shown if "10^" in text]


def test_a_legend_covers_no_data():
    figure, panels = new_panels([("x", "y"), ("x", "y")])
    for axes in panels:
        for name in ("running average", "end of equilibration", "target, 330", "another one"):
            axes.plot([0, 1], [0, 1], label=name)
        set_legend(axes)
    figure.canvas.draw()
    for axes in panels:
        legend, panel = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y0 >= panel.y1
        assert legend.x1 <= figure.bbox.x1 if axes is panels[1] else legend.x1 <= panels[1].get_window_extent().x0


def test_a_third_panel_stands_below():
    figure, panels = new_panels([("x", "y")] * 3)
    figure.canvas.draw()
    assert panels[2].get_window_extent().y1 < panels[0].get_window_extent().y0
    assert figure.get_figwidth() == new_panels([("x", "y")] * 2)[0].get_figwidth()


def test_few_colours_of_a_picture_are_those_drawn():
    figure, axes = new_figure("x", "y")
    axes.axvspan(0.2, 0.4, color="#0072B2", alpha=0.08)
    axes.plot(np.random.default_rng(0).normal(size=500), color="#D55E00", linewidth=0.5)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    packed = png_of(figure)
    few, all_ = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int) for png in (packed, drawn.getvalue()))
    assert len(packed) < 0.7 * len(drawn.getvalue())
    assert np.abs(few - all_).max() <= 12
    assert (few[0, 0] == 255).all()


@pytest.mark.parametrize(
    ("unit", "shown"), [("amu^1/2 Angstrom", "√amu Å"), ("us", "µs"), ("1426i cm^-1", "1426i cm⁻¹"), ("tasks", "tasks")]
)
def test_units_are_set_for_people(unit, shown):
    assert typeset_unit(unit) == shown


def test_a_table_sets_words_to_the_left_and_numbers_to_the_right():
    source = "{% import 'parts.html' as parts %}{{ parts.rows(['task', 'x'], [['001-opt', '1.2e-05']]) }}"
    page = _environment().from_string(source).render()
    assert '<td class="words">001-opt</td><td>1.2e-05</td>' in page
