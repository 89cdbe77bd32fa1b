"""Suggested settings for data, each with its reason; rules of thumb to start from, not optima."""

from __future__ import annotations

import math
from typing import NamedTuple

from dp_sim.datasets.label_summary import LabelSummary
from dp_sim.datasets.statistics import NeighborStatistics

#: Range of cutoffs that are considered, Angstrom; pairs are searched up to the longest.
SHORTEST_CUTOFF, LONGEST_CUTOFF = 4.0, 8.0
#: Neighbours that a cutoff should hold: the DeepPot-SE paper works with embedding nets about as wide (section 3.3).
NEIGHBORS = 80
#: DeePMD-kit's `auto:1.1`: a tenth more than the data need, rounded up to a multiple of four.
SEL_MARGIN, SEL_MULTIPLE = 1.1, 4


class Suggestion(NamedTuple):
    """A suggested setting.

    Attributes
    ----------
    key
        Key of the training input (or of DeePMD-kit's).
    value
        Its value, as written there.
    reason
        Why.
    """

    key: str
    value: str
    reason: str


def suggest(neighbors: NeighborStatistics, labels: LabelSummary) -> list[Suggestion]:
    """Suggest cutoff, switch, `sel` and widths of the nets.

    Parameters
    ----------
    neighbors
        Statistics of the data, with a reach of LONGEST_CUTOFF.
    labels
        Summary of the labels in the data.
    """
    return [
        _cutoff(neighbors, molecules=set(labels.periodicity) == {"FFF"}),
        *_switch_start(neighbors),
        _sel(neighbors),
        *_embedding(neighbors),
        _fitting(labels),
    ]


def suggested_sel(neighbors: NeighborStatistics) -> list[int]:
    """Compute `sel` as DeePMD-kit's `auto` does, in the order of `neighbors.species`."""
    largest = neighbors.largest.max(axis=0)
    return [SEL_MULTIPLE * math.ceil(max(1, SEL_MARGIN * n) / SEL_MULTIPLE) for n in largest]


def _cutoff(neighbors: NeighborStatistics, molecules: bool) -> Suggestion:
    candidates = [SHORTEST_CUTOFF + 0.5 * k for k in range(int(2 * (LONGEST_CUTOFF - SHORTEST_CUTOFF)) + 1)]
    within = {r: neighbors.mean_within(r) for r in candidates if r <= neighbors.reach}
    longest, most = max(within), max(within.values())
    enough = next((r for r, n in within.items() if n >= NEIGHBORS), None)
    if enough is not None:
        reason = f"{within[enough]:.0f} neighbours on average; longer costs more, and rarely gains"
        return Suggestion("cutoff", f"{enough:g}", reason)
    whole = next(r for r, n in within.items() if n >= 0.99 * most)
    if molecules and whole < longest:
        return Suggestion("cutoff", f"{whole:g}", "holds all pairs that there are: the structures are no larger")
    return Suggestion("cutoff", f"{longest:g}", f"only {most:.0f} neighbours on average, even at this distance")


def _switch_start(neighbors: NeighborStatistics) -> list[Suggestion]:
    shortest = _shortest(neighbors)
    if shortest is None:
        return []
    start = max(0.1, math.floor(9 * shortest) / 10)
    reason = f"just inside the shortest distance ({shortest:.2f} Å): s(r) falls smoothly over all that occur"
    return [Suggestion("switch_start", f"{start:g}", reason)]


def _shortest(neighbors: NeighborStatistics) -> float | None:
    found = neighbors.closest[neighbors.closest == neighbors.closest]  # NaN: no such pair
    return float(found.min()) if len(found) else None


def _sel(neighbors: NeighborStatistics) -> Suggestion:
    largest = ", ".join(f"{n} {s}" for s, n in zip(neighbors.species, neighbors.largest.max(axis=0), strict=True))
    reason = f"at most {largest} within {neighbors.cutoff:g} Å, and a tenth more, in fours; DeepPot-SE here needs none"
    return Suggestion("sel (DeePMD-kit)", str(suggested_sel(neighbors)), reason)


def _embedding(neighbors: NeighborStatistics) -> list[Suggestion]:
    n = neighbors.mean_within(min(neighbors.cutoff, neighbors.reach))
    widths, axis = ("[25, 50, 100]", 8) if n >= 64 else ("[16, 32, 64]", 4) if n >= 8 else ("[8, 16, 32]", 4)
    reason = f"the last width of the order of the number of neighbours ({n:.0f} within {neighbors.cutoff:g} Å)"
    return [
        Suggestion("embedding", widths, reason),
        Suggestion("axis_width", str(axis), "the paper finds about 4 enough; a few more for crowded surroundings"),
    ]


def _fitting(labels: LabelSummary) -> Suggestion:
    numbers = labels.labelled["energy"] + 9 * labels.labelled["virial"]
    if labels.frames:
        numbers += round(3 * labels.atoms * labels.labelled["forces"] / labels.frames)
    width, depth = (64, 2) if numbers < 50_000 else (128, 2) if numbers < 500_000 else (240, 3)
    reason = f"{numbers:,} numbers to learn from: wider nets overfit few data"
    return Suggestion("fitting", str([width] * depth), reason)
