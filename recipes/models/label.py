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

import numpy as np
from ase import Atoms
from ase.io import write

from dp_sim.config.recipe import documented
from dp_sim.datasets.label_reading.of_atoms import drop_labels
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import as_calculator, calculator_settings, model_sha256
from dp_sim.recipes.inputs.identity import structures_sha256
from dp_sim.recipes.models.label_beside import labelled_each
from dp_sim.recipes.models.settings import LabelSettings
from dp_sim.recipes.results.frames import append_frame, whole_frames, write_frames
from dp_sim.recipes.run.interrupts import whole_steps
from dp_sim.recipes.run.progress import progress_bar

logger = logging.getLogger("dp_sim")
#: Key under which an unfinished file keeps the fingerprint of what a frame was made from.
_FINGERPRINT_KEY = "dp_sim_source"


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

    @property
    def words(self) -> str:
        """What the labels span, as a sentence: energies per atom and forces, by which a label that is none is seen."""
        energies = [frame.get_potential_energy() / len(frame) for frame in self.frames]
        forces = np.concatenate([frame.get_forces() for frame in self.frames])
        largest, mean = np.linalg.norm(forces, axis=1).max(), np.sqrt(np.mean(forces**2))
        return (
            f"energies {min(energies):.3f} to {max(energies):.3f} eV/atom; forces {mean:.3g} eV/Å (root mean square of "
            f"components), at most {largest:.3g} on an atom"
        )


@documented(LabelSettings)
def label_structures(
    structures: Sequence[Atoms],
    calc: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    engine: str = "local",
    workers: int = 1,
    scheduler: str | None = None,
    seed: int = 0,
) -> Labelled:
    """Label structures and write them to the extended XYZ file `out`, which appears when all are done.

    Until then they gather in the hidden file `.NAME.partial` beside it, from which `resume` continues. A structure that
    the calculator cannot label (an SCF that does not converge) is left out and reported in `failed`.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Structures. Labels that they have under well-known names are replaced.
    calc : Calculator, path or sequence of paths
        An ASE calculator, a model file, or a list of model files.
    out : path or None, default None
        The file of labelled structures; None: no file.
    overwrite : bool, default False
        Replace an earlier file, finished or not.
    resume : bool, default False
        Continue an unfinished file.

    Returns
    -------
    Labelled
        The labelled structures, with energy (eV), forces (eV/Angstrom) and, where the calculator gives it, stress
        (eV/Angstrom^3), and those that failed.

    Raises
    ------
    InputError
        `out` or an unfinished file exists and neither `overwrite` nor `resume` is given; the unfinished file comes from
        other structures or another calculator; no structure can be labelled.
    """
    settings = LabelSettings.taken_from(locals())
    if overwrite and resume:
        raise InputError("options-exclude-each-other", "overwrite and resume exclude each other; give one of them")
    if not len(structures):
        raise InputError("structures-missing", "there are no structures to label; give at least one")
    calculator = as_calculator(calc)
    fingerprints = [_fingerprint(number, atoms, calculator) for number, atoms in enumerate(structures)]
    out = None if out is None else Path(out)
    done = {} if out is None else _read_unfinished(out, fingerprints, overwrite=overwrite, resume=resume)
    continued, failed = len(done), dict[int, str]()
    left = {number: atoms.copy() for number, atoms in enumerate(structures) if fingerprints[number] not in done}
    dropped = {name for atoms in left.values() for name in drop_labels(atoms)}
    with progress_bar("label", total=len(structures), show=progress) as advance:
        advance(continued)
        for number, outcome in labelled_each(left, calculator, settings):
            if isinstance(outcome, str):
                failed[number] = outcome
            else:
                _append(outcome, fingerprints[number], out)
                done[fingerprints[number]] = outcome
            advance()
    if not done:
        raise InputError("labels-failed", f"no structure could be labelled; the first says: {failed[min(failed)]}")
    if dropped:
        where = "" if out is None else f"{out}: "
        logger.warning("%slabels that the structures had are not kept: %s", where, ", ".join(sorted(dropped)))
    frames = [done[fingerprint] for fingerprint in fingerprints if fingerprint in done]
    _finish(frames, out)
    return Labelled(frames, continued, dict(sorted(failed.items())))


def _append(frame: Atoms, fingerprint: str, out: Path | None) -> None:
    """Append a labelled frame to the unfinished file of `out`."""
    if out is not None:
        frame.info[_FINGERPRINT_KEY] = fingerprint
        with whole_steps():
            append_frame(unfinished_file(out), frame)


def _finish(frames: list[Atoms], out: Path | None) -> None:
    """Write all labelled frames, and remove the unfinished file and its fingerprints."""
    for frame in frames:
        frame.info.pop(_FINGERPRINT_KEY, None)
    if out is not None:
        write_frames(out, frames)
        unfinished_file(out).unlink()


def unfinished_file(out: Path) -> Path:
    """Return the hidden file beside `out` in which labels gather until all are there."""
    return out.with_name(f".{out.name}.partial")


def _fingerprint(number: int, atoms: Atoms, calculator: Any) -> str:
    """Identify a label by number, structure and calculator: it is only taken over where all three are the same."""
    what = [structures_sha256([atoms]), calculator_settings(calculator), model_sha256(calculator)]
    return f"{number}-{hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:16]}"


def _read_unfinished(out: Path, fingerprints: list[str], *, overwrite: bool, resume: bool) -> dict[str, Atoms]:
    """Read the frames of an unfinished file by their fingerprints; refuse or remove files that must not be there."""
    partial = unfinished_file(out)
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
    frames = {frame.info.get(_FINGERPRINT_KEY, ""): frame for frame in whole_frames(partial)}
    if not frames.keys() <= set(fingerprints):
        raise InputError(
            "run-differs",
            f"the unfinished labels of {out} come from other structures or another calculator; "
            "use the same ones, or --overwrite to start over",
        )
    partial.unlink()
    if frames:
        write(partial, list(frames.values()), format="extxyz")
    return frames
