"""The filters that embedding nets have learnt over the density of neighbours (Zhang et al., NeurIPS 2018, fig. 1c)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model, eager_model
from dp_sim.recipes.results.figures import COLOURS, style_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Filters drawn in a panel, as in the paper: 4 axis filters, 6 coordinate filters.
AXIS_FILTERS, COORDINATE_FILTERS = 4, 6
#: Pairs of species drawn; more would not fit on a page.
MOST_PAIRS = 6


def filter_values(model: Model, distances: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate the filters s(r) G(s(r)) of every pair of species.

    Parameters
    ----------
    model
        A trained model.
    distances
        (R,) Angstrom.

    Returns
    -------
    dict
        `centre-neighbour` -> (R, M1).

    Raises
    ------
    InputError
        The model's descriptor has no embedding nets.
    """
    descriptor = eager_model(model).descriptor
    if not isinstance(descriptor, SmoothDescriptor):
        raise InputError(
            "filters-unsupported",
            "filters are drawn of the embedding nets of the descriptors deeppot-se and radial, not of imported models "
            "with a mean, of local frames, or of compressed models; draw those of the model it was compressed from",
        )
    species = model.metadata.species
    r = torch.as_tensor(distances, dtype=descriptor.environment.mean.dtype)
    values = {}
    with torch.no_grad():
        s = descriptor.environment.switch(r)
        for (i, center), (j, neighbor) in product(enumerate(species), repeat=2):
            index = int(descriptor.embedding.net_index(torch.tensor(i), torch.tensor(j)))
            embedded = descriptor.embedding.nets[index](descriptor.environment.net_input(s, torch.full(s.shape, i)))
            values[f"{center}-{neighbor}"] = (s[:, None] * embedded).numpy()
    return values


def filters_figure(model: Model) -> Figure:
    """Plot the density of neighbours in the training data and the filters against r, for each pair of species.

    Raises
    ------
    InputError
        From `filter_values`.
    """
    from matplotlib.figure import Figure

    metadata = model.metadata
    density = metadata.training.get("radial_distribution")
    nearest = 0.5
    if density is not None:
        present = np.array([values for name, values in density.items() if name != "r"]).sum(axis=0) > 0
        nearest = float(np.array(density["r"])[present].min()) if present.any() else nearest
    distances = np.linspace(0.95 * nearest, metadata.cutoff, 300)
    values = filter_values(model, distances)
    pairs = [name for name in values if density is None or name in density][:MOST_PAIRS]
    figure = Figure(figsize=(9.0, 2.2 * len(pairs)), dpi=120, layout="constrained")
    grid = figure.subplots(len(pairs), 3, squeeze=False, sharex=True)
    for row, pair in zip(grid, pairs, strict=True):
        if density is not None:
            row[0].fill_between(density["r"], density[pair], color=COLOURS[0], alpha=0.4)
        row[1].plot(distances, values[pair][:, :AXIS_FILTERS])
        row[2].plot(distances, values[pair][:, -COORDINATE_FILTERS:])
        for panel, label in zip(
            row, (f"{pair} neighbours (Å⁻³)", "axis filters s·G²", "coordinate filters s·G¹"), strict=True
        ):
            style_axes(panel, "", label)
            panel.axhline(0, color="gray", lw=0.6)
    for panel in grid[-1]:
        panel.set_xlabel("r (Å)")
    return figure
