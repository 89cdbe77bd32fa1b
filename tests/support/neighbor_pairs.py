"""Neighbour lists in a form that compares."""

import torch


def pairs_of(fields: tuple[torch.Tensor, ...]) -> list[tuple[int, ...]]:
    center, neighbor, shift = fields
    return sorted(
        (i, j, *map(int, s)) for i, j, s in zip(center.tolist(), neighbor.tolist(), shift.tolist(), strict=True)
    )
