"""Layout of G(s) for the compiled path: embedding nets or tables of one part of a descriptor."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

#: The activations by their numbers in kernels/networks/activation.h: class names in torch and dp_sim.networks.
ACTIVATIONS = ("Tanh", "GELU", "GELU of tanh", "SiLU", "Softplus", "Sigmoid", "ReLU", "ReLU6", "Identity", "SiLUT")
#: Bytes of a vector of the kernels.
VECTOR_BYTES = 64
_NO_INTEGERS = torch.empty(0, dtype=torch.int64)
_NO_NUMBERS = torch.empty(0, dtype=torch.float64)


class EmbeddingLayout(NamedTuple):
    """The functions G(s) of a part, with M1 columns each, for T species; fields of kernels/part_fields.inc.

    Attributes
    ----------
    columns
        M1.
    function_of
        (T, T) int64, index of the net or table for the species of centre and neighbour.
    values
        Numbers of all nets or tables, in the precision of the model.
    tabulated
        Whether they are tables.
    activation, threshold
        Of the nets: number of the activation, and the threshold of SiLUT.
    layers
        (L, 4) int64, of the nets: n_in, n_out, repeats, whether there is a residual step.
    inputs
        (T, 2) float64, mean and deviation: the nets of a centre take (s - mean)/deviation.
    knots
        (K,) float64, of the tables, 1/Angstrom, ascending from zero.
    uniform
        Number of segments between knots that have the width of the first.
    """

    columns: int
    function_of: Tensor
    values: Tensor
    tabulated: bool
    activation: int = 0
    threshold: float = 0.0
    layers: Tensor = _NO_INTEGERS
    inputs: Tensor = _NO_NUMBERS
    knots: Tensor = _NO_NUMBERS
    uniform: int = 0


def class_name(module: Any) -> str:
    """Return the name of a module's class, scripted or not."""
    return str(getattr(module, "original_name", type(module).__name__))


def tables_layout(table: Any, table_of: Tensor) -> EmbeddingLayout:
    """Lay out a dp_sim.descriptors.tabulated.HermiteTable.

    Parameters
    ----------
    table
        The table, scripted or not.
    table_of
        (T, T) int64, index of the table for the species of centre and neighbour.
    """
    knots = table.knots.to(torch.float64)
    widths = knots[1:] - knots[:-1]
    return EmbeddingLayout(
        columns=int(table.values.shape[3]),
        function_of=table_of,
        values=whole_vectors(table.values),
        tabulated=True,
        knots=knots,
        uniform=int((widths < 1.001 * widths[0]).sum()),
    )


def nets_layout(embedding: Any, environment: Any) -> EmbeddingLayout:
    """Lay out the nets of a dp_sim.descriptors.embedding.EmbeddingSum, with the normalisation of an Environment."""
    nets = [list(net.layers.children()) for net in embedding.nets.children()]
    species = torch.arange(embedding.n_species)
    activation, threshold = activation_number(nets[0][0].activation)
    layers = [  # all nets are alike
        [*layer.weight.shape, int(layer.repeats), int(residual_step(layer) is not None)] for layer in nets[0]
    ]
    return EmbeddingLayout(
        columns=int(embedding.width),
        function_of=embedding.net_index(species[:, None], species).expand(len(species), -1),
        values=torch.cat([numbers for net in nets for layer in net for numbers in _of_layer(layer)]),
        tabulated=False,
        activation=activation,
        threshold=threshold,
        layers=torch.tensor(layers),
        inputs=torch.stack([environment.mean, environment.deviation], dim=1),
    )


def _of_layer(layer: Any) -> list[Tensor]:
    """Flatten weight, bias and residual step, with rows padded by zeros."""
    step = residual_step(layer)
    parts = (layer.weight, layer.bias, torch.zeros_like(layer.bias) if step is None else step)
    return [whole_vectors(part.detach()).flatten() for part in parts]


def residual_step(layer: Any) -> Tensor | None:
    """Return the residual step of a layer, or None; in files of earlier versions the attribute may be absent."""
    return getattr(layer, "step", None)


def whole_vectors(values: Tensor) -> Tensor:
    """Pad rows with zeros to whole vectors of the kernels."""
    return torch.nn.functional.pad(values, (0, -values.shape[-1] % (VECTOR_BYTES // values.element_size())))


def activation_number(module: Any) -> tuple[int, float]:
    """Return the number of an activation, and the threshold of SiLUT (else 0)."""
    name = class_name(module)
    if name == "GELU" and module.approximate == "tanh":
        name = "GELU of tanh"
    return ACTIVATIONS.index(name), float(getattr(module, "threshold", 0.0)) if name == "SiLUT" else 0.0
