"""The memory that a run takes, compared with what is free before it starts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dp_sim.errors import InputError

#: Share of the memory that is free which a run may take.
SHARE = 0.8


def check_memory(needed: float, what: str, advice: str) -> None:
    """Check that something fits into the memory that is free.

    Parameters
    ----------
    needed
        Bytes.
    what
        What takes them, as the beginning of a sentence: "a supercell of 4,000 atoms".
    advice
        What to do where it does not fit.

    Raises
    ------
    InputError
        `memory-too-small`.
    """
    free = free_memory()
    if needed > SHARE * free:
        raise InputError(
            "memory-too-small",
            f"{what} takes some {needed / 1e9:.2g} GB, and {free / 1e9:.2g} GB are free here; {advice}",
        )


def free_memory() -> float:
    """Return the bytes that programs can still have: what Linux says, else the memory of the machine."""
    try:
        line = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    except OSError:
        line = None
    return float(line[1]) * 1024 if line else float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
