"""Remarks on the decisions made while data are read, each with the number of frames that it applies to."""

from __future__ import annotations

from collections import Counter

#: Names of labels that need no remark: ours, and those of DeePMD-kit's arrays.
_OWN_NAMES = {
    "energy": {"energy", "energy.npy"},
    "forces": {"forces", "force.npy"},
    "virial": {"virial", "stress", "virial.npy"},
}


#: Start of the sentence about a name that was not read.
UNREAD = "not read: '"


class Remarks:
    """Decisions of the readers, counted by frame.

    Attributes
    ----------
    sources
        Label -> its name in the file -> frames.
    decisions
        Sentence about a frame -> frames that it applies to.
    facts
        Sentences about the data as a whole.
    unmodelled
        Property that a model does not take (a charge) -> its value -> frames.
    seen
        (label, name) of the names given by the user that a frame had.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Counter[str]] = {}
        self.decisions: Counter[str] = Counter()
        self.facts: list[str] = []
        self.unmodelled: dict[str, Counter[str]] = {}
        self.seen: set[tuple[str, str]] = set()

    def read_from(self, label: str, key: str) -> None:
        """Count a frame whose `label` came from the name `key`."""
        self.sources.setdefault(label, Counter())[key] += 1

    def decide(self, sentence: str, frames: int = 1) -> None:
        """Count `frames` more that `sentence` applies to."""
        self.decisions[sentence] += frames

    def count_unmodelled(self, key: str, value: str) -> None:
        """Count a frame with a property that no model here takes; it matters if it differs between frames."""
        self.unmodelled.setdefault(key, Counter())[value] += 1

    def unread(self) -> list[str]:
        """List names that look like labels and were not read."""
        return [text.split("'")[1] for text in self.decisions if text.startswith(UNREAD)]

    def state(self, sentence: str) -> None:
        """Add a sentence about the data as a whole, once."""
        if sentence not in self.facts:
            self.facts.append(sentence)

    def has_seen(self, label: str, key: str) -> bool:
        """Tell whether a frame had `key`, which the user gave as the name of `label`."""
        return (label, key) in self.seen

    def source_text(self, label: str) -> str:
        """Write the names of a label with their frames: `'REF_energy' (39 frames), 'energy' (1 frame)`."""
        return ", ".join(f"'{key}' ({frames_text(n)})" for key, n in self.sources.get(label, Counter()).items())

    def lines(self) -> list[str]:
        """List all remarks; a label under its own name is not mentioned."""
        renamed = [
            f"{label}: read from {self.source_text(label)}"
            for label, keys in self.sources.items()
            if set(keys) - _OWN_NAMES[label]
        ]
        return [*renamed, *(f"{text} ({frames_text(n)})" for text, n in self.decisions.items()), *self.facts]


def frames_text(count: int) -> str:
    """Write a number of frames: `1 frame`, `40 frames`."""
    return f"{count} frame{'' if count == 1 else 's'}"
