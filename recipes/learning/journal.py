"""The journal of a run: one file that only grows, and says all that has happened.

Each line is one event, on the disk before anything is built on it (fsync). Files that an event speaks of are whole
before it is written. What is between two events is computed from the events and files before alone, so a run that was
killed repeats it to the same bits, and no event is made twice. A line that a kill cut short counts for nothing.

begun      once: what the run was started with, as far as config.yaml does not say it
running    dynamics is at `step`: its state is in the file `state` (step 0: none), and the files that grow have `sizes`
paused     `picks` are to be labelled; dynamics will go back to `state` (none: it has not begun)
labelled   a label of the structure with this `hash`; or
failed     there is none, with the `cause`; where it is `refused`, a label that may not enter the data
trained    members were trained on all labels: `files`, with their `sha256`, errors before and after, and the `factor`
           that a spread is worth from here on
resumed    dynamics goes on from the paused state, with the members there are
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError

JOURNAL = "journal.jsonl"
BEGUN, RUNNING, PAUSED, LABELLED, FAILED, TRAINED, RESUMED = (
    "begun",
    "running",
    "paused",
    "labelled",
    "failed",
    "trained",
    "resumed",
)
Event = dict[str, Any]


@dataclass
class Journal:
    """The events of a run, and the state that they lead to.

    Parameters
    ----------
    file
        The journal; None: it is kept in memory only.

    Attributes
    ----------
    events
        All of them.
    begun
        The first event.
    position
        The last `running` or `resumed`: where dynamics goes on.
    base_step
        The step at which it last went on from a pause, or began.
    pause
        The last `paused`, until dynamics goes on; None while it runs.
    labels
        Hash of a structure -> its `labelled`, in the order in which they were made.
    failures
        Hash of a structure -> its `failed`.
    refused
        Hashes of the structures whose label may not enter the data.
    trained
        Every `trained`.
    fresh
        Hashes of the labels that no training has seen.
    """

    file: Path | None
    events: list[Event] = field(default_factory=list)
    begun: Event | None = None
    position: Event | None = None
    base_step: int = 0
    pause: Event | None = None
    labels: dict[str, Event] = field(default_factory=dict)
    failures: dict[str, list[Event]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    trained: list[Event] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._since, self._before_s = time.monotonic(), 0.0
        if self.file is not None and self.file.exists():
            for event in _read(self.file):
                self._take(event)
        if self.events:
            self._before_s = float(self.events[-1]["elapsed_s"])

    @property
    def elapsed_s(self) -> float:
        """Working time of all sessions, as far as the journal knows of them (s)."""
        return self._before_s + time.monotonic() - self._since

    @property
    def tried(self) -> int:
        """Number of labels that were computed, failed ones included."""
        return len(self.labels) + sum(map(len, self.failures.values()))

    def append(self, kind: str, **content: Any) -> None:
        """Write an event, and take it once it is on the disk."""
        event = {"event": kind, "number": len(self.events), "elapsed_s": round(self.elapsed_s, 3), **content}
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(event, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._take(event)

    def _take(self, event: Event) -> None:
        kind = event["event"]
        self.events.append(event)
        if kind == BEGUN:
            self.begun = event
        elif kind in (RUNNING, RESUMED):
            self.position, self.pause = event, None
            if kind == RESUMED:
                self.base_step = event["step"]
        elif kind == PAUSED:
            self.pause = event
        elif kind == LABELLED:
            self.labels[event["hash"]] = event
            self.fresh.append(event["hash"])
        elif kind == FAILED:
            self.failures.setdefault(event["hash"], []).append(event)
            if event["refused"]:
                self.refused.add(event["hash"])
        elif kind == TRAINED:
            self.trained.append(event)
            self.fresh = []

    @property
    def state_file(self) -> str | None:
        """Name of the file with the state that dynamics goes on from; None where it has not begun."""
        event = self.pause or self.position
        return None if event is None else event["state"]

    def picked(self) -> dict[str, Mapping[str, Any]]:
        """Return every structure that was to be labelled, by its hash."""
        return {one["hash"]: one for event in self.events if event["event"] == PAUSED for one in event["picks"]}

    def pending(self, retries: int) -> list[Mapping[str, Any]]:
        """List the picks of this pause that have no label yet and may be tried (again)."""
        picks = [] if self.pause is None else self.pause["picks"]
        return [
            pick
            for pick in picks
            if pick["hash"] not in self.labels
            and pick["hash"] not in self.refused
            and len(self.failures.get(pick["hash"], ())) <= retries
        ]


def _read(file: Path) -> list[Event]:
    """Read the whole lines, and cut off one that a kill left unfinished."""
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        with file.open("rb+") as open_file:
            open_file.truncate(len(whole))
            os.fsync(open_file.fileno())
    try:
        events = [json.loads(line) for line in whole.splitlines()]
        numbers = [event["number"] for event in events]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "journal-damaged", f"{file} is no journal of dp-sim learn ({error}); start over with --overwrite"
        ) from None
    if numbers != list(range(len(events))):
        raise InputError(
            "journal-damaged", f"{file} lacks events, or has some twice; restore it, or start over with --overwrite"
        )
    return events
