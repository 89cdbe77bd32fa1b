"""Names of energy, forces, virial and stress in files."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from dp_sim.config.label_keys import LabelKeys
from dp_sim.errors import InputError

#: Prefixes of a label's name: MACE (REF_), GAP (dft_), and others in use.
_PREFIXES = ("", "ref", "reference", "dft", "qm", "target", "total")
#: Names of the labels, in lower case, letters only.
_BASES = {
    "energy": ("energy", "etot", "toten", "totenergy", "potentialenergy", "epot"),
    "free energy": ("freeenergy",),
    "forces": ("forces", "force"),
    "virial": ("virial", "virials"),
    "stress": ("stress", "stresses"),
}
#: Two values of one energy agree within this many eV, or this fraction of it (float32 has seven digits).
_ENERGY_EV, _ENERGY_SHARE = 1e-5, 1e-7
#: The same for forces (eV/Angstrom) and for tensors (eV, eV/Angstrom^3), by the largest component.
_ARRAY_EV, _ARRAY_SHARE = 1e-5, 1e-4
#: A name that contains one of these looks like a label.
_LABEL_LIKE = re.compile(r"energ|force|virial|stress", re.IGNORECASE)
#: So does one of these, of a quantity that no model here learns: the negative of forces, moments, second derivatives.
_OTHER_LABEL = re.compile(
    r"gradient|dipole|quadrupole|polari[sz]ab|hessian|(?<!initial_)(?:charges|magmoms?)$", re.IGNORECASE
)
#: A name that looks like a label but contains one of these is another quantity.
_OTHER_QUANTITY = re.compile(
    r"per|atom|weight|sigma|std|err|unc|var|form|coh|bind|hull|ads|int|kin|corr|shift|unit|max|min|rms|norm|zero|kind",
    re.IGNORECASE,
)


class NamedLabel(NamedTuple):
    """A label with its name in a file.

    Attributes
    ----------
    key
        Its name there.
    value
        Its value there.
    """

    key: str
    value: Any


@functools.lru_cache(maxsize=4096)
def plain_name(key: str) -> str:
    """Reduce a name to lower case, letters and digits: `REF-Energy` and `ref_energy` become the same."""
    return re.sub(r"[^a-z0-9]", "", key.lower())


_KNOWN = {label: frozenset(prefix + base for prefix in _PREFIXES for base in bases) for label, bases in _BASES.items()}


@functools.lru_cache(maxsize=4096)
def is_named(key: str, label: str) -> bool:
    """Tell whether `key` is a well-known name of `label` (energy, free energy, forces, virial, stress)."""
    return plain_name(key) in _KNOWN[label] or (label == "energy" and key == "E")


def looks_like_label(key: str) -> bool:
    """Tell whether `key` might be taken for a label."""
    return bool(_LABEL_LIKE.search(key) or _OTHER_LABEL.search(key))


def is_gradient(key: str) -> bool:
    """Tell whether `key` names the gradient of the energy, which is the negative of the forces."""
    return bool(re.search(r"gradients?$|^gradients?", key, re.IGNORECASE))


def may_be_meant(key: str) -> bool:
    """Tell whether to suggest an unknown name that looks like a label; energy_per_atom, for example, is no energy."""
    return bool(_LABEL_LIKE.search(key)) and not _OTHER_QUANTITY.search(_LABEL_LIKE.sub("", key))


def pick(label: str, found: Mapping[str, Any], keys: LabelKeys, name: str) -> tuple[NamedLabel | None, list[str]]:
    """Find a label among the names of a frame.

    Parameters
    ----------
    label
        energy, forces, virial or stress.
    found
        Values in the frame, by name.
    keys
        Names that the user gave; if there is one for this label, no other counts.
    name
        What messages call the frame.

    Returns
    -------
    NamedLabel or None
        The label, or None if the frame has none.
    list of str
        Decisions, as sentences.

    Raises
    ------
    InputError
        Two well-known names with different values.
    """
    wanted = getattr(keys, label)
    if wanted is not None:
        return (NamedLabel(wanted, found[wanted]) if found.get(wanted) is not None else None), []
    candidates = [NamedLabel(k, v) for k, v in found.items() if v is not None and is_named(k, label)]
    decisions: list[str] = []
    if label == "energy":
        candidates, decisions = _with_free_energies(candidates, found)
    filled = [one for one in candidates if not _is_zero(one.value)]
    if filled and len(filled) < len(candidates):
        zeros = ", ".join(f"'{one.key}'" for one in candidates if _is_zero(one.value))
        decisions.append(f"{zeros} is zero beside '{filled[0].key}' and not taken for the {label}")
        candidates = filled
    for other in candidates[1:]:
        if not _agree(label, candidates[0].value, other.value):
            raise InputError(
                "label-names-conflict",
                f"{name}: '{candidates[0].key}' {_shown(candidates[0].value)} and '{other.key}' {_shown(other.value)} "
                f"both name the {label} and differ; say which it is: --{label}-key {candidates[0].key} "
                f"(data: keys: {{{label}: {candidates[0].key}}} in a training input)",
            )
    return (candidates[0] if candidates else None), decisions


def _with_free_energies(candidates: list[NamedLabel], found: Mapping[str, Any]) -> tuple[list[NamedLabel], list[str]]:
    """Replace each energy by the free energy of the same prefix, because the forces are its gradient.

    VASP's `energy` is extrapolated to zero smearing; TOTEN is the free energy (ASE keeps both).
    """
    free = {
        plain_name(k).removesuffix("freeenergy"): NamedLabel(k, v)
        for k, v in found.items()
        if v is not None and is_named(k, "free energy")
    }
    kept, decisions = list(free.values()), []
    for one in candidates:
        twin = free.get(plain_name(one.key).removesuffix("energy"))
        if twin is None:
            kept.append(one)
        elif _agree("energy", one.value, twin.value):  # one number under two names: call it by the plain one
            kept[kept.index(twin)] = one
        else:
            decisions.append(f"'{twin.key}' is taken and not '{one.key}', which differs: forces are its gradient")
    return kept, decisions


def _numbers(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value, dtype=float).ravel()
    except (TypeError, ValueError):
        return None


def _is_zero(value: Any) -> bool:
    numbers = _numbers(value)
    return numbers is not None and not numbers.any()


def _agree(label: str, first: Any, second: Any) -> bool:
    a, b = _numbers(first), _numbers(second)
    if a is None or b is None or a.shape != b.shape:
        return False
    absolute, share = (_ENERGY_EV, _ENERGY_SHARE) if label == "energy" else (_ARRAY_EV, _ARRAY_SHARE)
    return bool(np.abs(a - b).max(initial=0.0) <= absolute + share * np.abs(b).max(initial=0.0))


def _shown(value: Any) -> str:
    numbers = _numbers(value)
    return f"= {numbers[0]:.8g}" if numbers is not None and numbers.size == 1 else f"of shape {np.shape(value)}"
