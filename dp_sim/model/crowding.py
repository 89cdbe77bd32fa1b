"""More neighbours than an imported model was made for: said once, because numbers then differ from DeePMD-kit's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dp_sim.structures.batch import AtomicBatch, NeighborList


def warn_if_crowded(
    config: Mapping[str, Any], batch: AtomicBatch, pairs: NeighborList, symbols: Sequence[str], names: Sequence[str]
) -> None:
    """Warn where an atom has more neighbours of a species than DeePMD-kit's `sel` has places.

    DeePMD-kit leaves out the farthest of them, so its energy jumps as neighbours change places; dp-sim keeps all.
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
            (found, what, places)
            for part in parts
            for found, what, places in _against_places(part, of_structure, symbols)
            if found > places
        ]
        if crowded:
            found, what, places = crowded[0]
            warnings.warn(
                f"{name}: an atom has {found} neighbours{what}, and this model was made for at most {places} (sel): "
                f"dp-sim counts all of them, DeePMD-kit drops the farthest, so their numbers differ here",
                stacklevel=4,
            )


def _against_places(
    part: Mapping[str, Any], of_structure: Sequence[int], symbols: Sequence[str]
) -> list[tuple[int, str, int]]:
    """Most neighbours of each species, or of all together (the last of them), and the places for them."""
    if part.get("shared_places", False):
        return [(of_structure[-1], "", part["places"][0])]
    return [
        (found, f" {symbol}", places)
        for found, symbol, places in zip(of_structure[:-1], symbols, part["places"], strict=True)
    ]
