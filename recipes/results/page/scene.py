"""Structures for the viewer on a page (`templates/viewer.js`): one that turns, or a series of them that plays."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Frames times atoms that a page holds, some ten bytes each, and atoms that a browser still turns smoothly.
MOST_PLACES, MOST_ATOMS = 20_000, 5_000
#: Frames of a series that a page plays.
MOST_FRAMES = 100
#: Angles, about x and y of the screen, by which the view is aslant: along a mirror plane atoms would hide each other.
ASLANT = np.radians([20.0, 15.0])
#: Share of the covalent radius that is drawn, and how much longer than the sum of radii a drawn bond may be.
DRAWN_RADIUS, BOND_FACTOR = 0.55, 1.15


def chosen_frames(number: int, n_atoms: int) -> list[int]:
    """Choose which of a series of frames a page plays: the first, the last, and those between at equal distances.

    Parameters
    ----------
    number
        Frames that there are.
    n_atoms
        Atoms in each.
    """
    room = max(1, min(MOST_FRAMES, MOST_PLACES // max(1, n_atoms)))
    if number <= room:
        return list(range(number))
    return sorted({round(float(place)) for place in np.linspace(number - 1, 0, room)})


def movie_of_series(frames: Sequence[Atoms], last: Atoms, one: str, several: str) -> dict[str, Any] | None:
    """Make the data of the viewer for a series that a run left, or for its last structure where that is all.

    Parameters
    ----------
    frames
        The series; it may be long, or empty.
    last
        The last structure.
    one, several
        What its members are called.
    """
    chosen = chosen_frames(len(frames), len(last))
    if len(chosen) < 2:
        return movie([last], ["the last structure"])
    labels = [f"{one} {number + 1} of {len(frames)}" for number in chosen]
    note = "" if len(chosen) == len(frames) else f"{len(chosen)} of {len(frames)} {several} play here."
    return movie([frames[number] for number in chosen], labels, note=note)


def movie(
    frames: Sequence[Atoms], labels: Sequence[str], *, note: str = "", back: bool = False
) -> dict[str, Any] | None:
    """Make the data of the viewer for one structure or several of the same atoms.

    Parameters
    ----------
    frames
        F structures of N atoms each.
    labels
        What stands under each of them.
    note
        A sentence above the picture.
    back
        Play forth and back, as along a reaction path; else again from the start.

    Returns
    -------
    dict or None
        Coordinates are whole steps of `step` Angstrom from their middle, two bytes each; bonds are pairs of atoms, the
        distances of which fit. None where there is no atom, or more than `MOST_ATOMS`.
    """
    if not frames or not 0 < len(frames[0]) <= MOST_ATOMS:
        return None
    positions = np.array([unbroken(frame) for frame in frames])
    middle = (positions.max(axis=(0, 1)) + positions.min(axis=(0, 1))) / 2
    step = max(1e-3, float(np.abs(positions - middle).max()) / 32_000)
    bonds = [bonds_of(frames[0], one) for one in positions]
    last = frames[-1]
    return {
        **drawn(last, positions[-1]),
        "middle": np.round(middle, 4).tolist(),
        "step": step,
        "coordinates": _packed(np.round((positions - middle) / step).astype("<i2")),
        "bonds": _packed(np.concatenate(bonds).astype("<u2")),
        "bond_counts": [len(one) for one in bonds],
        "cells": [np.round(frame.cell.array, 4).tolist() for frame in frames] if last.pbc.all() else None,
        "origins": [cell_origin(*both).tolist() for both in zip(frames, positions, strict=True)],
        "labels": list(labels),
        "back": back,
        "note": note,
    }


def drawn(atoms: Atoms, positions: Array) -> dict[str, Any]:
    """Return what every picture of a structure needs: elements, their looks, the first view, a still."""
    return {
        "elements": list(atoms.symbols),
        "looks": {element: _look(element) for element in sorted(set(atoms.symbols))},
        "view": (view := _view(positions)),
        "still": _still(atoms, positions, np.array(view)),
    }


def bonds_of(atoms: Atoms, positions: Array) -> NDArray[np.intp]:
    """Find pairs (B, 2) of atoms as near as bonded ones, across no face of the cell."""
    whole = Atoms(atoms.numbers, positions)
    first, second = neighbor_list("ij", whole, natural_cutoffs(whole, mult=BOND_FACTOR))
    return np.column_stack([first, second])[first < second].reshape(-1, 2)


def unbroken(atoms: Atoms) -> Array:
    """Return positions (N, 3) in the cell, with what its faces cut put together again.

    Atoms follow their bonds, group by group, by whole lattice vectors. A group that meets its own image, as a crystal
    does, stays in the cell.
    """
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        return np.array(atoms.positions)
    from scipy.sparse import coo_matrix  # noqa: PLC0415 - scipy.sparse is slow to import
    from scipy.sparse.csgraph import breadth_first_order, connected_components  # noqa: PLC0415

    inside = atoms.copy()
    inside.wrap(eps=1e-6)
    first, second, shifts = neighbor_list("ijS", inside, natural_cutoffs(inside, mult=BOND_FACTOR))
    n = len(atoms)
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n, n)).tocsr()
    shift_of = {(int(i), int(j)): shift for i, j, shift in zip(first, second, shifts, strict=True)}
    moved = np.zeros((n, 3))
    n_groups, group = connected_components(graph, directed=False)
    for root in np.unique(group, return_index=True)[1]:
        order, before = breadth_first_order(graph, root, directed=False)
        for atom in order[1:]:
            moved[atom] = moved[before[atom]] + shift_of[int(before[atom]), int(atom)]
    endless = np.zeros(n_groups, dtype=bool)
    endless[group[first[(moved[second] - moved[first] != shifts).any(axis=1)]]] = True
    moved[endless[group]] = 0
    return np.asarray(inside.positions + moved @ atoms.cell.array)


def _packed(values: NDArray[Any]) -> str:
    return b64encode(values.tobytes()).decode("ascii")


def _look(element: str) -> list[Any]:
    number = atomic_numbers[element]
    red, green, blue = (round(255 * float(share)) for share in jmol_colors[number])
    return [round(DRAWN_RADIUS * float(covalent_radii[number]), 3), f"#{red:02x}{green:02x}{blue:02x}"]


def cell_origin(atoms: Atoms, positions: Array) -> Array:
    """Place the drawn cell: its middle in that of the atoms, as a molecule that its faces cut is whole here."""
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    return np.round(middle - atoms.cell.array.sum(axis=0) / 2, 4)


def _view(positions: Array) -> list[list[float]]:
    """Turn the structure so that it is widest along the screen, and a little aslant: rows of a rotation (3, 3)."""
    axes = np.linalg.svd(positions - positions.mean(axis=0), full_matrices=True)[2]
    axes[2] *= np.sign(np.linalg.det(axes))
    (a, b), (c, d) = np.cos(ASLANT), np.sin(ASLANT)
    about_x, about_y = np.array([[1, 0, 0], [0, a, -c], [0, c, a]]), np.array([[b, 0, d], [0, 1, 0], [-d, 0, b]])
    view: list[list[float]] = np.round(about_y @ about_x @ axes, 6).tolist()
    return view


def _still(atoms: Atoms, positions: Array, view: Array) -> str:
    """Draw the structure once, for readers whose browser runs no scripts: an SVG, as base64."""
    places = (positions - positions.mean(axis=0)) @ view.T * [1, -1, 1]  # y points down on a screen
    looks = [_look(symbol) for symbol in atoms.symbols]
    bonds = [(*places[a, :2], *places[b, :2]) for a, b in bonds_of(atoms, positions)]
    lines = ["M{:.2f} {:.2f}L{:.2f} {:.2f}".format(*ends) for ends in bonds]
    circles = [
        f'<circle cx="{places[atom, 0]:.2f}" cy="{places[atom, 1]:.2f}" r="{looks[atom][0]}" fill="{looks[atom][1]}"/>'
        for atom in np.argsort(places[:, 2])  # from far to near
    ]
    low, high = places[:, :2].min(axis=0) - 1, places[:, :2].max(axis=0) + 1
    box = " ".join(f"{value:.2f}" for value in (*low, *(high - low)))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="320" viewBox="{box}" stroke-width=".06">'
        f'<path d="{"".join(lines)}" stroke="#999" stroke-width=".14"/>'
        f'<g stroke="#888">{"".join(circles)}</g></svg>'
    )
    return b64encode(svg.encode()).decode("ascii")
