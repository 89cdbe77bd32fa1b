"""Warning about more neighbours than an imported model was made for: its numbers then differ from DeePMD-kit's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dp_sim.structures.batch import AtomicBatch, NeighborList


def warn_if_crowded(
    config: Mapping[str, Any], batch: AtomicBatch, pairs: NeighborList, symbols: Sequence[str], names: Sequence[str]
) -> None:
    """Warn where an atom has more neighbours than DeePMD-kit's `sel` allows.

    DeePMD-kit leaves out the farthest of them, so its energy jumps when two neighbours exchange their order. dp-sim
    keeps all.

    Parameters
    ----------
    config
        Settings of the model; those of models that were not imported have no `sel`.
    batch, pairs
        Structures and their neighbours.
    symbols
        Species of the model.
    names
        What the warning calls each structure.
    """
    parts = [part for part in config.get("parts", ()) if part["cutoff"] == config["cutoff"]]
    if not parts or len(pairs.center) == 0:
        return
    keys = pairs.center * len(symbols) + batch.species[pairs.neighbor]
    counts = torch.bincount(keys, minlength=len(batch.species) * len(symbols)).view(-1, len(symbols))
    counts = torch.cat([counts, counts.sum(dim=1, keepdim=True)], dim=1)
    systems = batch.system[:, None].expand_as(counts)
    most = counts.new_zeros(len(batch.cell), len(symbols) + 1).scatter_reduce(0, systems, counts, "amax")
    for name, of_structure in zip(names, most.tolist(), strict=True):
        crowded = [
            (count, what, limit)
            for part in parts
            for count, what, limit in _counts_and_limits(part, of_structure, symbols)
            if count > limit
        ]
        if crowded:
            count, what, limit = crowded[0]
            warnings.warn(
                f"{name}: an atom has {count} neighbours{what}, and this model was made for at most {limit} (sel): "
                f"dp-sim counts all of them, DeePMD-kit drops the farthest, so their numbers differ here",
                stacklevel=4,
            )


def _counts_and_limits(
    part: Mapping[str, Any], of_structure: Sequence[int], symbols: Sequence[str]
) -> list[tuple[int, str, int]]:
    """Pair the largest count of neighbours with its `sel`: for each species, or for all together (the last count)."""
    if part.get("shared_sel", False):
        return [(of_structure[-1], "", part["sel"][0])]
    return [
        (count, f" {symbol}", limit)
        for count, symbol, limit in zip(of_structure[:-1], symbols, part["sel"], strict=True)
    ]
