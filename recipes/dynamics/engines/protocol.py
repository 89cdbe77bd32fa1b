"""What an MD engine is to the recipes: something that steps, is sampled, and can be stopped and taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import DPSimError


class UnstableError(DPSimError):
    """The motion has left the numbers: a position or an energy is no longer finite."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the engine holds constant.

    timestep_fs       time step (fs) temperature_K     temperature of the thermostat (K); None = constant energy
    pressure_bar      pressure of the barostat (bar); None = constant volume friction_per_ps   friction of the
    Langevin thermostat (1/ps) start_temperature_K   at constant energy: draw the velocities at this temperature (K);
    None = keep those of the structure seed              of the velocities and of every random force
    """

    timestep_fs: float
    temperature_K: float | None = None
    pressure_bar: float | None = None
    friction_per_ps: float = 5.0
    start_temperature_K: float | None = None
    seed: int = 0


class Sample(NamedTuple):
    """One instant, at a whole step.

    potential_eV, kinetic_eV   energies of the whole system (eV) volume_A3                  volume (Angstrom^3); None
    unless periodic along all three axes pressure_bar               instantaneous pressure, kinetic part included
    (bar); None without volume or without stress
    """

    potential_eV: float
    kinetic_eV: float
    volume_A3: float | None
    pressure_bar: float | None


#: All that an engine needs to continue: plain arrays, saved without pickle.
State = dict[str, NDArray[np.generic]]


class Engine(Protocol):
    """An MD engine. `degrees_of_freedom` counts the momenta that move: the number behind the kinetic temperature."""

    degrees_of_freedom: int

    def run(self, steps: int) -> None:
        """Advance by whole steps. Raises UnstableError when positions or energies cease to be finite."""

    def sample(self) -> Sample:
        """Energies, volume and pressure now."""

    def structure(self) -> Atoms:
        """A copy of the structure now, with momenta and without a calculator."""

    def state(self) -> State:
        """Everything needed to continue."""

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments."""
