"""Distances between atoms that change along a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from dp_sim.recipes.paths.matching.bond_graph import bond_matrix
from dp_sim.recipes.results.figures import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: So many are shown, where they change by more than this, Angstrom.
MOST, LEAST_A = 6, 0.1
#: In larger structures only pairs that are bonded at some point are looked at.
MOST_ATOMS = 60


class Changing(NamedTuple):
    """Pairs of atoms, and (n_structures, n_pairs) their distances, Angstrom."""

    pairs: list[tuple[int, int]]
    distances: NDArray[np.float64]


def changing_distances(structures: Sequence[Atoms]) -> Changing:
    """Find the distances that change most: those of bonds that are broken or formed first, then all others.

    Parameters
    ----------
    structures
        Along the path, the ends first and last.
    """
    ends = [bond_matrix(structures[0]), bond_matrix(structures[-1])]
    changed, bonded = ends[0] != ends[1], ends[0] | ends[1]
    among = np.ones_like(changed) if len(changed) <= MOST_ATOMS else bonded
    i, j = np.nonzero(np.triu(among | changed, 1))
    first = structures[0]
    values = np.array(
        [find_mic(one.positions[j] - one.positions[i], first.cell, first.pbc)[1] for one in structures]
    ).reshape(len(structures), len(i))
    span = np.ptp(values, axis=0)
    order = sorted(range(len(i)), key=lambda k: (not changed[i[k], j[k]], not bonded[i[k], j[k]], -span[k]))
    chosen = [k for k in order if span[k] > LEAST_A][:MOST]
    return Changing([(int(i[k]), int(j[k])) for k in chosen], values[:, chosen])


def distance_figure(arc: NDArray[np.float64], changing: Changing, symbols: Sequence[str]) -> Figure:
    """Draw the distances, those of the ends left out, against the arc length (n_images,)."""
    figure, axes = new_figure("arc length (amu$^{1/2}$ Å)", "distance (Å)")
    for number, (i, j) in enumerate(changing.pairs):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(arc, changing.distances[1:-1, number], ".-", color=colour, label=f"{symbols[i]}{i}–{symbols[j]}{j}")
    axes.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
