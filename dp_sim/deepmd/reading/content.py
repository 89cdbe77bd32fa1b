"""Content of a DeePMD-kit model, whichever file it was read from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One layer: y = f(x w + b) idt, plus x or (x, x) where `resnet` is set and the widths allow it.

    Attributes
    ----------
    w
        (n_in, n_out) weights.
    b
        (n_out,) bias.
    idt
        (n_out,) factors of the output (`resnet_dt`), or None.
    activation
        DeePMD-kit's name of f.
    resnet
        Whether the layer has a skip connection.
    """

    w: np.ndarray
    b: np.ndarray
    idt: np.ndarray | None
    activation: str
    resnet: bool


@dataclass(frozen=True)
class TypedNets:
    """The nets of DPA-1, which take a type vector of each species (W,) instead of being made for each species.

    Attributes
    ----------
    types
        Net that turns the unit vector of a species (T,) into its type vector.
    net
        Net of s; without a gate, of s and the vector of the neighbour (and, unless `one_side`, of the centre).
    gate
        Net g of the vector of the neighbour (and of the centre). Its output is a factor: G = net(s) (1 + g). It may be
        empty.
    one_side
        Whether the vector of the centre is left out.
    smooth
        Whether g is multiplied by the switch, which takes it to zero at the cutoff.
    appended
        Whether the fitting net takes the vector of the centre after D.
    """

    types: tuple[Layer, ...]
    net: tuple[Layer, ...]
    gate: tuple[Layer, ...]
    one_side: bool
    smooth: bool
    appended: bool


@dataclass(frozen=True)
class DescriptorContent:
    """A descriptor of kind se_e2_a, se_e2_r or se_e3.

    Attributes
    ----------
    kind
        se_e2_a, se_e2_r or se_e3.
    cutoff, switch_start
        Angstrom.
    sel
        Largest number of neighbours of each species; one number for all species together where `shared` is set.
    axis_width
        M2.
    nets
        Of neighbour species b; if both species count, at index b T + c (c the centre). In se_e3, of two neighbours b
        and c at b + c T, used where b <= c. Empty where `typed` is set: dp_sim.deepmd.typed makes them.
    mean, deviation
        (T, sum(sel), 4 or 1) statistics of the rows.
    excluded
        Pairs of species that do not see each other.
    protection
        Added to r in 1/r, Angstrom.
    precision
        float32, float64, ...
    typed
        Nets of DPA-1.
    shared
        Whether all species share the slots of `sel`.
    gates
        (T, T, M1) centre by neighbour: G = net(s) (1 + gate), with one net for all pairs.
    smooth
        Whether the gates are multiplied by the switch.
    """

    kind: str
    cutoff: float
    switch_start: float
    sel: tuple[int, ...]
    axis_width: int
    nets: tuple[tuple[Layer, ...], ...]
    mean: np.ndarray
    deviation: np.ndarray
    excluded: tuple[tuple[int, int], ...] = ()
    protection: float = 0.0
    precision: str = "float64"
    typed: TypedNets | None = None
    shared: bool = False
    gates: np.ndarray | None = None
    smooth: bool = False


@dataclass(frozen=True)
class FittingContent:
    """The fitting nets and the energy bias.

    Attributes
    ----------
    nets
        One per species of the centre, or one for all; the last layer is linear.
    bias
        (T,) eV.
    vacuum
        (T,) whether the energy of a species is the output of its net less the output without neighbours; or empty.
    excluded
        Species without energy.
    precision
        float32, float64, ...
    """

    nets: tuple[tuple[Layer, ...], ...]
    bias: np.ndarray
    vacuum: tuple[bool, ...] = ()
    excluded: tuple[int, ...] = ()
    precision: str = "float64"


@dataclass(frozen=True)
class ModelContent:
    """A whole model.

    Attributes
    ----------
    types
        Names of the types.
    descriptors
        One, or the parts of a hybrid descriptor.
    fitting
        Fitting nets.
    bias
        (T,) eV, added to that of the fitting.
    excluded_atoms
        Types without energy.
    excluded_pairs
        Pairs of types that do not see each other in any descriptor.
    origin
        Software, version and backend that wrote the file.
    """

    types: tuple[str, ...]
    descriptors: tuple[DescriptorContent, ...]
    fitting: FittingContent
    bias: np.ndarray
    excluded_atoms: tuple[int, ...] = ()
    excluded_pairs: tuple[tuple[int, int], ...] = ()
    origin: dict[str, str] = field(default_factory=dict)


def skip_without_tensorflow(nets: Iterable[tuple[Layer, ...]]) -> str:
    """Describe the first skip connection of fitting nets that DeePMD-kit's TensorFlow backend does not have.

    That backend has skip connections only between hidden layers of equal width. DeePMD-kit converts models between its
    backends without a warning.

    Returns
    -------
    str
        Widths and number of the layer; empty where there is none.
    """
    for net in nets:
        for index, layer in enumerate(net):
            n_in, n_out = layer.w.shape
            if layer.resnet and n_out in ((n_in, 2 * n_in) if index == 0 else (2 * n_in,)):
                return f"from {n_in} to {n_out} neurons in layer {index + 1} of the fitting nets"
    return ""
