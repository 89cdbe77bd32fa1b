"""What was decided while data were read, to be said once with the number of frames that it happened in."""

from __future__ import annotations

from collections import Counter

#: Names that a label has where nothing needs to be said: ours, and those of DeePMD-kit's arrays.
_OWN_NAMES = {
    "energy": {"energy", "energy.npy"},
    "forces": {"forces", "force.npy"},
    "virial": {"virial", "stress", "virial.npy"},
}


#: Begins the sentence about a name that was not read.
UNREAD = "not read: '"


class Remarks:
    """Decisions of the readers, counted by frame.

    Attributes
    ----------
    sources
        label -> name it was read from in the file -> frames.
    decisions
        sentence about a frame -> frames that it is true of.
    facts
        sentences about the data as a whole.
    untold
        property that a model does not know (a charge) -> its value -> frames.
    seen
        (label, name) of the names given by the user that a frame had.
    """

    def __init__(self) -> None:
        self.sources: dict[str, Counter[str]] = {}
        self.decisions: Counter[str] = Counter()
        self.facts: list[str] = []
        self.untold: dict[str, Counter[str]] = {}
        self.seen: set[tuple[str, str]] = set()

    def read_from(self, label: str, key: str) -> None:
        """Count a frame whose `label` came from the name `key`."""
        self.sources.setdefault(label, Counter())[key] += 1

    def decide(self, sentence: str, frames: int = 1) -> None:
        """Count `frames` more that `sentence` is true of."""
        self.decisions[sentence] += frames

    def tell_apart(self, key: str, value: str) -> None:
        """Count a frame with a property that no model here knows; it matters once it differs between frames."""
        self.untold.setdefault(key, Counter())[value] += 1

    def unread(self) -> list[str]:
        """Names that look like labels and were not read."""
        return [text.split("'")[1] for text in self.decisions if text.startswith(UNREAD)]

    def state(self, sentence: str) -> None:
        """Say something about the data as a whole, once."""
        if sentence not in self.facts:
            self.facts.append(sentence)

    def has_seen(self, label: str, key: str) -> bool:
        """Whether a frame had `key`, which the user gave as the name of `label`."""
        return (label, key) in self.seen

    def source_text(self, label: str) -> str:
        """`'REF_energy' (39 frames), 'energy' (1 frame)`."""
        return ", ".join(f"'{key}' ({frames_text(n)})" for key, n in self.sources.get(label, Counter()).items())

    def lines(self) -> list[str]:
        """Everything but what goes without saying: a label under its own name is not mentioned."""
        renamed = [
            f"{label}: read from {self.source_text(label)}"
            for label, keys in self.sources.items()
            if set(keys) - _OWN_NAMES[label]
        ]
        return [*renamed, *(f"{text} ({frames_text(n)})" for text, n in self.decisions.items()), *self.facts]


def frames_text(count: int) -> str:
    """`1 frame`, `40 frames`."""
    return f"{count} frame{'' if count == 1 else 's'}"
