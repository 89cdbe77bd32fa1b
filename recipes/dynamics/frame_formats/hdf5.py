"""MDTraj's HDF5 form (conventions "Pande", 1.1): positions, cells, times, velocities and topology in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase import units

from dp_sim.files import atomic_path
from dp_sim.recipes.dynamics.frame_formats.frame import TurnedFrame, turned_frames
from dp_sim.recipes.dynamics.frame_formats.topology import topology
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL

#: ASE's unit of velocity (Angstrom sqrt(eV/amu)) in nm/ps.
VELOCITY_IN_NM_PER_PS = ANGSTROM_IN_NM * 1000.0 * units.fs


def write_hdf5(frames: Path, file: Path, frame_ps: float) -> None:
    """Write the frames of an extended XYZ file.

    Parameters
    ----------
    frames
        The extended XYZ file.
    file
        Where the HDF5 file goes.
    frame_ps
        Time between two frames, ps.
    """
    with atomic_path(file) as temporary, h5py.File(temporary, "w") as out:
        for number, frame in enumerate(turned_frames(frames)):
            if number == 0:
                _begin(out, frame)
            for name, values in _fields(frame, number * frame_ps).items():
                data = out[name]
                data.resize(number + 1, axis=0)
                data[number] = values


#: Field -> its unit, in MDTraj's words.
_UNITS = {
    "coordinates": "nanometers",
    "time": "picoseconds",
    "cell_lengths": "nanometers",
    "cell_angles": "degrees",
    "velocities": "nanometers/picosecond",
    "potentialEnergy": "kilojoules_per_mole",
}


def _fields(frame: TurnedFrame, time_ps: float) -> dict[str, Any]:
    fields = {"coordinates": frame.positions_A * ANGSTROM_IN_NM, "time": time_ps}
    if frame.lengths_A is not None:
        fields |= {"cell_lengths": frame.lengths_A * ANGSTROM_IN_NM, "cell_angles": frame.angles_deg}
    if frame.velocities is not None:
        fields["velocities"] = frame.velocities * VELOCITY_IN_NM_PER_PS
    if frame.atoms.calc is not None:
        fields["potentialEnergy"] = frame.atoms.get_potential_energy() * EV_IN_KJ_PER_MOL
    return fields


def _begin(out: h5py.File, first: TurnedFrame) -> None:
    for name, text in {"conventions": "Pande", "conventionVersion": "1.1", "program": "dp-sim"}.items():
        out.attrs[name] = np.bytes_(text)
    for name, values in _fields(first, 0.0).items():
        shape = np.shape(values)
        data = out.create_dataset(
            name, (0, *shape), "f4", maxshape=(None, *shape), chunks=(1, *shape) if shape else (64,)
        )
        data.attrs["units"] = np.bytes_(_UNITS[name])
    out.create_dataset("topology", data=np.array([json.dumps(topology(first.atoms)).encode()]))
