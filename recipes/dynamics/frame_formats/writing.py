"""The forms of frames by name, and writing those that a run was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from dp_sim.recipes.dynamics.frame_formats.dcd_with_topology import write_dcd_with_topology
from dp_sim.recipes.dynamics.frame_formats.hdf5 import write_hdf5

HDF5 = "trajectory.h5"


def write_forms(
    forms: Collection[str],
    frames: Path,
    path: Callable[[str], Path | None],
    steps_per_frame: int,
    timestep_ps: float,
) -> None:
    """Write the frames of a run once more, in each of the forms; of a resumed run, all of them again.

    Parameters
    ----------
    forms
        Names in `settings.TRAJECTORY_FORMS`; extxyz is there already.
    frames
        The extended XYZ file.
    path
        Gives the place of a file by its name; None: nowhere.
    steps_per_frame
        Time steps between two frames.
    timestep_ps
        Time step, ps.
    """
    if "dcd" in forms:
        write_dcd_with_topology(frames, path, steps_per_frame, timestep_ps)
    if "h5" in forms and (hdf5 := path(HDF5)) is not None:
        write_hdf5(frames, hdf5, steps_per_frame * timestep_ps)
