"""Make a labelled data set in parts: each part is written whole, and an interrupted run goes on where it stopped."""

from __future__ import annotations

import shutil
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import typer
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dp_sim.errors import DPSimError, InputError, import_optional
from dp_sim.files import atomic_path

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Part:
    """Frames of one origin: one trajectory, one scan. A part belongs to one split as a whole.

    Parameters
    ----------
    name
        Of the part; frames keep it in `info["part"]`.
    split
        One of SPLITS.
    frames
        How many frames `sample` yields, or fewer where some are refused.
    sample
        Takes the part's own random generator and yields structures with a calculator attached.
    """

    name: str
    split: str
    frames: int
    sample: Callable[[np.random.Generator], Iterator[Atoms]]


def xtb(method: str) -> Calculator:
    """Make a calculator of GFN1-xTB or GFN2-xTB, converged ten times tighter than tblite's default, for labels."""
    module = import_optional("tblite.ase", extra="xtb", purpose="labelling with xTB")
    calculator: Calculator = module.TBLite(method=method, accuracy=0.1, verbosity=0)
    return calculator


def labelled(atoms: Atoms, part_name: str) -> Atoms:
    """Copy a structure with its labels: energy (eV), forces (eV/Angstrom), for bulk stress (eV/Angstrom^3), and origin.

    Numbers are rounded to what xTB converges to, which halves the size of the compressed files.
    """
    results = {"energy": round(float(atoms.get_potential_energy()), 6), "forces": atoms.get_forces().round(5)}
    if atoms.pbc.all():
        results["stress"] = atoms.get_stress().round(8)
    frame = Atoms(atoms.numbers, atoms.positions.round(6), cell=atoms.cell, pbc=atoms.pbc, info={"part": part_name})
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def write_data(parts: list[Part], out: Path, seed: int, variant: str) -> Counter[str]:
    """Sample and label all parts, then write train, valid and test.extxyz.gz.

    Parameters
    ----------
    parts
        What is sampled.
    out
        Folder of the data; finished parts wait in `out/parts-*` until all are there.
    seed
        Of all random numbers.
    variant
        A name for whatever else the parts depend on.

    Returns
    -------
    Counter
        Frames per split.

    Raises
    ------
    InputError
        `out` already holds a data set, or cannot be written.
    """
    targets = {split: out / f"{split}.extxyz.gz" for split in SPLITS}
    for target in targets.values():
        if target.exists():
            raise InputError("target-exists", f"{target} exists already; remove it or choose another --out")
    folder = make_folder(out / f"parts-{variant}-seed{seed}")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("frames", total=sum(part.frames for part in parts))
        for part in parts:
            progress.update(task, description=part.name)
            file = folder / f"{part.name}.extxyz"
            if file.exists():
                progress.advance(task, part.frames)
                continue
            frames = []
            for atoms in part.sample(_generator(seed, part.name)):
                frames.append(labelled(atoms, part.name))
                progress.advance(task)
            write_frames(file, frames)
    counts: Counter[str] = Counter()
    for split, target in targets.items():
        files = [folder / f"{part.name}.extxyz" for part in parts if part.split == split]
        frames = [frame for file in files for frame in ase.io.read(file, ":")]
        counts[split] = len(frames)
        write_frames(target, frames)
    shutil.rmtree(folder)
    return counts


def write_frames(target: Path, frames: list[Atoms]) -> None:
    """Write structures, with labels where they have them, as (compressed) extended XYZ, whole or not at all."""
    with atomic_path(target) as temporary:
        ase.io.write(temporary, frames, format="extxyz")


def make_folder(folder: Path) -> Path:
    """Make a folder if it is not there.

    Raises
    ------
    InputError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "target-not-writable", f"cannot make the folder {folder}: {error.strerror}; choose a writable --out"
        ) from error
    return folder


def _generator(seed: int, part_name: str) -> np.random.Generator:
    """Make random numbers that depend on seed and part only, so that skipping finished parts changes nothing."""
    return np.random.default_rng([seed, zlib.crc32(part_name.encode())])


@contextmanager
def errors_end_the_script() -> Iterator[None]:
    """End the script with status 2 and the message where an error of dp-sim leaves the block."""
    try:
        yield
    except DPSimError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
