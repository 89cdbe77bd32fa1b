"""A model packed into four arrays, as the compiled library reads it (kernels/arrays.h)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dp_sim.compiled.fitting_layout import FittingLayout
from dp_sim.compiled.library import LAYOUT_VERSION, fitting_fields, part_fields
from dp_sim.compiled.part_layout import PartLayout


class PackedModel(NamedTuple):
    """All fields of all parts and of the fitting nets, concatenated.

    Attributes
    ----------
    sizes
        int64: version, number of species, number of parts, then the number of values of each field.
    integers
        int64.
    doubles
        float64.
    numbers
        In the precision of the model.
    """

    sizes: Tensor
    integers: Tensor
    doubles: Tensor
    numbers: Tensor


def pack(parts: Sequence[PartLayout], fitting: FittingLayout) -> PackedModel:
    """Pack the parts of a descriptor, in the order of their features, and the fitting nets that take these features."""
    listed = [(field, values[field.name]) for values in (part.fields() for part in parts) for field in part_fields()]
    listed += [(field, getattr(fitting, field.name)) for field in fitting_fields()]
    dtypes = {"integers": torch.int64, "doubles": torch.float64, "numbers": fitting.values.dtype}
    fields = [(field.stream, _flat(values, dtypes[field.stream])) for field, values in listed]
    sizes = [LAYOUT_VERSION, len(fitting.bias), len(parts), *(len(values) for _, values in fields)]
    streams = {name: torch.cat([values for stream, values in fields if stream == name]) for name in dtypes}
    return PackedModel(torch.tensor(sizes), **streams)


def _flat(values: Any, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(values, dtype=dtype).detach().flatten()
