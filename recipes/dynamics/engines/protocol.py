"""The interface of engines: they make steps, are sampled, and can be stopped and continued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import DPSimError


class UnstableError(DPSimError):
    """Positions or energies became non-finite."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the engine holds constant.

    Attributes
    ----------
    timestep_fs
        Time step (fs).
    temperature_K
        Temperature of the thermostat (K); None: constant energy.
    pressure_bar
        Pressure of the barostat (bar); None: constant volume.
    friction_per_ps
        Friction of the Langevin thermostat (1/ps).
    start_temperature_K
        At constant energy: draw the velocities at this temperature (K). None: keep those of the structure.
    seed
        Seed of the velocities and of every random force.
    """

    timestep_fs: float
    temperature_K: float | None = None
    pressure_bar: float | None = None
    friction_per_ps: float = 5.0
    start_temperature_K: float | None = None
    seed: int = 0


class Sample(NamedTuple):
    """One instant, at a whole step.

    Attributes
    ----------
    potential_eV, kinetic_eV
        Energies of the whole system (eV).
    volume_A3
        Volume (Å³); None unless periodic along all three axes.
    pressure_bar
        Instantaneous pressure, kinetic part included (bar); None without a volume or without a stress.
    """

    potential_eV: float
    kinetic_eV: float
    volume_A3: float | None
    pressure_bar: float | None


#: All that an engine needs to continue: plain arrays, saved without pickle.
State = dict[str, NDArray[np.generic]]


class Engine(Protocol):
    """A program that moves atoms.

    Attributes
    ----------
    options
        Settings that only this engine has, of those in `settings.DynamicsSettings`; others are refused.
    degrees_of_freedom
        Momenta that move: the number behind the kinetic temperature.
    """

    options: ClassVar[frozenset[str]]
    degrees_of_freedom: int

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Refuse (InputError) a structure or calculator that the engine cannot run."""

    @classmethod
    def make(cls, atoms: Atoms, calculator: Any, conditions: Conditions, **options: Any) -> Self:
        """Set up the engine for a copy of `atoms`; `options` are those of its own, None where not given."""

    @classmethod
    def write_trajectories(cls, frames: Path, path: Callable[[str], Path | None], frame_ps: float) -> None:
        """Write the frames of an extended XYZ file (`frame_ps` apart) in the forms that the engine's users expect.

        `path(name)` says where the file `name` of the run goes.
        """

    @classmethod
    def biased_volumes(cls, volume_A3: NDArray[np.float64]) -> str:
        """Say why the barostat does not sample volumes that fluctuate like these (S,), Angstrom^3; empty if it does."""

    def run(self, steps: int) -> None:
        """Advance by whole steps; raises UnstableError when positions or energies become non-finite."""

    def sample(self) -> Sample:
        """Return energies, volume and pressure now."""

    def structure(self) -> Atoms:
        """Return a copy of the structure now, with momenta and without a calculator."""

    def state(self) -> State:
        """Return everything needed to continue."""

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments."""
