"""Where numbers come from: the command and the versions of the packages behind them. Cheap to import."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

#: The command line as typed; empty when a recipe is called from Python. The command line sets it.
COMMAND: ContextVar[str] = ContextVar("command", default="")

#: Called with the directory of a run once that is its own. The command line sets it, to say where files go.
ON_START: ContextVar[Callable[[Path], object]] = ContextVar("on_start", default=lambda directory: None)

#: Modules whose version is recorded once a process has loaded them.
_MODULES = ("numpy", "ase", "torch", "vesin_torch", "openmm", "openmmtorch", "tblite")


def package_versions() -> dict[str, str]:
    """Return the versions of dp-sim, Python and each loaded package that numbers may depend on."""
    from importlib import metadata  # noqa: PLC0415 - half of what importing this module would take

    versions = {"dp_sim": metadata.version("dp-sim"), "python": sys.version.split()[0]}
    for module in _MODULES:
        if module in sys.modules:
            versions[module] = metadata.version(module.replace("_", "-"))
    return versions
