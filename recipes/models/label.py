"""Labelled data from any ASE calculator: energy, forces and (where there is one) stress of each structure."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write

from dp_sim.datasets.label_reading.of_atoms import drop_labels
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import as_calculator, calculator_settings, model_sha256
from dp_sim.recipes.inputs.identity import structures_sha256
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.frames import append_frame, evaluated_copy, whole_frames, write_frames
from dp_sim.recipes.run.interrupts import whole_steps
from dp_sim.recipes.run.progress import progress_bar

logger = logging.getLogger("dp_sim")
#: Key under which an unfinished file says which structure a frame came from.
_SOURCE = "dp_sim_source"


@dataclass(frozen=True)
class Labelled:
    """What became of the structures of one call.

    Attributes
    ----------
    frames
        The labelled structures, in the order of the input.
    continued
        How many of them an earlier, interrupted session had labelled.
    failed
        Number of the structure -> why the calculator could not label it.
    """

    frames: list[Atoms]
    continued: int
    failed: dict[int, str]


def label_structures(
    structures: Sequence[Atoms],
    calc: Any,
    out: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> Labelled:
    """Label structures and write them to the extended XYZ file `out`, which appears when all are done.

    Until then they gather in the hidden file `.NAME.partial` beside it, from which `resume` continues. A structure that
    the calculator cannot label (an SCF that does not converge) is left out and reported in `failed`.

    Parameters
    ----------
    structures
        Structures; their own labels, under whatever well-known names, are replaced.
    calc
        An ASE calculator, a model file, or a list of model files.
    out
        The file of labelled structures.
    overwrite, resume
        Replace an earlier file, or continue an unfinished one.
    progress
        Show a progress bar.

    Returns
    -------
    Labelled
        The labelled structures, and those that failed.

    Raises
    ------
    InputError
        `out` or an unfinished file exists and neither `overwrite` nor `resume` is given; the unfinished file comes from
        other structures or another calculator; no structure can be labelled.
    """
    out = Path(out)
    calculator = as_calculator(calc)
    sources = [_source(number, atoms, calculator) for number, atoms in enumerate(structures)]
    partial = unfinished_file(out)
    done = _earlier(out, partial, sources, overwrite=overwrite, resume=resume)
    continued, failed = len(done), dict[int, str]()
    dropped: set[str] = set()
    with progress_bar("label", total=len(structures), show=progress) as advance:
        for number, (atoms, source) in enumerate(zip(structures, sources, strict=True)):
            if source not in done:
                try:
                    dropped.update(drop_labels(atoms := atoms.copy()))
                    frame = evaluated_copy(prepare_atoms(atoms, calculator, f"structure {number}"))
                except InputError as error:
                    failed[number] = str(error)
                else:
                    frame.info[_SOURCE] = source
                    with whole_steps():
                        append_frame(partial, frame)
                    done[source] = frame
            advance()
    if not done:
        raise InputError("labels-failed", f"no structure could be labelled; the first says: {failed[0]}")
    if dropped:
        logger.warning("%s: labels that the structures had are not kept: %s", out, ", ".join(sorted(dropped)))
    frames = [done[source] for source in sources if source in done]
    for frame in frames:
        del frame.info[_SOURCE]
    write_frames(out, frames)
    partial.unlink()
    return Labelled(frames, continued, failed)


def unfinished_file(out: Path) -> Path:
    """Return the hidden file beside `out` in which labels gather until all are there."""
    return out.with_name(f".{out.name}.partial")


def _source(number: int, atoms: Atoms, calculator: Any) -> str:
    """Make a token of structure, place and calculator: a label is only taken over where all three are the same."""
    what = [structures_sha256([atoms]), calculator_settings(calculator), model_sha256(calculator)]
    return f"{number}-{hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:16]}"


def _earlier(out: Path, partial: Path, sources: list[str], *, overwrite: bool, resume: bool) -> dict[str, Atoms]:
    """Read the frames of an unfinished file by their source; refuse or remove files that must not be there."""
    if overwrite and resume:
        raise InputError("options-exclude-each-other", "overwrite and resume exclude each other; give one of them")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise InputError("target-not-writable", f"cannot write {out}; choose a folder that exists and is writable")
    if out.is_dir():
        raise InputError("target-is-folder", f"{out} is a directory; give the name of an extxyz file")
    if out.exists() and not overwrite:
        raise InputError("target-exists", f"the file {out} exists; choose another name, or --overwrite to replace it")
    if not partial.exists():
        return {}
    if overwrite:
        partial.unlink()
        return {}
    if not resume:
        raise InputError(
            "run-unfinished",
            f"{out} was begun and not finished; give --resume to continue it or --overwrite to start over",
        )
    frames = {frame.info.get(_SOURCE, ""): frame for frame in whole_frames(partial)}
    if not frames.keys() <= set(sources):
        raise InputError(
            "run-differs",
            f"the unfinished labels of {out} come from other structures or another calculator; "
            "use the same ones, or --overwrite to start over",
        )
    partial.unlink()
    if frames:
        write(partial, list(frames.values()), format="extxyz")
    return frames
