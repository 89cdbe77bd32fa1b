"""Species: atomic numbers as indices into a model's species, elements of data, compositions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dp_sim.errors import InputError
from dp_sim.structures.checks import Structure, check_numbers


def species_index(numbers: Any, known: tuple[str, ...], name: str = "structure") -> Tensor:
    """Convert atomic numbers (N,) to indices (N,) int64 into the species of a model.

    Parameters
    ----------
    numbers
        Atomic numbers.
    known
        Chemical symbols of the model's species.
    name
        What messages call the structure.

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
            "species-unknown",
            f"{name}: the model does not know {', '.join(unknown)}, it was trained on {', '.join(known)}; "
            f"use a model trained on all elements of the structure",
        )
    return torch.from_numpy(index)


def check_trained(index: Tensor, species: Sequence[str], trained: Sequence[str], name: str = "structure") -> None:
    """Refuse elements that a model lists as species but was not trained on.

    Parameters
    ----------
    index
        (N,) int64 into `species`, of the atoms of a structure.
    species
        Elements that the model lists.
    trained
        Elements in its training data; for bound atoms, those that were bound there.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        Names the elements.
    """
    without = [symbol for symbol in (species[i] for i in torch.unique(index).tolist()) if symbol not in trained]
    if without:
        raise InputError(
            "species-untrained",
            f"{name}: the model lists {', '.join(without)} among its species and had no such training data, so that "
            f"its energies there mean nothing; train on structures that have {', '.join(without)}",
        )


@functools.cache
def _species_table(known: tuple[str, ...]) -> np.ndarray:
    """Make the table from atomic numbers to indices into `known`; -1 for other elements."""
    from ase.data import atomic_numbers, chemical_symbols

    table = np.full(len(chemical_symbols), -1, dtype=np.int64)
    table[[atomic_numbers[symbol] for symbol in known]] = np.arange(len(known))
    return table


def formula(numbers: np.ndarray) -> str:
    """Write a composition in Hill order, such as C2H6O."""
    return _hill(np.asarray(numbers, dtype=np.int64).tobytes())


@functools.lru_cache(maxsize=1024)
def _hill(content: bytes) -> str:
    """Compute `formula` from atomic numbers as int64 bytes, cached: there are thousands of frames of one system."""
    from ase.formula import Formula
    from ase.symbols import Symbols

    return str(Formula(Symbols(np.frombuffer(content, dtype=np.int64)).get_chemical_formula(), strict=True))


def find_species(structures: Sequence[Structure]) -> tuple[str, ...]:
    """List all elements of the structures, by atomic number."""
    from ase.data import chemical_symbols

    numbers = sorted({int(n) for structure in structures for n in np.unique(structure.numbers)})
    return tuple(chemical_symbols[n] for n in numbers)
