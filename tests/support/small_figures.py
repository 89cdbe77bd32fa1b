"""Figures in a third of the time, for tests that run recipes: small, and without a search for the best margins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

from dp_sim.recipes.results.shown_figure import ShownFigure


def save_small(figure: Figure, *arguments: Any, **options: Any) -> None:
    """Save as `Figure.savefig` does, everything drawn, at 30 dots per inch."""
    figure.set_layout_engine("none")
    Figure.savefig(figure, *arguments, **{**options, "dpi": 30})


@pytest.fixture(scope="module", autouse=True)
def small_figures() -> Iterator[None]:
    """Hold for the tests of one file. Processes that a test starts draw as users see it, as test_loading.py does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShownFigure, "savefig", save_small)
        yield
