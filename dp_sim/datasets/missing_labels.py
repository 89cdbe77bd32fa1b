"""Remarks on data without energies or without forces, which training can do without."""

from __future__ import annotations

from collections.abc import Mapping

from dp_sim.datasets.label_reading.label_names import may_be_meant
from dp_sim.datasets.remarks import Remarks, frames_text

#: Values of a property that are listed.
_LISTED = 6
_WITHOUT = {
    "energy": "forces alone, and its energies have no zero",
    "forces": "energies alone, and needs far more of them",
}


def state_missing(counts: Mapping[str, int], frames: int, remarks: Remarks) -> None:
    """Remark on missing energies or forces, on labels under different names, and on other differences between frames.

    Parameters
    ----------
    counts
        Number of frames with an energy, and with forces.
    frames
        Number of all frames.
    remarks
        Where the remarks are added.
    """
    for label in _WITHOUT:
        if counts[label] == 0:
            meant = _meant(label, remarks)
            similar = f"; if it is {meant}, --{label}-key (data: keys) names it" if meant else ""
            remarks.state(f"no frame has {label}: a model trained on them learns from {_WITHOUT[label]}{similar}")
        elif counts[label] < frames:
            remarks.decide(f"without {label}", frames - counts[label])
    for key, values in remarks.unmodelled.items():
        shown = ", ".join(f"{value} ({frames_text(n)})" for value, n in values.most_common(_LISTED))
        shown += f", and {len(values) - _LISTED} others" if len(values) > _LISTED else ""
        if len(values) > 1:
            remarks.state(f"'{key}' is {shown}: a model does not know it, and cannot tell these frames apart")
    for label in ("energy", "forces"):
        if len(remarks.sources.get(label, ())) > 1:
            remarks.state(f"{label} under several names, {remarks.source_text(label)}: are they of one method?")


def _meant(label: str, remarks: Remarks) -> str:
    """List names that were not read and may have been meant for `label`."""
    stem = "energ" if label == "energy" else "force"
    return " or ".join(f"'{key}'" for key in remarks.unread() if may_be_meant(key) and stem in key.lower())
