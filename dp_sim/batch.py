"""The containers that pass between the parts of the core; every field has a shape and a unit.

Axis letters, used everywhere: N atoms, P pairs, S systems (frames), T species, M1/M2 embedding widths.

Sign rules, stated here and quoted elsewhere:

* pair vector   r_ij = r_j - r_i + shift @ cell, i the centre, j the neighbour; rows of `cell` are the lattice vectors
* force         F_i = -dE/dr_i
* virial        W = -dE/d(strain) = sum over pairs of r_ij (x) f_ij, 3x3, eV, positive pushes outwards; ASE's stress
                is -W/V
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.errors import InputError, nearest_name
from dp_sim.structure import check_numbers


class AtomicBatch(NamedTuple):
    """One or several systems, their atoms one after another."""

    positions: Tensor  # (N, 3) Angstrom
    species: Tensor  # (N,) int64, index into the model's species
    cell: Tensor  # (S, 3, 3) Angstrom, rows are lattice vectors; zero along axes that are not periodic
    system: Tensor  # (N,) int64, which system an atom belongs to


class NeighborList(NamedTuple):
    """Every pair within the cutoff, both ways round, sorted by centre; images of an atom are pairs of their own."""

    center: Tensor  # (P,) int64, i
    neighbor: Tensor  # (P,) int64, j
    shift: Tensor  # (P, 3) whole numbers of lattice vectors, in the dtype of the positions


class ModelOutput(NamedTuple):
    """What a model says of a batch; the standard deviations are those of a committee."""

    energy: Tensor  # (S,) eV, float64
    atomic_energies: Tensor  # (N,) eV, float64
    forces: Tensor | None = None  # (N, 3) eV/Angstrom
    virial: Tensor | None = None  # (S, 3, 3) eV
    energy_std: Tensor | None = None  # (S,) eV
    forces_std: Tensor | None = None  # (N, 3) eV/Angstrom, per component


#: Fields of ModelOutput with one row an atom; the others have one a system.
PER_ATOM = ("atomic_energies", "forces", "forces_std")


def separate(output: ModelOutput, sizes: Sequence[int]) -> list[ModelOutput]:
    """What a model says of a batch -> of each of its systems, which have `sizes` atoms."""
    columns = [
        [None] * len(sizes) if values is None else values.split(list(sizes) if field in PER_ATOM else 1)
        for field, values in zip(ModelOutput._fields, output, strict=True)
    ]
    return [ModelOutput(*row) for row in zip(*columns, strict=True)]


def species_index(numbers: Any, known: tuple[str, ...], name: str = "structure") -> Tensor:
    """Atomic numbers (N,) -> index into `known` (N,) int64.

    Raises
    ------
    InputError
        An element that the model was not trained on.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    check_numbers(numbers, name)
    index = _species_table(known)[numbers]
    if (index < 0).any():
        from ase.data import chemical_symbols

        unknown = sorted({chemical_symbols[n] for n in numbers[index < 0]})
        raise InputError(
            f"{name}: the model does not know {', '.join(unknown)}, it was trained on {', '.join(known)}; "
            f"use a model trained on all elements of the structure"
        )
    return torch.from_numpy(index)


@functools.cache
def _species_table(known: tuple[str, ...]) -> np.ndarray:
    """Atomic number -> index into `known`, -1 for the others."""
    from ase.data import atomic_numbers, chemical_symbols

    table = np.full(len(chemical_symbols), -1, dtype=np.int64)
    table[[atomic_numbers[symbol] for symbol in known]] = np.arange(len(known))
    return table


def choose(name: str, value: str, known: tuple[str, ...]) -> str:
    """`value` if it is one of `known`, else an InputError that names the nearest."""
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}; got '{value}'{nearest_name(value, known)}")
    return value


def usable_device(name: str | torch.device) -> torch.device:
    """The torch device of that name, or an InputError where it does not exist here."""
    try:
        probe = torch.zeros(1, device=torch.device(name))
        probe.cpu()  # the device "meta" makes tensors, but holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition(". ")[0].splitlines()[0]
        kind = str(name).partition(":")[0]
        meant = "; did you mean 'cuda'?" if kind.lower() == "gpu" else nearest_name(kind, ("cpu", "cuda"))
        raise InputError(f"device '{name}' cannot be used here ({reason}); try cpu{meant}") from None
    return probe.device
