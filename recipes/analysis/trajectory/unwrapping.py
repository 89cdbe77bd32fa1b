"""Paths of the carriers, unwrapped across the periodic boundary and without the drift of the whole."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.trajectory.carriers import Carriers, nearest_image

Array = NDArray[np.float64]
#: Root mean square displacement between two frames, as a share of the cell, above which images are confused.
FARTHEST = 1 / 6
#: Bytes above which paths are kept in a file and not in memory.
IN_MEMORY = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Carriers over time.

    Attributes
    ----------
    species
        (M,) of each carrier.
    positions
        (S, M, 3) Angstrom, unwrapped.
    velocities
        (S, M, 3) Angstrom/ps; None where the frames carry no momenta.
    frame_ps
        Time between two frames, ps.
    """

    species: NDArray[np.str_]
    positions: Array
    velocities: Array | None
    frame_ps: float


class PathRecorder:
    """Follows the carriers from frame to frame.

    Each step is the nearest image, in the cell of the later frame, of the difference of two wrapped positions:

        u(n+1) = u(n) + [w(n+1) - w(n)]_nearest image in h(n+1)

    (the toroidal-view-preserving scheme: S. von Bülow, J. T. Bullerjahn and G. Hummer, J. Chem. Phys. 153, 021101
    (2020)). Positions that a program has unwrapped, or that a barostat has stretched with the cell, are wrapped first:
    differences of images that lie n cells off contain n times the cell's fluctuation, which would count as diffusion
    (M. Kulke and J. V. Vermaas, J. Chem. Theory Comput. 18, 6161 (2022)). Of molecules it is the centre of mass that
    is wrapped and unwrapped.

    Parameters
    ----------
    carriers
        What is followed.
    masses
        (N,) of the atoms, amu: the drift of their centre of mass is taken out.
    n_frames
        Number of frames to come.
    with_velocities
        Whether the frames carry momenta.
    remove_drift
        Whether the centre of mass stays where it is; not so beside fixed atoms.
    """

    def __init__(
        self, carriers: Carriers, masses: Array, n_frames: int, *, with_velocities: bool, remove_drift: bool
    ) -> None:
        self._carriers, self._remove_drift = carriers, remove_drift
        self._carrier_share = carriers.shares_of_mass(masses)
        shape = (n_frames, len(carriers.species), 3)
        self._positions = stored_array(shape)
        self._velocities = stored_array(shape) if with_velocities else None
        self._n_frames = 0
        self._last_wrapped: Array | None = None
        self._squared_share = 0.0

    def add(self, atoms: Atoms, velocities: Array | None) -> None:
        """Follow one frame; velocities (N, 3) of its atoms in Angstrom/ps."""
        now, number = self._carriers.positions(atoms), self._n_frames
        cell, pbc = atoms.cell.array, atoms.pbc
        wrapped = _wrapped(now, cell, pbc)
        if self._last_wrapped is None:
            self._positions[number] = wrapped
        else:
            steps = nearest_image(wrapped - self._last_wrapped, cell, pbc)
            if pbc.any():
                shares = (steps @ np.linalg.pinv(cell))[:, pbc]
                self._squared_share += float((shares**2).mean(axis=0).max())
            if self._remove_drift:
                steps -= self._carrier_share @ steps
            self._positions[number] = self._positions[number - 1] + steps
        if self._velocities is not None and velocities is not None:
            own = self._carriers.velocities(velocities)
            self._velocities[number] = own - self._carrier_share @ own if self._remove_drift else own
        self._last_wrapped, self._n_frames = wrapped, number + 1

    def paths(self, frame_ps: float) -> Paths:
        """Return the paths.

        Raises
        ------
        InputError
            The frames are so far apart that a step cannot be told from one of its periodic images.
        """
        share = np.sqrt(self._squared_share / max(1, self._n_frames - 1))
        if share > FARTHEST:
            raise InputError(
                "frames-too-far-apart",
                f"between two frames ({frame_ps:g} ps) the atoms move by {share:.2f} of the "
                "cell (root mean square), so that a crossing of the boundary cannot be followed; write more frames",
            )
        used = slice(self._n_frames)
        velocities = None if self._velocities is None else self._velocities[used]
        return Paths(
            species=self._carriers.species, positions=self._positions[used], velocities=velocities, frame_ps=frame_ps
        )


def _wrapped(positions: Array, cell: Array, pbc: NDArray[np.bool_]) -> Array:
    if not pbc.any():
        return positions
    scaled = positions @ np.linalg.pinv(cell)
    return positions - np.where(pbc, np.floor(scaled), 0.0) @ cell


def stored_array(shape: tuple[int, ...]) -> Array:
    """Make an array, in memory or, when it is large, in a file without a name."""
    if 8 * np.prod(shape) <= IN_MEMORY:
        return np.zeros(shape)
    # The mapping keeps the file open; it is gone when nobody needs it any more.
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float64, mode="w+", shape=shape)
