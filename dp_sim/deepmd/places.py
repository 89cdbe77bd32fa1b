"""More neighbours than an imported model was made for: said once, because numbers then differ from DeePMD-kit's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dp_sim.batch import NeighborList


def warn_if_crowded(
    config: Mapping[str, Any], pairs: NeighborList, species: torch.Tensor, symbols: Sequence[str], name: str
) -> None:
    """Warn where an atom has more neighbours of a species than DeePMD-kit's `sel` has places.

    DeePMD-kit leaves out the farthest of them, so its energy jumps as neighbours change places; dp-sim keeps all.
    """
    parts = [part for part in config.get("parts", ()) if part["cutoff"] == config["cutoff"]]
    if not parts or len(pairs.center) == 0:
        return
    n_species = len(symbols)
    keys = pairs.center * n_species + species[pairs.neighbor]
    most = torch.bincount(keys, minlength=len(species) * n_species).view(-1, n_species).amax(0).tolist()
    for part in parts:
        for symbol, found, places in zip(symbols, most, part["places"], strict=True):
            if found > places:
                warnings.warn(
                    f"{name}: an atom has {found} neighbours {symbol}, and this model was made for at most {places} "
                    f"(sel): dp-sim counts all of them, DeePMD-kit drops the farthest, so their numbers differ here",
                    stacklevel=4,
                )
                return
