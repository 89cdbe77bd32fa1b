"""A DCD file, and beside it the PDB file that says which atoms it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dp_sim.files import write_text
from dp_sim.recipes.dynamics.frame_formats.dcd import write_dcd
from dp_sim.recipes.dynamics.frame_formats.frame import turned_frames
from dp_sim.recipes.dynamics.frame_formats.pdb_file import pdb_text

DCD, TOPOLOGY = "trajectory.dcd", "topology.pdb"


def write_dcd_with_topology(
    frames: Path, path: Callable[[str], Path | None], steps_per_frame: int, timestep_ps: float
) -> None:
    """Write trajectory.dcd and topology.pdb, atoms in the order of the frames and molecules whole.

    Parameters
    ----------
    frames
        The extended XYZ file.
    path
        Gives the place of a file by its name; None: nowhere, and nothing is written.
    steps_per_frame
        Time steps between two frames.
    timestep_ps
        Time step, ps.

    Raises
    ------
    InputError
        A frame of other atoms than the first.
    """
    dcd, topology = path(DCD), path(TOPOLOGY)
    if dcd is None or topology is None:
        return
    write_dcd(frames, dcd, steps_per_frame, timestep_ps)
    write_text(topology, pdb_text(next(turned_frames(frames)).atoms))
