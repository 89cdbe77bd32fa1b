"""What a DeePMD-kit model says, whichever file it came in; and the checks that let nothing pass unread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dp_sim.errors import ModelFileError, nearest_name


@dataclass(frozen=True)
class Layer:
    """y = f(x w + b) idt, plus x or (x, x) where `resnet` is set and the widths allow it."""

    w: np.ndarray  # (n_in, n_out)
    b: np.ndarray  # (n_out,)
    idt: np.ndarray | None  # (n_out,)
    activation: str
    resnet: bool


@dataclass(frozen=True)
class TypedNets:
    """What DPA-1 has in place of nets for each species: nets that are fed with vectors of the species (W,).

    types     net of a species' unit vector (T,), which gives its vector
    net       of s; or, without a gate, of s and the vector of the neighbour (and, unless one_side, of the centre)
    gate      g of the vector of the neighbour (and of the centre), both being factors then: G = net(s) (1 + g)
    smooth    g is multiplied by the switch, which takes it to zero at the cutoff
    appended  the vector of the centre follows D into the fitting net
    """

    types: tuple[Layer, ...]
    net: tuple[Layer, ...]
    gate: tuple[Layer, ...]
    one_side: bool
    smooth: bool
    appended: bool


@dataclass(frozen=True)
class DescriptorContent:
    """se_e2_a, se_e2_r or se_e3.

    `nets`: of neighbour species b, or with both sides at index b T + c (c the centre); in se_e3 of two neighbours b and
    c at b + c T, used where b <= c. With `typed` there are none yet: dp_sim.deepmd.typed makes them.
    """

    kind: str
    cutoff: float
    switch_start: float
    sel: tuple[int, ...]
    axis_width: int
    nets: tuple[tuple[Layer, ...], ...]
    mean: np.ndarray  # (T, sum(sel), 4 or 1)
    deviation: np.ndarray
    excluded: tuple[tuple[int, int], ...] = ()
    protection: float = 0.0
    precision: str = "float64"
    typed: TypedNets | None = None
    shared: bool = False  # `sel` is one number, for neighbours of all species together
    gates: np.ndarray | None = None  # (T, T, M1), centre by neighbour: G = net(s) (1 + gate), one net for all pairs
    smooth: bool = False  # the gates are multiplied by the switch


@dataclass(frozen=True)
class FittingContent:
    nets: tuple[tuple[Layer, ...], ...]  # per species of the centre, or one for all; the last layer is linear
    bias: np.ndarray  # (T,) eV
    vacuum: tuple[bool, ...] = ()  # species whose net is read against its value for an empty neighbourhood
    excluded: tuple[int, ...] = ()  # species without energy
    precision: str = "float64"


@dataclass(frozen=True)
class ModelContent:
    types: tuple[str, ...]
    descriptors: tuple[DescriptorContent, ...]
    fitting: FittingContent
    bias: np.ndarray  # (T,) eV, added to that of the fitting
    excluded_atoms: tuple[int, ...] = ()
    excluded_pairs: tuple[tuple[int, int], ...] = ()
    origin: dict[str, str] = field(default_factory=dict)  # software, version, backend


def changes_nothing(value: Any) -> bool:
    """Whether a value leaves a model as it is, whatever its key: absent, empty, or left to the default.

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
    """A mapping of the file whose every key must be read: `rest` refuses what nobody asked for, by name.

    Keys with an underscore in front are comments, as DeePMD-kit has it, and a value that changes nothing is never
    refused.

    Raises
    ------
    ModelFileError
        A key that is missing, is of the wrong kind, has a value that dp-sim cannot follow, or is unknown.
    """

    def __init__(self, data: Any, where: str, file: str) -> None:
        if not isinstance(data, Mapping):
            raise ModelFileError(
                "model-not-deepmd", f"{file}: {where} is no mapping of keys; this is no model of DeePMD-kit"
            )
        self.data, self.where, self.file = data, where, file
        self.seen: set[str] = set()

    def name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def get(self, key: str, default: Any = ...) -> Any:
        self.seen.add(key)
        if key in self.data:
            return self.data[key]
        if default is ...:
            raise ModelFileError(
                "deepmd-incomplete", f"{self.file}: the key '{self.name(key)}' is missing; the file is not complete"
            )
        return default

    def child(self, key: str) -> Reader:
        return Reader(self.get(key), self.name(key), self.file)

    def children(self, key: str) -> list[Reader]:
        self.get(key)
        return [Reader(value, f"{self.name(key)}[{i}]", self.file) for i, value in enumerate(self.items(key))]

    def array(self, key: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """A finite array of numbers, float64; of `shape` where one is given."""
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
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
            raise self.wrong(key, "a number", value)
        return float(value)

    def count(self, key: str, default: Any = ...) -> int:
        """A whole number above zero."""
        value = self.get(key, default)
        if not _is_count(value) or value == 0:
            raise self.wrong(key, "a whole number above zero", value)
        return int(value)

    def counts(self, key: str, length: int) -> tuple[int, ...]:
        """So many whole numbers, none below zero."""
        value = self.get(key)
        if not isinstance(value, list) or len(value) != length or not all(map(_is_count, value)):
            raise self.wrong(key, f"a list of {length} whole numbers", value)
        return tuple(value)

    def flag(self, key: str, default: Any = ...) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def precision(self, key: str, array: Any) -> str:
        """Precision by name; left to the default it is that of an array of the model."""
        name = self.get(key, None)
        return str(getattr(array, "dtype", "float64")) if changes_nothing(name) else self.text(key)

    def text(self, key: str, default: Any = ...) -> str:
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """One name or more."""
        value = self.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise self.wrong(key, "a list of names", value)
        return tuple(value)

    def items(self, key: str) -> list[Any]:
        """A list that may be absent or null; it is empty then."""
        value = self.get(key, None)
        if value is not None and not isinstance(value, list):
            raise self.wrong(key, "a list", value)
        return value or []

    def wrong(self, key: str, expected: str, got: Any) -> ModelFileError:
        return ModelFileError(
            "deepmd-value-invalid", f"{self.file}: '{self.name(key)}' should be {expected}; got {str(got)[:60]!r}"
        )

    def expect(self, key: str, *allowed: Any, hint: str) -> None:
        """The value must be one of `allowed`, or change nothing; else `hint` says what cannot be followed."""
        value = self.get(key, allowed[0])
        same = any(value is a or (type(value) is type(a) and value == a) for a in allowed)
        if not (same or changes_nothing(value)):
            raise ModelFileError("deepmd-value-unsupported", f"{self.file}: '{self.name(key)}' is {value!r}: {hint}")

    def ignore(self, *keys: str) -> None:
        """Keys that do not bear on the numbers that the model gives."""
        self.seen.update(keys)

    def rest(self) -> None:
        """Refuse what has not been read, unless it changes nothing."""
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
    "se_e3_tebd": "three-body embedding with types (se_e3_tebd) is not there in dp-sim",
    "dpa2": "message passing (DPA-2) is not there in dp-sim",
    "dpa3": "message passing (DPA-3) is not there in dp-sim",
}


def refuse_kind(file: str, what: str, kind: Any, known: Iterable[str]) -> ModelFileError:
    reason = REFUSED.get(str(kind), f"dp-sim does not know this {what}")
    return ModelFileError(
        "deepmd-kind-unsupported",
        f"{file}: its {what} is '{kind}': {reason}; dp-sim reads energy models with the descriptors {', '.join(known)}",
    )


def refuse_attention(reader: Reader) -> None:
    """Of DPA-1 (se_atten) all but its attention is there in dp-sim; the settings of a step that is not taken are
    read over."""
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
    reader.expect("lmax", 1, hint="angular moments beyond the first are not there in dp-sim")
    reader.expect("use_econf_tebd", False, hint="type vectors from electron configurations are not there in dp-sim")
    reader.ignore("attn", "attn_dotr", "attn_mask", "scaling_factor", "normalize", "temperature")
    reader.ignore("trainable_ln", "ln_eps")


def skip_without_tensorflow(nets: Iterable[tuple[Layer, ...]]) -> str:
    """The first skip connection of fitting nets that DeePMD-kit's TensorFlow backend does not have; or nothing.

    It hands on the input of hidden layers as wide as the one before, and no other; its conversions say nothing of that.
    """
    for net in nets:
        for index, layer in enumerate(net):
            n_in, n_out = layer.w.shape
            if layer.resnet and n_out in ((n_in, 2 * n_in) if index == 0 else (2 * n_in,)):
                return f"from {n_in} to {n_out} neurons in layer {index + 1} of the fitting nets"
    return ""


def is_stripped(reader: Reader, second: bool) -> bool:
    """Whether types enter DPA-1 by a factor (tebd_input_mode strip, as always in se_atten_v2), or beside s (concat)."""
    mode = reader.text("tebd_input_mode", "strip" if second else "concat")
    if mode not in ("strip", "concat"):
        raise reader.wrong("tebd_input_mode", "strip or concat", mode)
    older = reader.get("stripped_type_embedding", None)
    return older is True if older is not None else mode == "strip"


def pairs_of(reader: Reader, key: str, n_types: int) -> tuple[tuple[int, int], ...]:
    """Excluded pairs of types; each must exist."""
    found = reader.items(key)
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not all(_is_count(t) and t < n_types for t in pair):
            raise ModelFileError(
                "deepmd-value-invalid",
                f"{reader.file}: '{reader.name(key)}' holds {pair}, which is no pair of types 0 to {n_types - 1}",
            )
    return tuple((int(a), int(b)) for a, b in found)


def types_of(reader: Reader, key: str, n_types: int) -> tuple[int, ...]:
    """Excluded types; each must exist."""
    found = reader.items(key)
    if not all(_is_count(t) and t < n_types for t in found):
        raise ModelFileError(
            "deepmd-value-invalid", f"{reader.file}: '{reader.name(key)}' is {found}; types here are 0 to {n_types - 1}"
        )
    return tuple(found)


def vacuum_of(fitting: Reader, n_types: int) -> tuple[bool, ...]:
    """Species whose energy in vacuum was fixed: their net gives net(D) - net(0). Empty where none was."""
    given = [value is not None for value in fitting.items("atom_ener")]
    if len(given) > n_types:
        raise fitting.wrong("atom_ener", f"at most {n_types} energies", fitting.data["atom_ener"])
    return tuple(given + [True] * (n_types - len(given))) if any(given) else ()
