"""The interface of engines: they make steps, are sampled, and can be stopped and continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import DPSimError


class UnstableError(DPSimError):
    """Positions or energies became non-finite."""


class Ramp(NamedTuple):
    """The end of a ramp, to which temperature and pressure go linearly.

    Attributes
    ----------
    temperature_K, pressure_bar
        At the last step; None as in the conditions at the first one.
    steps
        Steps between the two.
    """

    temperature_K: float | None
    pressure_bar: float | None
    steps: int


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
    thermostat
        One of `ensembles.THERMOSTATS`.
    friction_per_ps
        Friction of the Langevin thermostat (1/ps).
    thermostat_time_fs
        Time constant of the other thermostats (fs). Bussi: of the exponential decay of the kinetic energy's deviations;
        Nose-Hoover: tau in the masses of the chain, Q_1 = N_f k_B T tau^2 and Q_j = k_B T tau^2.
    cell_change
        One of `ensembles.CELL_CHANGES`; counts at constant pressure only.
    start_temperature_K
        At constant energy: draw the velocities at this temperature (K). None: keep those of the structure.
    seed
        Seed of the velocities and of every random force.
    keeps_momenta
        Whether the structure comes from a stage before, and goes on with its momenta.
    ramp
        Where temperature and pressure go from those at the first step; None: they stay.
    """

    timestep_fs: float
    temperature_K: float | None = None
    pressure_bar: float | None = None
    thermostat: str = "langevin"
    friction_per_ps: float = 5.0
    thermostat_time_fs: float = 100.0
    cell_change: str = "isotropic"
    start_temperature_K: float | None = None
    seed: int = 0
    keeps_momenta: bool = False
    ramp: Ramp | None = None

    @property
    def relaxation_fs(self) -> float:
        """Time in which the thermostat brings the kinetic energy back to its mean (fs)."""
        return 1000.0 / self.friction_per_ps if self.thermostat == "langevin" else self.thermostat_time_fs

    @property
    def changes_shape(self) -> bool:
        """Whether the cell may change its shape."""
        return self.pressure_bar is not None and self.cell_change != "isotropic"

    def at(self, step: int) -> Conditions:
        """Return the conditions of a ramp at a step."""
        if self.ramp is None:
            return self
        share = min(step / self.ramp.steps, 1.0)
        return replace(
            self,
            temperature_K=_between(self.temperature_K, self.ramp.temperature_K, share),
            pressure_bar=_between(self.pressure_bar, self.ramp.pressure_bar, share),
        )


def _between(start: float | None, end: float | None, share: float) -> float | None:
    return None if start is None or end is None else start + share * (end - start)


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
    pressure_tensor_bar
        (6,) its tensor, kinetic part included (bar), in the order xx, yy, zz, yz, xz, xy; None without a stress.
    cell_A
        (3, 3) lattice vectors a, b, c in rows (Å); None unless the shape of the cell may change.
    conserved_eV
        What the equations of motion conserve (eV): the total energy, less what thermostat and barostat have given; None
        where the engine does not sum that up. It drifts where the time step is too long.
    kinetic_pressure_bar
        The pressure's kinetic part (bar), where it is not two thirds of the kinetic energy over the volume: with rigid
        bonds it is that of the centres of their groups. None elsewhere.
    members_eV
        (K,) potential energies by each member of a committee (eV), where they came with the evaluation; else None.
    members_bar
        (K,) pressures by each member (bar), where `members_eV` and a pressure are; else None.
    """

    potential_eV: float
    kinetic_eV: float
    volume_A3: float | None
    pressure_bar: float | None
    pressure_tensor_bar: NDArray[np.float64] | None = None
    cell_A: NDArray[np.float64] | None = None
    conserved_eV: float | None = None
    kinetic_pressure_bar: float | None = None
    members_eV: NDArray[np.float64] | None = None
    members_bar: NDArray[np.float64] | None = None


#: All that an engine needs to continue: plain arrays, saved without pickle.
State = dict[str, NDArray[np.generic]]


class Engine(Protocol):
    """A program that moves atoms.

    Attributes
    ----------
    options
        Settings that only this engine has, of those in `settings.DynamicsSettings`; others are refused.
    ensembles
        Each thermostat that the engine has -> the changes of the cell that it has with it at constant pressure; none:
        at constant volume only. Names as in `ensembles.py`.
    forms
        Forms of the trajectory that its users expect, asked for or not (`frame_formats/writing.py`).
    degrees_of_freedom
        Momenta that move: the number behind the kinetic temperature.
    notes
        What of the ensemble this system is not sampled in, as sentences for the user; usually none.
    """

    options: ClassVar[frozenset[str]]
    ensembles: ClassVar[Mapping[str, tuple[str, ...]]]
    forms: ClassVar[tuple[str, ...]]
    degrees_of_freedom: int
    notes: tuple[str, ...]

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Refuse a structure or calculator that the engine cannot run, before anything is written.

        Raises
        ------
        InputError
            Names what it is, and another engine or calculator.
        """

    @classmethod
    def make(cls, atoms: Atoms, calculator: Any, conditions: Conditions, **options: Any) -> Self:
        """Set up the engine.

        Parameters
        ----------
        atoms
            The structure, of which the engine makes a copy.
        calculator
            An ASE calculator that `check` has accepted.
        conditions
            What is held constant.
        **options
            The settings in `options`; None where they were not given.

        Raises
        ------
        InputError
            The engine cannot hold these conditions for this structure, or an option is wrong.
        """

    def retarget(self, conditions: Conditions) -> None:
        """Go on under the temperature and pressure of a ramp at this step, all else being as it was made.

        The loop calls it in stairs; an engine whose program follows `conditions.ramp` itself has nothing to do.
        """

    def run(self, steps: int) -> None:
        """Advance by whole steps.

        Raises
        ------
        UnstableError
            Positions or energies became non-finite. Exceptions of the calculator pass as they are: `is_failure` of
            `inputs.failed_evaluations` tells them from mistakes in a program.
        """

    def sample(self) -> Sample:
        """Compute energies, volume and pressure now.

        Raises
        ------
        UnstableError
            One of them is non-finite.
        """

    def structure(self) -> Atoms:
        """Return a copy of the structure now, with momenta and without a calculator."""

    def state(self) -> State:
        """Return everything needed to continue from here."""

    def restore(self, state: State) -> None:
        """Continue from a state of an engine that was made with the same arguments.

        Raises
        ------
        InputError
            The state is of another version or platform of the engine's program.
        """
