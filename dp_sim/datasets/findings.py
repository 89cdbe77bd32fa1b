"""Findings in data: frames that do not fit the rest, and labels that cannot be right."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from dp_sim.datasets.frames import Frame
from dp_sim.datasets.remarks import frames_text
from dp_sim.errors import InputError
from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.structures.species import formula

#: Fewest frames of a composition to find its usual range.
_ENOUGH = 8
#: The usual range leaves out this fraction of the frames, the farthest from the median.
_FARTHEST = 0.1
#: An outlier is this many times as far from the median as the usual range, and at least this far (eV/atom; RMS force).
_TIMES, _OUTLIER_EV, _OUTLIER_FORCE = 5.0, 0.05, 1.0
#: Atoms closer than this fraction of the sum of their covalent radii are too close.
_BOND_SHARE = 0.5
#: The net force may reach this fraction of the sum of force magnitudes, or this much per atom (eV/Angstrom).
_NET_SHARE, _NET_FORCE = 0.05, 0.02
#: A larger stress (eV/Angstrom^3; 80 GPa) is probably in another unit.
_STRESS = 0.5
#: Mean energies of compositions that a sum over elements misses by more than this (eV/atom) have different zeros.
_OFFSET_EV = 3.0
#: Frames named in a finding.
_NAMED = 3


class Finding(NamedTuple):
    """Something odd in the data.

    Attributes
    ----------
    kind
        Short name, which stays the same between versions.
    text
        What it is.
    frames
        Names of the frames that have it.
    """

    kind: str
    text: str
    frames: tuple[str, ...]

    def line(self) -> str:
        """Write one sentence with the number of frames and the first of them."""
        first = ", ".join(self.frames[:_NAMED]) + (", ..." if len(self.frames) > _NAMED else "")
        return f"{self.text} ({frames_text(len(self.frames))}: {first})"


class _Composition:
    """Energies per atom (eV), RMS forces (eV/Angstrom) and names of the frames of one composition."""

    def __init__(self, counts: dict[int, int]) -> None:
        self.counts = counts
        self.energies: list[tuple[float, str]] = []
        self.forces: list[tuple[float, str]] = []


class FindingCollector:
    """Examines one frame at a time, and keeps only a few numbers of each."""

    def __init__(self) -> None:
        self._compositions: dict[str, _Composition] = {}
        self._found: dict[str, list[str]] = {}
        self._frames_with_forces = 0
        self.structures: dict[bytes, tuple[str, float | None]] = {}

    def add(self, frame: Frame, bond_share: float | None = None) -> None:
        """Examine a frame.

        Parameters
        ----------
        frame
            The frame.
        bond_share
            Its shortest distance over the sum of covalent radii, if known.
        """
        self._add_to_composition(frame)
        if not frame.isolated:
            self._add_structure(frame)
        if bond_share is not None and bond_share < _BOND_SHARE:
            self._find("close-atoms", frame)
        if frame.forces is not None and not frame.isolated:
            self._check_forces(frame, frame.forces)
        if frame.virial is not None and frame.pbc.all():
            volume = abs(float(np.linalg.det(frame.cell)))
            if np.abs(frame.virial).max() > _STRESS * volume:
                self._find("large-stress", frame)
            if not frame.virial.any() and frame.forces is not None and frame.forces.any():
                self._find("zero-virial", frame)

    def _find(self, kind: str, frame: Frame) -> None:
        self._found.setdefault(kind, []).append(frame.name)

    def _add_to_composition(self, frame: Frame) -> None:
        kind = f"{formula(frame.numbers)}{' alone' if frame.isolated else ''}"
        if kind not in self._compositions:
            elements, counts = np.unique(frame.numbers, return_counts=True)
            self._compositions[kind] = _Composition(dict(zip(elements.tolist(), counts.tolist(), strict=True)))
        if frame.energy is not None:
            self._compositions[kind].energies.append((frame.energy / len(frame.numbers), frame.name))
        if frame.forces is not None:
            self._compositions[kind].forces.append((float(np.sqrt(np.square(frame.forces).mean())), frame.name))

    def _add_structure(self, frame: Frame) -> None:
        key = structure_key(frame)
        if key not in self.structures:
            self.structures[key] = (frame.name, frame.energy)
            return
        energy = self.structures[key][1]
        same = energy is None or frame.energy is None or abs(energy - frame.energy) < 1e-4 * len(frame.numbers)
        self._find("repeated" if same else "repeated-other-energy", frame)

    def _check_forces(self, frame: Frame, forces: np.ndarray) -> None:
        self._frames_with_forces += 1
        if not forces.any():
            self._find("zero-forces", frame)
        elif frame.energy == 0.0:
            self._find("zero-energy", frame)
        net = float(np.linalg.norm(forces.sum(axis=0)))
        lengths = float(np.linalg.norm(forces, axis=1).sum())
        if net > max(_NET_SHARE * lengths, _NET_FORCE * len(forces)):
            self._find("net-force", frame)

    def findings(self) -> list[Finding]:
        """List all findings, the most harmful first."""
        found = {
            "energy-outlier": self._outliers("energies", _OUTLIER_EV),
            "force-outlier": self._outliers("forces", _OUTLIER_FORCE),
            "energy-offset": self._offsets(),
            **self._found,
        }
        # a crystal at rest has no forces, and one frame may define the zero of energy: only more of them are findings
        if len(found.get("zero-forces", ())) < max(2, self._frames_with_forces):
            found.pop("zero-forces", None)
        if len(found.get("zero-energy", ())) < 2:
            found.pop("zero-energy", None)
        return [Finding(kind, text, tuple(found[kind])) for kind, text in _TEXTS.items() if found.get(kind)]

    def _outliers(self, what: str, floor: float) -> list[str]:
        """List frames whose energy per atom or RMS force lies far from all others of their composition."""
        names = []
        for composition in self._compositions.values():
            entries = getattr(composition, what)
            if len(entries) < _ENOUGH:
                continue
            values = np.array([value for value, _ in entries])
            distance = np.abs(values - np.median(values))
            usual = np.sort(distance)[: len(values) - max(1, int(_FARTHEST * len(values)))]
            limit = max(_TIMES * float(usual[-1]), floor)
            names += [entries[i][1] for i in np.flatnonzero(distance > limit)]
        return names

    def _offsets(self) -> list[str]:
        """List the first frames of compositions whose mean energy does not fit a sum over elements."""
        kept = [
            (c.counts, float(np.median([e for e, _ in c.energies])), c.energies[0][1])
            for name, c in self._compositions.items()
            if c.energies and not name.endswith(" alone")
        ]
        elements = sorted({element for counts, _, _ in kept for element in counts})
        if len(kept) <= len(elements):
            return []
        shares = np.array([[counts.get(e, 0) / sum(counts.values()) for e in elements] for counts, _, _ in kept])
        means = np.array([mean for _, mean, _ in kept])
        missed = np.abs(means - shares @ np.linalg.lstsq(shares, means, rcond=None)[0])
        return [name for (_, _, name), by in zip(kept, missed, strict=True) if by > _OFFSET_EV]


_TEXTS = {
    "energy-outlier": "energy far from all others of its composition: another unit or zero, or a failed calculation",
    "force-outlier": "forces many times those of its composition: another unit, or a failed calculation",
    "energy-offset": "energies of compositions do not fit one energy per element: different zeros, or methods",
    "zero-energy": "energy exactly zero: probably not computed, or the label has another name or is missing",
    "zero-forces": "forces exactly zero in every frame: probably not computed",
    "large-stress": "virial of a stress above 80 GPa: probably in another unit",
    "zero-virial": "virial exactly zero in a periodic structure with forces: probably not computed",
    "close-atoms": "atoms nearer than half the sum of their covalent radii",
    "net-force": "forces that do not add up to zero: fixed atoms, another unit, or a failed calculation",
    "repeated-other-energy": "a structure that occurs before, with another energy",
    "repeated": "a structure that occurs before, with the same energy",
    "held-out-trained-on": "held-out structures that are also trained on, so that errors on them mean little",
}


def structure_key(frame: Frame) -> bytes:
    """Compute a hash that is equal for structures that agree to 1e-4 Angstrom."""
    digest = hashlib.blake2b(digest_size=12)
    cell = np.where(np.asarray(frame.pbc)[:, None], frame.cell, 0.0)
    for array in (frame.numbers.astype(np.int64), np.asarray(frame.pbc, dtype=np.int64)):
        digest.update(array.tobytes())
    for array in (frame.positions, cell):
        digest.update((np.round(array / 1e-4)).astype(np.int64).tobytes())
    return digest.digest()


def trained_on_too(train: FindingCollector, valid: Sequence[Frame]) -> list[Finding]:
    """Find held-out frames whose structure is in the training data.

    Parameters
    ----------
    train
        To which all training frames were added.
    valid
        Held-out frames.
    """
    names = tuple(frame.name for frame in valid if structure_key(frame) in train.structures)
    return [Finding("held-out-trained-on", _TEXTS["held-out-trained-on"], names)] if names else []


def bond_share(pairs: StructurePairs, species: Sequence[str]) -> float:
    """Compute the shortest distance of a structure, relative to the sum of covalent radii.

    Parameters
    ----------
    pairs
        Pairs of the structure.
    species
        Chemical symbols to which its species are indices.

    Returns
    -------
    float
        Smallest ratio; infinite for a structure without pairs.
    """
    if not len(pairs.center):
        return float("inf")
    radii = covalent_radii[[atomic_numbers[symbol] for symbol in species]][pairs.species.numpy()]
    sums = radii[pairs.center.numpy()] + radii[pairs.neighbor.numpy()]
    return float((np.linalg.norm(pairs.vectors.numpy(), axis=1) / sums).min())


def refuse(findings: Sequence[Finding], facts: Sequence[str]) -> None:
    """Refuse data with any finding, for `--strict`.

    Parameters
    ----------
    findings
        Findings in single frames.
    facts
        Sentences about the data as a whole.

    Raises
    ------
    InputError
        `data-findings`: there are findings or facts, all of which it names.
    """
    lines = [*(finding.line() for finding in findings), *facts]
    if lines:
        raise InputError(
            "data-findings",
            f"--strict refuses these data: {'; '.join(lines)}; correct or drop these frames, or leave --strict out",
        )
