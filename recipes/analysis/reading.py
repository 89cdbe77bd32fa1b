"""From what the user names to a source: the directory of a run, a trajectory file, or structures in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError, first_line, import_optional
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.ase_files import ReadInOrder, TrajFrames
from dp_sim.recipes.analysis.trajectory.lammps_dump import DumpFrames, is_dump
from dp_sim.recipes.analysis.trajectory.lammps_log import read_log
from dp_sim.recipes.analysis.trajectory.lammps_units import FS_PER_TIME
from dp_sim.recipes.analysis.trajectory.mdtraj_files import SUFFIXES, MDTrajFrames
from dp_sim.recipes.analysis.trajectory.motion import Motion
from dp_sim.recipes.analysis.trajectory.run_directory import read_run
from dp_sim.recipes.analysis.trajectory.source import FramesInMemory, Source
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.results.trajectory import ExtxyzFrames, LazyFrames
from dp_sim.structures.reading.read import LAST_TWO, read_file

#: Settings that say what a run of ours says itself.
STATED_BY_RUNS = ("topology", "types", "units", "timestep", "log", "frame_fs", "thermostat", "temperature_K")
#: Topologies that MDTraj reads and ASE does not.
_MDTRAJ_TOPOLOGIES = (".prmtop", ".parm7", ".psf", ".mol2", ".h5", ".cif", ".pdbx")


def read_source(source: Any, settings: AnalyseSettings) -> Source:
    """Find the frames and what is known of them.

    Parameters
    ----------
    source
        The directory of a run or its result, a trajectory file, or a sequence of structures.
    settings
        What the user says of it.

    Raises
    ------
    InputError
        Nothing that can be read so, a setting that the source does not take, or a time that contradicts the file.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            _refuse(settings, STATED_BY_RUNS, f"the run in {path} says it itself")
            return read_run(path)
        if not path.is_file():
            raise InputError("file-missing", f"there is no {path}; give the directory of a run, or a trajectory file")
        return _read_file(path, settings)
    if isinstance(source, DynamicsResult):
        if source.directory is None:
            raise InputError("trajectory-missing", "this run wrote no files and kept no frames; run it with out=DIR")
        return read_source(source.directory, settings)
    if not isinstance(source, Sequence) or not source or not all(isinstance(one, Atoms) for one in source):
        raise InputError(
            "source-kind",
            f"analyse takes a directory, a trajectory file or a list of ase.Atoms, got {type(source).__name__}",
        )
    _refuse(settings, ("topology", "types", "units", "timestep", "log"), "structures in memory have none of it")
    return _foreign("the structures", FramesInMemory(source), settings, None)


def _read_file(file: Path, settings: AnalyseSettings) -> Source:
    suffix = file.suffix.lower()
    if is_dump(file):
        return _dump(file, settings)
    of_dumps = ("types",) if settings.log is not None else ("types", "units", "timestep")
    _refuse(settings, of_dumps, f"{file} is no dump of LAMMPS")
    return _with_log(_no_dump(file, suffix, settings), settings, settings.units, None)


def _no_dump(file: Path, suffix: str, settings: AnalyseSettings) -> Source:
    if suffix in SUFFIXES:
        template, notes = _template(file, settings)
        frames = MDTrajFrames(file, template)
        return replace(_foreign(str(file), frames, settings, frames.frame_ps), notes=notes)
    _refuse(settings, ("topology",), f"{file} names its atoms itself")
    if suffix in (".extxyz", ".xyz") or file.name.lower().endswith((".extxyz.gz", ".xyz.gz")):
        lines = ExtxyzFrames(file)
        notes = [f"the last frame of {file} is cut off, and left out"] if lines.unfinished else []
        return replace(_foreign(str(file), lines, settings, None), notes=notes)
    others: LazyFrames = TrajFrames(file) if suffix == ".traj" else ReadInOrder(file)
    return _foreign(str(file), others, settings, None)


def _dump(file: Path, settings: AnalyseSettings) -> Source:
    _refuse(settings, ("topology",), f"the dump {file} holds the atoms itself; name them with types")
    frames = DumpFrames(file, settings.types, settings.units)
    stated_ps = frames.frame_ps
    if settings.timestep is not None and frames.steps_per_frame is not None:
        by_steps_ps = frames.steps_per_frame * settings.timestep * FS_PER_TIME[frames.units] / 1000
        if stated_ps is not None and abs(by_steps_ps - stated_ps) > 1e-3 * stated_ps:
            raise InputError(
                "time-contradicted",
                f"the dump {file} states times {stated_ps * 1000:g} fs apart, and timestep {settings.timestep:g} makes "
                f"them {by_steps_ps * 1000:g} fs; leave timestep out, or correct it",
            )
        stated_ps = by_steps_ps
    source = _foreign(str(file), frames, settings, stated_ps)
    return _with_log(source, settings, frames.units, frames.steps_between(settings.first, settings.last))


def _with_log(source: Source, settings: AnalyseSettings, units: str | None, steps: tuple[int, int] | None) -> Source:
    """Add the pressure tensor of a LAMMPS log: of the time steps of the frames that are used, where they are known."""
    if settings.log is None:
        return source
    if units is None:
        raise InputError(
            "units-missing", f"the log {settings.log} does not say its units; give units, as in the input of LAMMPS"
        )
    if settings.timestep is None:
        raise InputError(
            "timestep-missing", f"the log {settings.log} counts in time steps; give timestep, as in the input of LAMMPS"
        )
    table = read_log(Path(settings.log), units, settings.timestep, steps)
    notes = [] if steps else [f"every line of the last tables of {settings.log} is used for the viscosity"]
    temperature_K = source.temperature_K
    if temperature_K is None and table.get("temperature_K", np.array([])).size:
        temperature_K = float(table["temperature_K"].mean())
        notes.append(f"temperature: {temperature_K:.1f} K, the average of {settings.log}")
    return replace(source, table=table, temperature_K=temperature_K, notes=[*source.notes, *notes])


def _foreign(name: str, frames: LazyFrames, settings: AnalyseSettings, stated_ps: float | None) -> Source:
    """Put together what the user says of a trajectory that another program wrote."""
    frame_ps = None if settings.frame_fs is None else settings.frame_fs / 1000
    if frame_ps is not None and stated_ps is not None and abs(frame_ps - stated_ps) > 1e-3 * stated_ps:
        raise InputError(
            "time-contradicted",
            f"{name}: the frames are {stated_ps * 1000:g} fs apart by what the file says, and frame_fs is "
            f"{settings.frame_fs:g}; leave it out, or correct it",
        )
    return Source(
        name=name,
        frames=frames,
        frame_ps=stated_ps if stated_ps is not None else frame_ps,
        motion=Motion(thermostat=settings.thermostat),
        temperature_K=settings.temperature_K,
    )


def _template(file: Path, settings: AnalyseSettings) -> tuple[Atoms, list[str]]:
    """Read the atoms of a trajectory that does not name them."""
    if settings.topology is None:
        if file.suffix.lower() in (".h5", ".hdf5"):
            return _by_mdtraj(file), []
        raise InputError(
            "topology-missing",
            f"{file} holds positions and no elements; give topology: a PDB file, or any structure with the same atoms",
        )
    path = Path(settings.topology)
    if not path.is_file():
        raise InputError("file-missing", f"there is no topology {path}; give a structure file with the same atoms")
    atoms = _read_topology(path)
    if file.suffix.lower() in (".h5", ".hdf5"):
        _refuse_other_elements(file, path, atoms)
    return atoms, []


def _refuse_other_elements(file: Path, topology: Path, atoms: Atoms) -> None:
    """Refuse a topology that contradicts the elements in the trajectory itself; HDF5 may go without them."""
    try:
        own = _by_mdtraj(file)
    except InputError:
        return
    differ = [i for i, pair in enumerate(zip(own.symbols, atoms.symbols, strict=False)) if pair[0] != pair[1]]
    if len(own) == len(atoms) and differ:  # another number is refused with the frames
        raise InputError(
            "topology-mismatch",
            f"atom {differ[0]} is {own.symbols[differ[0]]} in {file} and {atoms.symbols[differ[0]]} in the topology "
            f"{topology} ({len(differ)} of {len(own)} differ); leave topology out, or give that of this trajectory",
        )


def _read_topology(path: Path) -> Atoms:
    """Read elements, masses and constraints of a structure file."""
    if path.suffix.lower() in _MDTRAJ_TOPOLOGIES:
        return _by_mdtraj(path)
    atoms = read_file(path, LAST_TWO)[-1]
    atoms.calc = None
    return Atoms(atoms.get_chemical_symbols(), masses=atoms.get_masses(), constraint=atoms.constraints)


def _by_mdtraj(file: Path) -> Atoms:
    """Read elements and masses with MDTraj."""
    mdtraj = import_optional("mdtraj", extra="openmm", purpose=f"reading {file.name}")
    try:
        atoms = list(mdtraj.load_topology(str(file)).atoms)
    except Exception as error:
        raise InputError("file-unreadable", f"MDTraj cannot read {file} ({first_line(error)})") from error
    unknown = [atom for atom in atoms if atom.element is None or not atom.element.atomic_number]
    if unknown:
        raise InputError(
            "element-unknown",
            f"{file}: {len(unknown)} atoms have no element, the first is {unknown[0]}; sites without mass cannot be "
            "analysed, give a topology and a trajectory without them",
        )
    return Atoms([atom.element.symbol for atom in atoms], masses=[atom.element.mass for atom in atoms])


def _refuse(settings: AnalyseSettings, names: Sequence[str], why: str) -> None:
    """Refuse settings that the source has no use for."""
    given = [name for name in names if getattr(settings, name) not in (None, ())]
    if given:
        raise InputError("option-not-for-source", f"{' and '.join(given)} must be left out: {why}")
