"""Frames from labelled ase.Atoms, whatever the names of the labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.units import Hartree

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.label_reading import label_names, virial_and_stress
from dp_sim.datasets.label_reading.label_names import NamedLabel
from dp_sim.datasets.label_reading.stated_units import is_other_energy_unit, scale_of, scales, unit_label
from dp_sim.datasets.label_reading.weights import read_weights, weight_label
from dp_sim.datasets.remarks import UNREAD, Remarks
from dp_sim.errors import InputError, shown
from dp_sim.structures import stated
from dp_sim.structures.comment_lines import refuse_unread
from dp_sim.structures.words import bare_number, stated_in_words

#: Values of config_type that mark an isolated atom.
_ISOLATED = ("isolatedatom", "isolatedatoms")
#: Names that say whether the electronic steps converged, and the values that say no.
_CONVERGED = frozenset(
    prefix + word
    for prefix in ("", "is", "scf", "dft", "electronic", "energy", "calc", "wavefunction")
    for word in ("converged", "convergence")
) | {"convergedscf", "convergedelectronic", "scfconv", "scfstatus"}
_NO = frozenset(("f", "false", "0", "0.0", "no", "n", "failed", "unconverged", "not converged", "not_converged"))
#: Names of the method that made the labels, in lower case: of several, no model can tell which is which.
_METHODS = ("head", "method", "functional", "xc", "level_of_theory", "theory", "basis", "basis_set")
#: Results of a calculator in ASE that belong to atoms, not to the frame.
_PER_ATOM = ("forces", "energies", "stresses")


def frame_from_atoms(atoms: Any, name: str, keys: LabelKeys | None = None, remarks: Remarks | None = None) -> Frame:
    """Make a frame from an `ase.Atoms`.

    Parameters
    ----------
    atoms
        Labels are in its single-point calculator, its `info` or its `arrays`.
    name
        What messages call the frame.
    keys
        Names of labels that the user gave.
    remarks
        Where decisions are counted.

    Raises
    ------
    InputError
        Labels of the wrong shape, two that contradict each other, or a unit or weight that cannot be used.
    """
    keys, remarks = keys or LabelKeys(), remarks if remarks is not None else Remarks()
    refuse_unread(atoms, name)
    labels = _Labels(atoms, name, keys, remarks)
    weights, decisions = read_weights({**labels.of_frame, **labels.of_atoms}, len(atoms), name)
    for sentence in decisions:
        remarks.decide(sentence)
    energy, forces, virial = labels.energy(), labels.forces(), labels.virial()
    labels.remark_unread()
    if energy is None and bare_number(atoms.info):
        remarks.decide(
            "the comment line is a number without a name (CREST and GOAT write the energy so, in hartree), and is not "
            "read: write energy=... energy-unit=hartree"
        )
    frame = Frame(
        name,
        atoms.numbers.copy(),
        atoms.positions.copy(),
        np.array(atoms.cell),
        atoms.pbc.copy(),
        energy if energy is None or energy.shape else float(energy),  # type: ignore[arg-type]  # Frame refuses arrays
        forces,
        virial,
        weights,
        isolated=is_isolated(atoms),
    )
    return without_weightless_labels(frame, remarks)


def unconverged(atoms: Any) -> str:
    """Return the entry of a frame that says that its electronic steps did not converge, `converged=F`; else empty."""
    for key, value in atoms.info.items():
        if label_names.plain_name(key) in _CONVERGED and str(value).strip().lower() in _NO:
            return f"{key}={value}"
    return ""


def is_isolated(atoms: Any) -> bool:
    """Tell whether a frame is an isolated atom: one atom, and not periodic or marked so by config_type."""
    kind = label_names.plain_name(str(atoms.info.get("config_type", "")))
    return len(atoms) == 1 and (not atoms.pbc.any() or kind in _ISOLATED)


def without_weightless_labels(frame: Frame, remarks: Remarks) -> Frame:
    """Leave out labels of weight 0: they are neither trained on nor compared with, and the remarks count them."""
    empty = [
        label
        for label in ("energy", "forces", "virial")
        if getattr(frame, label) is not None and not np.any(getattr(frame.weights, label))
    ]
    if not empty:
        return frame
    remarks.decide(f"{', '.join(empty)} of weight 0 left out")
    weights = dataclasses.replace(frame.weights, **dict.fromkeys(empty, 1.0))
    gone: dict[str, Any] = dict.fromkeys(empty)
    return dataclasses.replace(frame, weights=weights, weightless=True, **gone)


def drop_labels(atoms: Any) -> list[str]:
    """Remove labels under well-known names, and their units, from an `ase.Atoms` that is to be labelled again.

    Otherwise its file would hold old labels beside new ones.

    Returns
    -------
    list of str
        Names that were removed.
    """
    known = ("energy", "free energy", "forces", "virial", "stress")
    dropped = []
    for stored in (atoms.info, atoms.arrays):
        for key in list(stored):
            if unit_label(key) not in (None, "length") or any(label_names.is_named(key, label) for label in known):
                del stored[key]
                dropped.append(key)
    return dropped


class _Labels:
    """The labels of one ase.Atoms by name, and which of them were read."""

    def __init__(self, atoms: Any, name: str, keys: LabelKeys, remarks: Remarks) -> None:
        self.atoms, self.name, self.keys, self.remarks = atoms, name, keys, remarks
        results = {} if atoms.calc is None else {k: v for k, v in atoms.calc.results.items() if v is not None}
        self.of_frame = self._merged(atoms.info, {k: v for k, v in results.items() if k not in _PER_ATOM})
        self.of_atoms = self._merged(atoms.arrays, {k: v for k, v in results.items() if k in _PER_ATOM})
        self.read: set[str] = set()
        self._refuse_units_in_words()
        self.factors, decisions = scales(self.of_frame, name)
        for sentence in decisions:
            remarks.decide(sentence)

    def _merged(self, own: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
        """Merge values of the structure and of its calculator; those under the same name must be equal."""
        for key in own.keys() & results.keys():
            try:
                same = np.allclose(np.asarray(own[key], float), np.asarray(results[key], float), rtol=1e-7, atol=1e-6)
            except (TypeError, ValueError):
                same = False
            if not same:
                raise InputError(
                    "label-names-conflict",
                    f"{self.name}: '{key}' stands in the structure and in its calculator, with different numbers; "
                    "remove one of them",
                )
        return {**own, **results}

    def _refuse_units_in_words(self) -> None:
        """Refuse an energy with a unit behind it, `energy=-47900.1 kcal/mol`: ASE keeps the unit as a flag."""
        energies = [key for key, value in self.of_frame.items() if _is_energy(key) and not _is_flag(value)]
        units = [key for key, value in self.of_frame.items() if _is_flag(value) and is_other_energy_unit(key)]
        if energies and units:
            raise InputError(
                "unit-in-words",
                f"{self.name}: the comment line has '{units[0]}' beside '{energies[0]}', and a unit is read from "
                f"energy-unit={units[0]} alone; write it so, or take the word out where it is none",
            )

    def _is_of_cp2k(self, key: str) -> bool:
        """Tell whether `key` is the energy in a comment line of CP2K (`i = 0, time = 0.0, E = -17.16`), in hartree."""
        return key == "E" and {"i", "time"} <= self.of_frame.keys()

    def _find(self, label: str) -> NamedLabel | None:
        found = self.of_atoms if label == "forces" else self.of_frame
        found = {key: value for key, value in found.items() if not _is_flag(value)}
        picked, decisions = label_names.pick(label, found, self.keys, self.name)
        for sentence in decisions:
            self.remarks.decide(sentence)
        also = ("free energy",) if label == "energy" else ()
        if getattr(self.keys, label) is None:
            self.read |= {key for key in found if any(label_names.is_named(key, one) for one in (label, *also))}
        if picked is None:
            return None
        self.read.add(picked.key)
        self.remarks.seen.add((label, picked.key))
        factor, decision = scale_of(label, self.factors, picked.key, self.name)
        if label == "energy" and self._is_of_cp2k(picked.key):
            factor, decision = Hartree, "energy is converted from hartree, which CP2K writes into its comment line"
        if decision is not None:
            self.remarks.decide(decision)
        return NamedLabel(picked.key, factor * _numbers(picked.value, f"{self.name}: {_called(label, picked.key)}"))

    def _source(self, label: str, key: str) -> None:
        self.remarks.read_from(label, key)

    def energy(self) -> np.ndarray | None:
        """Return the energy, eV; Frame refuses it if it is not a single number."""
        found = self._find("energy")
        if found is None:
            return None
        self._source("energy", found.key)
        return found.value

    def forces(self) -> np.ndarray | None:
        """Return the forces (N, 3), eV/Angstrom; Frame refuses another shape."""
        found = self._find("forces")
        if found is None:
            return None
        self._source("forces", found.key)
        return found.value

    def virial(self) -> np.ndarray | None:
        """Return the virial (3, 3), eV, from virial or stress; if both are there, they must agree."""
        virial, stress = self._tensor("virial"), self._tensor("stress")
        full = None if virial is None else virial_and_stress.full_virial(virial.value, virial.key, self.name)
        if stress is not None:
            if not (self.atoms.pbc.any() and self.atoms.cell.rank == 3):
                self.remarks.decide(f"'{stress.key}' is not used: without a periodic cell there is no volume")
                stress = None
            else:
                volume = self.atoms.get_volume()
                of_stress = virial_and_stress.virial_of_stress(stress.value, volume, stress.key, self.name)
                if virial is not None and full is not None:
                    virial_and_stress.check_agreement(full, of_stress, (virial.key, stress.key), self.name)
                else:
                    full = of_stress
        source = virial or stress
        if full is None or source is None:
            return None
        if not self.atoms.pbc.all() and not full.any():
            self.remarks.decide(f"'{source.key}' is zero and the structure not periodic in space: not used")
            return None
        self._source("virial", source.key)
        return full

    def _tensor(self, label: str) -> NamedLabel | None:
        """Find virial or stress; if the user named one of the two, the other is not read."""
        other = "stress" if label == "virial" else "virial"
        if getattr(self.keys, other) is not None and getattr(self.keys, label) is None:
            return None
        return self._find(label)

    def remark_unread(self) -> None:
        """Remark on everything that looks like a label and was not read."""
        for key in (*self.of_frame, *self.of_atoms):
            known = key in self.read or unit_label(key) or weight_label(key)
            if known or not label_names.looks_like_label(key) or _is_flag(self.of_frame.get(key)):
                continue
            opposite = (
                " (the negative of forces: write forces to train on them)" if label_names.is_gradient(key) else ""
            )
            self.remarks.decide(f"{UNREAD}{key}'{opposite}")
        for key, value in self.of_frame.items():
            if _is_flag(value) and _is_energy(key):
                self.remarks.decide(f"{UNREAD}{key}', a word without '=': write energy=..., in eV")
        for key, value in self.of_frame.items():
            if label_names.plain_name(key) in ("unit", "units"):
                self.remarks.decide(f"not read: '{key}' = {value}: labels are taken for eV and Angstrom")
            elif key.lower() in (*stated.CHARGE_KEYS, *stated.MULTIPLICITY_KEYS, *stated.SPIN_KEYS, *_METHODS):
                self.remarks.count_unmodelled(key, str(value))
        if field := stated.stated_field(self.atoms):
            self.remarks.decide(f"'{field}' is not zero: labels in an electric field, which no model knows")
        for key, value in stated_in_words(self.atoms.info).items():
            self.remarks.count_unmodelled(key, value)


def _is_flag(value: Any) -> bool:
    """Tell whether this is what ASE's reader makes of a word in a comment line that has no value."""
    return isinstance(value, (bool, np.bool_))


def _is_energy(key: str) -> bool:
    return label_names.is_named(key, "energy") or label_names.is_named(key, "free energy")


def _called(label: str, key: str) -> str:
    return label if key == label else f"{label} ('{key}')"


def _numbers(value: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(
            "label-not-numbers", f"{what} must hold numbers, got {shown(value)}; correct the label"
        ) from None
