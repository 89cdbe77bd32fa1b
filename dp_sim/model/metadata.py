"""The metadata of a model file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dp_sim.model.upgrade import STATE_VERSION


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says of itself. Lengths in Angstrom, energies in eV."""

    species: tuple[str, ...]
    cutoff: float
    dtype: str
    config: dict[str, Any]
    dp_sim_version: str
    torch_version: str
    training: dict[str, Any] = field(default_factory=dict)
    compression: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=lambda: {"length": "Angstrom", "energy": "eV"})
    sha256: str = ""
    version: int = STATE_VERSION
