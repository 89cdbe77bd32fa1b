"""Which labels data have, and their range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dp_sim.datasets.frames import Frame


@dataclass(frozen=True)
class LabelSummary:
    """Frames and their labels. Ranges are None where no frame has the label.

    systems        composition (Hill order) -> frames of it
    periodicity    e.g. "TTT" -> frames
    labelled       energy, forces, virial -> frames that have it
    energy         lowest and highest energy, eV/atom
    largest_force  longest force on an atom, eV/Angstrom
    force_rms      root mean square force component, eV/Angstrom
    """

    frames: int
    atoms: int
    systems: dict[str, int]
    periodicity: dict[str, int]
    labelled: dict[str, int]
    energy: tuple[float, float] | None
    largest_force: float | None
    force_rms: float | None


def summarise(frames: Sequence[Frame]) -> LabelSummary:
    """Count frames, compositions and labels."""
    from dp_sim.structures.species import formula

    energies = [f.energy / len(f.numbers) for f in frames if f.energy is not None]
    forces = [f.forces for f in frames if f.forces is not None]
    joined = np.concatenate(forces) if forces else np.zeros((0, 3))
    return LabelSummary(
        len(frames),
        sum(len(f.numbers) for f in frames),
        dict(Counter(formula(f.numbers) for f in frames)),
        dict(Counter("".join("FT"[int(p)] for p in f.pbc) for f in frames)),
        {name: sum(getattr(f, name) is not None for f in frames) for name in ("energy", "forces", "virial")},
        (min(energies), max(energies)) if energies else None,
        float(np.linalg.norm(joined, axis=1).max()) if len(joined) else None,
        float(np.sqrt(np.square(joined).mean())) if len(joined) else None,
    )
