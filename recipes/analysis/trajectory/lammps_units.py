"""Units of LAMMPS that have a length and a time."""

from __future__ import annotations

from collections.abc import Mapping

#: Name -> one unit of its time in fs (the LAMMPS manual, command "units"). Reduced units (lj) have none.
FS_PER_TIME: Mapping[str, float] = {
    "real": 1.0, "metal": 1e3, "si": 1e15, "cgs": 1e15, "electron": 1.0, "micro": 1e9, "nano": 1e6,
}  # fmt: skip
LAMMPS_UNITS = tuple(FS_PER_TIME)
