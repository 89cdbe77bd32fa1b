"""Normal modes for eyes: lines, data of the viewer on the page, the Molden format, and trajectories in XYZ."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.page.scene import bonds_of, cell_origin, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

#: Bytes that the displacements on a page may take, three a mode and atom; as text they are a third longer. All modes
#: of 400 atoms fit.
MOST_BYTES = 1_500_000
#: Lines of atoms in `modes.xyz`; with 45 characters each, some 10 MB.
MOST_LINES = 200_000
#: Frames of a period in `modes.xyz`, and how far the atom that goes farthest is displaced there, Angstrom.
FRAMES, AMPLITUDE_A = 16, 0.3


def animation(atoms: Atoms, positions: Array, frequencies_cm1: Array, modes: Array) -> dict[str, Any]:
    """Make the data of the viewer, `results/page/templates/viewer.js`.

    Parameters
    ----------
    atoms
        N atoms: their elements and, where it is periodic, the cell.
    positions
        (N, 3) Angstrom, in which molecules are whole.
    frequencies_cm1
        (M,) rising, imaginary ones negative.
    modes
        (M, N, 3) displacements.

    Returns
    -------
    dict
        Displacements are bytes, 127 for the atom of a mode that goes farthest. Where there are too many (`MOST_BYTES`)
        the lowest and the highest modes are there, and `note` says which.
    """
    shown = _shown(len(modes), max(2, MOST_BYTES // (3 * len(atoms))))
    largest = np.linalg.norm(modes[shown], axis=2).max(axis=1)[:, None, None]
    steps = np.round(127 * modes[shown] / largest).astype(np.int8)
    return {
        **drawn(atoms, positions),
        "positions": np.round(positions, 4).tolist(),
        "bonds": bonds_of(atoms, positions).tolist(),
        "cell": np.round(atoms.cell.array, 4).tolist() if atoms.pbc.all() else None,
        "origin": cell_origin(atoms, positions).tolist(),
        "numbers": (shown + 1).tolist(),
        "frequencies": np.round(frequencies_cm1[shown], 2).tolist(),
        "displacements": b64encode(steps.tobytes()).decode("ascii"),
        "note": _note(shown, len(modes)),
    }


def _shown(n_modes: int, room: int) -> NDArray[np.intp]:
    """Choose the modes of a page: all, or the lowest and the highest half of the `room` there is."""
    numbers = np.arange(n_modes)
    return numbers if n_modes <= room else np.concatenate([numbers[: room - room // 2], numbers[-(room // 2) :]])


def _note(shown: NDArray[np.intp], n_modes: int) -> str:
    if len(shown) == n_modes:
        return ""
    low = len(shown) - len(shown) // 2
    return (
        f"Modes 1 to {low} and {n_modes - len(shown) // 2 + 1} to {n_modes} move here; modes.molden holds all of them."
    )


def molden_text(atoms: Atoms, frequencies_cm1: NDArray[np.float64], modes: NDArray[np.float64]) -> str:
    """Write structure and normal modes in the Molden format, which Molden, Jmol, Avogadro and others animate.

    Parameters
    ----------
    atoms
        The structure; the file has its positions in Bohr.
    frequencies_cm1
        (M,) imaginary ones negative.
    modes
        (M, N, 3) Cartesian displacements.

    Returns
    -------
    str
        The file's content.
    """
    bohr = atoms.positions / units.Bohr
    lines = ["[Molden Format]", "[FREQ]", *(f"{value:.4f}" for value in frequencies_cm1), "[FR-COORD]"]
    lines += [f"{s:2s} {x:.8f} {y:.8f} {z:.8f}" for s, (x, y, z) in zip(atoms.symbols, bohr, strict=True)]
    lines.append("[FR-NORM-COORD]")
    for number, mode in enumerate(modes, start=1):
        lines.append(f"vibration {number}")
        lines += [f"{x:.8f} {y:.8f} {z:.8f}" for x, y, z in mode]
    return "\n".join(lines) + "\n"


def trajectories_xyz(atoms: Atoms, positions: Array, frequencies_cm1: Array, modes: Array) -> Iterator[str]:
    """Write the lines of an XYZ file with a period of each mode, one mode after another, as VMD and others play it.

    Modes that would make the file longer than `MOST_LINES` are left out: the highest ones. The comment of each frame
    says which mode it is of.
    """
    fitting = max(1, MOST_LINES // (FRAMES * len(atoms)))
    symbols = list(atoms.symbols)
    of = f"{len(modes)}" if fitting >= len(modes) else f"{len(modes)} (the first {fitting} are in this file)"
    for number, mode in enumerate(modes[:fitting]):
        amplitude = AMPLITUDE_A / np.linalg.norm(mode, axis=1).max()
        for frame in range(FRAMES):
            moved = positions + amplitude * np.sin(2 * np.pi * frame / FRAMES) * mode
            yield f"{len(atoms)}"
            yield f"mode {number + 1} of {of}, {frequencies_cm1[number]:.2f} cm^-1, frame {frame + 1}/{FRAMES}"
            for symbol, (x, y, z) in zip(symbols, moved.tolist(), strict=True):
                yield f"{symbol:2s} {x:12.6f} {y:12.6f} {z:12.6f}"


def line_figure(frequencies_cm1: Array, std_cm1: Array | None) -> Figure:
    """Draw a line for each frequency (M,), imaginary ones in another colour, with bars of the model's error."""
    figure, axes = new_figure("wavenumber (cm⁻¹), negative: imaginary", "")
    figure.set_size_inches(8.8, 2.2)
    for colour, shown in ((COLOURS[0], frequencies_cm1 >= 0), (COLOURS[1], frequencies_cm1 < 0)):
        axes.vlines(frequencies_cm1[shown], 0, 1, color=colour, linewidth=1.4)
    if std_cm1 is not None:
        axes.hlines(np.full(len(std_cm1), 1.06), frequencies_cm1 - std_cm1, frequencies_cm1 + std_cm1, color="black")
    axes.set_ylim(0, 1.15)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure
