"""Read the keys of a DeePMD-kit file, and check that none is left unread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dp_sim.errors import ModelFileError, nearest_name


def changes_nothing(value: Any) -> bool:
    """Tell whether a value leaves a model as it is, whatever its key: absent, empty, or left to the default.

    False and 0 do not count: they may switch something off.
    """
    if isinstance(value, Mapping):
        return all(map(changes_nothing, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(changes_nothing, value))
    if isinstance(value, str):
        return value.lower() in ("", "none", "default")
    return value is None or (isinstance(value, np.ndarray) and value.size == 0)


class Reader:
    """A mapping of the file, of which every key must be read: `rest` refuses a key that was not, by name.

    Keys that begin with an underscore are comments, as in DeePMD-kit. A value that changes nothing is never refused.

    Parameters
    ----------
    data
        The mapping.
    where
        Its key in the file, for errors; empty at the top.
    file
        Name of the file, for errors.

    Raises
    ------
    ModelFileError
        A key is missing, is of the wrong kind, has a value that dp-sim does not support, or is unknown.
    """

    def __init__(self, data: Any, where: str, file: str) -> None:
        if not isinstance(data, Mapping):
            raise ModelFileError(
                "model-not-deepmd", f"{file}: {where} is no mapping of keys; this is no model of DeePMD-kit"
            )
        self.data, self.where, self.file = data, where, file
        self.seen: set[str] = set()

    def name(self, key: str) -> str:
        """Return the full name of a key in the file."""
        return f"{self.where}.{key}" if self.where else key

    def get(self, key: str, default: Any = ...) -> Any:
        """Return the value of a key, or the default; without one the key must be there."""
        self.seen.add(key)
        if key in self.data:
            return self.data[key]
        if default is ...:
            raise ModelFileError(
                "deepmd-incomplete", f"{self.file}: the key '{self.name(key)}' is missing; the file is not complete"
            )
        return default

    def child(self, key: str) -> Reader:
        """Return a reader of the mapping under a key."""
        return Reader(self.get(key), self.name(key), self.file)

    def children(self, key: str) -> list[Reader]:
        """Return readers of the mappings in the list under a key."""
        self.get(key)
        return [Reader(value, f"{self.name(key)}[{i}]", self.file) for i, value in enumerate(self.items(key))]

    def array(self, key: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Return a finite array of numbers, float64; of the given shape, if any."""
        try:
            value = np.asarray(self.get(key), dtype=np.float64)
        except (TypeError, ValueError):
            raise ModelFileError(
                "deepmd-value-invalid", f"{self.file}: '{self.name(key)}' holds no array of numbers"
            ) from None
        if shape is not None and value.shape != shape:
            raise ModelFileError(
                "array-shape", f"{self.file}: '{self.name(key)}' should be {shape}; it is {value.shape}"
            )
        if not np.isfinite(value).all():
            raise ModelFileError(
                "array-not-finite", f"{self.file}: '{self.name(key)}' holds NaN or infinity; the model diverged?"
            )
        return value

    def number(self, key: str, default: Any = ...) -> float:
        """Return a finite number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
            raise self.wrong(key, "a number", value)
        return float(value)

    def count(self, key: str, default: Any = ...) -> int:
        """Return a whole number above zero."""
        value = self.get(key, default)
        if not _is_count(value) or value == 0:
            raise self.wrong(key, "a whole number above zero", value)
        return int(value)

    def counts(self, key: str, length: int) -> tuple[int, ...]:
        """Return a list of `length` whole numbers, none below zero."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) != length or not all(map(_is_count, value)):
            raise self.wrong(key, f"a list of {length} whole numbers", value)
        return tuple(value)

    def flag(self, key: str, default: Any = ...) -> bool:
        """Return true or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def precision(self, key: str, array: Any) -> str:
        """Return the name of the precision; without one, that of an array of the model."""
        name = self.get(key, None)
        return str(getattr(array, "dtype", "float64")) if changes_nothing(name) else self.text(key)

    def text(self, key: str, default: Any = ...) -> str:
        """Return a string."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of names, at least one."""
        value = self.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.wrong(key, "a list of names", value)
        return tuple(value)

    def items(self, key: str) -> list[Any]:
        """Return a list; empty where it is absent or null."""
        value = self.get(key, None)
        if value is not None and not isinstance(value, list):
            raise self.wrong(key, "a list", value)
        return value or []

    def wrong(self, key: str, expected: str, got: Any) -> ModelFileError:
        """Make the error for a value of the wrong kind."""
        return ModelFileError(
            "deepmd-value-invalid", f"{self.file}: '{self.name(key)}' should be {expected}; got {str(got)[:60]!r}"
        )

    def expect(self, key: str, *allowed: Any, hint: str) -> None:
        """Check that a value is one of `allowed`, or changes nothing; else `hint` says what is not supported."""
        value = self.get(key, allowed[0])
        same = any(value is a or (type(value) is type(a) and value == a) for a in allowed)
        if not (same or changes_nothing(value)):
            raise ModelFileError("deepmd-value-unsupported", f"{self.file}: '{self.name(key)}' is {value!r}: {hint}")

    def ignore(self, *keys: str) -> None:
        """Mark keys as read that do not affect the energy."""
        self.seen.update(keys)

    def rest(self) -> None:
        """Refuse keys that were not read, unless their values change nothing."""
        unknown = [
            key
            for key, value in self.data.items()
            if key not in self.seen and not str(key).startswith("_") and not changes_nothing(value)
        ]
        if unknown:
            hint = nearest_name(unknown[0], self.seen) or "; make the file with deepmd-kit 3.2, or ask for this key"
            raise ModelFileError(
                "deepmd-key-unknown",
                f"{self.file}: dp-sim does not know the key '{self.name(unknown[0])}', so it cannot say what the "
                f"model gives{hint}",
            )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


#: Kinds of models and fittings that are something else than an energy of one Deep Potential.
REFUSED = {
    "zbl": "it mixes in a pair table (ZBL) at short range",
    "pairtab": "it is a pair table",
    "linear": "it is a sum of several models",
    "linear_ener": "it is a sum of several models",
    "spin": "it depends on spins",
    "spin_ener": "it depends on spins",
    "dipole": "it gives dipoles, no energy",
    "polar": "it gives polarizabilities, no energy",
    "dos": "it gives a density of states, no energy",
    "property": "it gives a property, no energy",
    "direct_force": "its forces are no gradient of an energy",
    "direct_force_ener": "its forces are no gradient of an energy",
    "se_e3_tebd": "dp-sim does not support three-body embedding with types (se_e3_tebd)",
    "dpa2": "dp-sim does not support message passing (DPA-2)",
    "dpa3": "dp-sim does not support message passing (DPA-3)",
}


def refuse_kind(file: str, what: str, kind: Any, known: Iterable[str]) -> ModelFileError:
    """Make the error for a model, descriptor or fitting that dp-sim does not support.

    Parameters
    ----------
    file
        Name of the file.
    what
        "model", "descriptor" or "fitting".
    kind
        Its `type` in the file.
    known
        Types of descriptors that dp-sim reads.
    """
    reason = REFUSED.get(str(kind), f"dp-sim does not know this {what}")
    return ModelFileError(
        "deepmd-kind-unsupported",
        f"{file}: its {what} is '{kind}': {reason}; dp-sim reads energy models with the descriptors {', '.join(known)}",
    )


def refuse_attention(reader: Reader) -> None:
    """Refuse DPA-1 (se_atten) with attention layers; without them, skip the settings of attention.

    Raises
    ------
    ModelFileError
        The descriptor has attention layers, or another option that dp-sim does not support.
    """
    kind = reader.text("type")
    layers = reader.get("attn_layer", 2)
    if not _is_count(layers):
        raise reader.wrong("attn_layer", "a whole number", layers)
    if layers:
        raise ModelFileError(
            "deepmd-kind-unsupported",
            f"{reader.file}: its descriptor is '{kind}' with {layers} attention layers; dp-sim has DPA-1 without "
            f"attention (attn_layer: 0)",
        )
    reader.expect("lmax", 1, hint="dp-sim does not support angular moments beyond the first")
    reader.expect("use_econf_tebd", False, hint="dp-sim does not support type vectors from electron configurations")
    reader.ignore("attn", "attn_dotr", "attn_mask", "scaling_factor", "normalize", "temperature")
    reader.ignore("trainable_ln", "ln_eps")


def is_stripped(reader: Reader, second: bool) -> bool:
    """Tell how the types enter the embedding of DPA-1.

    Parameters
    ----------
    reader
        Of the descriptor.
    second
        Whether it is se_atten_v2.

    Returns
    -------
    bool
        True for a factor on G (`tebd_input_mode: strip`), False for inputs of the net beside s (`concat`).

    Raises
    ------
    ModelFileError
        `deepmd-value-invalid`: the mode is neither.
    """
    mode = reader.text("tebd_input_mode", "strip" if second else "concat")
    if mode not in ("strip", "concat"):
        raise reader.wrong("tebd_input_mode", "strip or concat", mode)
    older = reader.get("stripped_type_embedding", None)
    return older is True if older is not None else mode == "strip"


def pairs_of(reader: Reader, key: str, n_types: int) -> tuple[tuple[int, int], ...]:
    """Read the pairs of types under a key, none if it is absent.

    Raises
    ------
    ModelFileError
        `deepmd-value-invalid`: an entry is no pair of types 0 to n_types - 1.
    """
    found = reader.items(key)
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not all(_is_count(t) and t < n_types for t in pair):
            raise ModelFileError(
                "deepmd-value-invalid",
                f"{reader.file}: '{reader.name(key)}' holds {pair}, which is no pair of types 0 to {n_types - 1}",
            )
    return tuple((int(a), int(b)) for a, b in found)


def types_of(reader: Reader, key: str, n_types: int) -> tuple[int, ...]:
    """Read the types under a key, none if it is absent.

    Raises
    ------
    ModelFileError
        `deepmd-value-invalid`: an entry is no type 0 to n_types - 1.
    """
    found = reader.items(key)
    if not all(_is_count(t) and t < n_types for t in found):
        raise ModelFileError(
            "deepmd-value-invalid", f"{reader.file}: '{reader.name(key)}' is {found}; types here are 0 to {n_types - 1}"
        )
    return tuple(found)


def vacuum_of(fitting: Reader, n_types: int) -> tuple[bool, ...]:
    """Read for which species the energy in vacuum was fixed (`atom_ener`): there the net gives net(D) - net(0).

    Returns
    -------
    tuple of bool
        One for each type; empty if there is none.

    Raises
    ------
    ModelFileError
        `deepmd-value-invalid`: there are more energies than types.
    """
    given = [value is not None for value in fitting.items("atom_ener")]
    if len(given) > n_types:
        raise fitting.wrong("atom_ener", f"at most {n_types} energies", fitting.data["atom_ener"])
    return tuple(given + [True] * (n_types - len(given))) if any(given) else ()
