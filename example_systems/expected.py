"""Measured numbers beside expected.json: each with its unit and how far it may be off on another machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dp_sim.files import write_text


class Number(NamedTuple):
    """A measured number; `tolerance` in the same unit, for other processors and library versions."""

    value: float
    unit: str
    tolerance: float


def write_expected(file: Path, numbers: Mapping[str, Number]) -> None:
    """Make `numbers` what is expected from now on."""
    content = {name: number._asdict() for name, number in numbers.items()}
    write_text(file, json.dumps(content, indent=1, allow_nan=False) + "\n")


def compare(file: Path, numbers: Mapping[str, Number]) -> bool:
    """Print measured and expected numbers; True if all are within the tolerances of the file, and none is missing."""
    expected = {name: Number(**entry) for name, entry in json.loads(file.read_text(encoding="utf-8")).items()}
    good = set(numbers) == set(expected)
    for name in [*expected, *(name for name in numbers if name not in expected)]:
        measured, wanted = numbers.get(name), expected.get(name)
        if measured is None or wanted is None:
            print(f"{name:34} {'not measured' if measured is None else 'not expected'}")
            continue
        close = abs(measured.value - wanted.value) <= wanted.tolerance
        good = good and close
        verdict = "" if close else "   <- differs"
        print(f"{name:34} {measured.value:14.5f}  expected {wanted.value:14.5f} ± {wanted.tolerance:g}", end="")
        print(f" {wanted.unit}{verdict}")
    return good
