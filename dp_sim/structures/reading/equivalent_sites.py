"""Sites of a CIF file that symmetry maps onto each other: harmless for one element, a disordered crystal for two."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ase.io.cif import parse_cif

from dp_sim.errors import InputError

_EQUIVALENT = re.compile(r"scaled_positions (\d+) and (\d+) are equivalent")


@contextmanager
def equivalent_sites(file: Path, kind: str) -> Iterator[None]:
    """Refuse different elements on one site while ASE reads a CIF file inside this context.

    ASE keeps one of the two, and its warning gives their numbers without their elements. Sites of one element that are
    listed twice are one site: the warning about them is dropped. Other warnings pass.

    Parameters
    ----------
    file
        The file that is read.
    kind
        ASE's name of its format.

    Raises
    ------
    InputError
        `occupancy-partial`: names both elements.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        pair = _EQUIVALENT.search(str(warning.message))
        if pair is None or kind != "cif":
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            continue
        first, second = (_symbols(file)[int(number)] for number in pair.groups())
        if first != second:
            raise InputError(
                "occupancy-partial",
                f"{file} puts {first} and {second} on one site: a disordered crystal, of which one element would be "
                f"dropped; give an ordered structure, one element for each site",
            )


def _symbols(file: Path) -> list[str]:
    """Return the elements of the sites of the last block that has any."""
    blocks = [block for block in parse_cif(str(file)) if block.has_structure()]
    return list(blocks[-1].get_symbols())
