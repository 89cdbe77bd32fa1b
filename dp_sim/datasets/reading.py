"""Read frames from any source; its kind selects the reader."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.formats import dpdata_files
from dp_sim.datasets.formats.ase_files import read_ase
from dp_sim.datasets.formats.deepmd_folders import read_deepmd_folder
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.missing_labels import state_missing
from dp_sim.datasets.remarks import Remarks, frames_text
from dp_sim.errors import InputError

Source = str | os.PathLike[str]


def iterate_frames(
    source: Source, *, labelled: bool = True, keys: LabelKeys | None = None, remarks: Remarks | None = None
) -> Iterator[Frame]:
    """Read the frames of a source one at a time, so that memory does not grow with the file.

    Parameters
    ----------
    source
        A file that ASE reads (`file.extxyz`, or `file.extxyz@:-40` for a slice), a folder of DeePMD-kit's, or
        `dpdata:FORMAT:FILE`.
    labelled
        Whether every frame must have a label; frames whose labels all have weight 0 are then left out.
    keys
        Names of labels that the user gave.
    remarks
        Where the decisions of the readers are counted.

    Raises
    ------
    InputError
        A source that is missing, unreadable or without frames, or a frame without labels or with labels of the wrong
        shape.
    """
    source, keys = os.fspath(source), keys or LabelKeys()
    remarks = remarks if remarks is not None else Remarks()
    count = 0
    for frame in _reader(source, keys, remarks):
        count += 1
        if labelled and not frame.labelled:
            if frame.weightless:
                continue
            raise _no_label(frame, keys, remarks)
        yield frame
    if not count:
        raise InputError(
            "frames-missing",
            f"{source} holds no frames{_left_out(remarks)}; give a file with "
            f"{'labelled ' if labelled else ''}structures",
        )
    _check_keys(source, keys, remarks)


def _reader(source: str, keys: LabelKeys, remarks: Remarks) -> Iterator[Frame]:
    if source.startswith(dpdata_files.PREFIX):
        return dpdata_files.read_dpdata(source, remarks)
    if Path(source).is_dir():
        return read_deepmd_folder(Path(source), remarks)
    return read_ase(source, keys, remarks)


def read_frames(
    source: Source, *, labelled: bool = True, keys: LabelKeys | None = None, remarks: Remarks | None = None
) -> list[Frame]:
    """Read all frames of a source into a list; parameters and errors are those of `iterate_frames`."""
    return list(iterate_frames(source, labelled=labelled, keys=keys, remarks=remarks))


def read_all(
    sources: Iterable[Source],
    *,
    keys: LabelKeys | None = None,
    remarks: Remarks | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> list[Frame]:
    """Read the labelled frames of several sources.

    Parameters
    ----------
    sources
        As for `iterate_frames`.
    keys
        Names of labels that the user gave.
    remarks
        Where decisions and missing labels are counted.
    on_frame
        Called after each frame.

    Raises
    ------
    InputError
        As `iterate_frames`.
    """
    remarks = remarks if remarks is not None else Remarks()
    frames = []
    for source in sources:
        for frame in iterate_frames(source, keys=keys, remarks=remarks):
            frames.append(frame)
            on_frame()
    counts = {label: sum(getattr(frame, label) is not None for frame in frames) for label in ("energy", "forces")}
    state_missing(counts, len(frames), remarks)
    return frames


def _no_label(frame: Frame, keys: LabelKeys, remarks: Remarks) -> InputError:
    unread = [f"'{key}'" for key in remarks.unread()]
    given = [f"{label} '{key}'" for label, key in keys.model_dump().items() if key is not None]
    looked = f" under the names given ({', '.join(given)})" if given else ""
    also = f"; it has {', '.join(unread)}: name what is a label with --energy-key, --forces-key, ..." if unread else ""
    return InputError(
        "labels-missing",
        f"{frame.name} has no label{looked}; expected energy, forces, stress or virial (`dp-sim label` makes "
        f"them){also}",
    )


def _left_out(remarks: Remarks) -> str:
    left = [f"{frames_text(n)} {text}" for text, n in remarks.decisions.items() if text.startswith("left out")]
    return f" that can be used ({'; '.join(left)})" if left else ""


def _check_keys(source: str, keys: LabelKeys, remarks: Remarks) -> None:
    """Refuse a name that the user gave and that no frame has."""
    for label, key in keys.model_dump().items():
        if key is None or source.startswith(dpdata_files.PREFIX) or Path(source).is_dir():
            continue
        if not remarks.has_seen(label, key):
            raise InputError(
                "label-key-missing",
                f"{source}: no frame has '{key}', which was given as the name of the {label}; correct "
                f"--{label}-key (data: keys in a training input)",
            )
