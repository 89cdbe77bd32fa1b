"""A figure of the neighbours in a data set: radial distribution per pair of species, and numbers of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dp_sim.datasets.statistics import NeighborStatistics
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pairs of species drawn; the curves of more could not be told apart.
MOST_PAIRS = 6


def neighbor_figure(statistics: NeighborStatistics) -> Figure:
    """Plot g(r) and the histogram of neighbours within the cutoff.

    Parameters
    ----------
    statistics
        Of a data set. Where it is not periodic there is no g(r): the density of neighbours is drawn instead.
    """
    bulk = statistics.volume is not None
    r, curves = statistics.radial_distribution() if bulk else statistics.density()
    figure, (radial, numbers) = new_panels(
        [
            ("r (Å)", "g(r)" if bulk else "neighbours (Å⁻³)"),
            (f"neighbours within {statistics.cutoff:g} Å", "share of atoms"),
        ]
    )
    species = statistics.species
    present = [(a, b) for a in range(len(species)) for b in range(a, len(species)) if statistics.histogram[a, b].any()]
    for number, (a, b) in enumerate(present[:MOST_PAIRS]):
        radial.plot(r, curves[a, b], color=COLOURS[number], lw=1.2, label=f"{species[a]}-{species[b]}")
    radial.axvline(statistics.cutoff, color="gray", lw=0.8, ls="--")
    set_legend(radial)
    for number, symbol in enumerate(species[: len(COLOURS)]):
        shares = statistics.counts[:, number].sum(axis=0) / statistics.atoms.sum()
        found = np.flatnonzero(shares)
        numbers.bar(found, shares[found], width=0.9, alpha=0.6, color=COLOURS[number], label=f"of {symbol}")
    set_legend(numbers)
    return figure
