"""Frames as MDTraj, VMD and the like read them: topology.pdb and trajectory.dcd, which carries the cell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ase.io import iread, read

from dp_sim.errors import import_optional
from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.engines.openmm_box import topology_of, vectors_and_positions_nm


def write_pdb_and_dcd(frames: Path, path: Callable[[str], Path | None], frame_ps: float) -> None:
    """Write topology.pdb and trajectory.dcd.

    Parameters
    ----------
    frames
        The extended XYZ file with the frames.
    path
        Where the file of a name goes; None: nowhere, and nothing is written.
    frame_ps
        Time between two frames (ps).
    """
    app = import_optional("openmm.app", extra="openmm", purpose="a DCD trajectory")
    unit = import_optional("openmm.unit", extra="openmm", purpose="a DCD trajectory")
    topology_file, dcd_file = path("topology.pdb"), path("trajectory.dcd")
    if topology_file is None or dcd_file is None:
        return
    first = read(frames, index=0, format="extxyz")
    topology = topology_of(first)
    with atomic_path(topology_file) as temporary, temporary.open("w", encoding="utf-8") as file:
        app.PDBFile.writeFile(topology, vectors_and_positions_nm(first)[1] * unit.nanometer, file)
    with atomic_path(dcd_file) as temporary, temporary.open("w+b") as file:
        dcd = app.DCDFile(file, topology, frame_ps)
        for frame in iread(frames, format="extxyz"):
            vectors, positions = vectors_and_positions_nm(frame)
            dcd.writeModel(
                positions * unit.nanometer, periodicBoxVectors=None if vectors is None else vectors * unit.nanometer
            )
