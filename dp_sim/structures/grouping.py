"""Structures one by one, named for messages, and in groups of a size that is evaluated at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dp_sim.structures.checks import Structure

#: Atoms of a group; larger ones take memory and gain nothing.
ATOMS_AT_ONCE = 1024


def as_iterable(given: Any) -> Iterable[Structure]:
    """Put a single structure into a list; also anything else that is no group, which the checks then refuse by name."""
    is_group = isinstance(given, Iterable) and not isinstance(given, str) and not hasattr(given, "positions")
    return given if is_group else [given]


def default_names(count: int) -> list[str]:
    """Name so many structures for messages."""
    return ["structure"] if count == 1 else [f"structure {i}" for i in range(count)]


def groups(named: Iterable[tuple[Structure, str]]) -> Iterator[list[tuple[Structure, str]]]:
    """Group structures and their names, in order: at most ATOMS_AT_ONCE a group, or one structure."""
    group: list[tuple[Structure, str]] = []
    atoms = 0
    for structure, name in named:
        size = len(getattr(structure, "numbers", ()))  # what has no numbers is refused when its group is prepared
        if group and atoms + size > ATOMS_AT_ONCE:
            yield group
            group, atoms = [], 0
        group.append((structure, name))
        atoms += size
    if group:
        yield group
