"""Dynamics in ASE, for any ASE calculator.

The default is `LangevinBAOAB` (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013); with a cell, D.
Quigley and M. I. J. Probert, J. Chem. Phys. 120, 11432 (2004)), because the recipes live on fluctuations:

- its averages over positions are exact for harmonic systems and second order, with a small prefactor, for others;
- it is ergodic where one factor for all momenta is not: stiff vibrations, a small molecule, a harmonic crystal;
- it drives all 3N momenta, those of the whole included.

Bussi's thermostat and Nose-Hoover chains (`ase_integrators.py`) multiply all momenta by one factor, so the motion of
the whole rests (`conserved_motions.py`) and does not count. Bussi's disturbs the dynamics least: the factor differs
from 1 by about (dt / tau N_f)^(1/2).

Restarts are exact: thermostat, barostat, the cell's last force and the random generator are part of the state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.ase_integrators import (
    Chain,
    ChainPiston,
    ConstantEnergy,
    Langevin,
    LangevinPiston,
    Rescaling,
)
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes, check_heights, upright
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Sample, State, UnstableError
from dp_sim.recipes.dynamics.engines.velocities import start_motion
from dp_sim.recipes.inputs.failed_evaluations import check_converged
from dp_sim.recipes.inputs.structures import evaluate_once
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Time constant of the barostat (fs) where none is given: its friction (Langevin) or the time of its chain, and through
#: `_barostat_mass` the period of the cell's breathing.
BAROSTAT_TIME_FS = 500.0


class ASEEngine:
    """Dynamics of `atoms` (copied) under `calculator`.

    Parameters
    ----------
    atoms, calculator, conditions
        As for `make`.
    barostat_time_fs
        Time constant of the barostat (fs).

    Raises
    ------
    InputError
        No stress for a barostat; a cell that the change of the cell does not fit; nothing for the thermostat to drive.
    """

    options: ClassVar[frozenset[str]] = frozenset({"barostat_time_fs"})
    ensembles: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "langevin": CELL_CHANGES,
        "bussi": (),
        "nose-hoover": CELL_CHANGES,
    }
    forms: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Accept every structure and calculator; whether the stress is there is seen when it is asked for."""

    @classmethod
    def make(
        cls, atoms: Atoms, calculator: Any, conditions: Conditions, *, barostat_time_fs: float | None = None
    ) -> ASEEngine:
        """Set up the engine."""
        return cls(atoms, calculator, conditions, barostat_time_fs or BAROSTAT_TIME_FS)

    def __init__(
        self, atoms: Atoms, calculator: Any, conditions: Conditions, barostat_time_fs: float = BAROSTAT_TIME_FS
    ) -> None:
        self._atoms = atoms.copy()
        self._atoms.calc = calculator
        self._conditions, self._barostat_time_fs = conditions, barostat_time_fs
        self._bulk = bool(atoms.pbc.all())
        self._start_cell = atoms.cell.array.copy()
        evaluate_once(self._atoms)
        self._gives_stress = self._bulk and self._has_stress()
        if conditions.pressure_bar is not None:
            self._modes = cell_modes(self._start_cell, conditions.cell_change)
            self._require_stress(calculator)
        self._rng = np.random.default_rng(conditions.seed)
        self.degrees_of_freedom, self.notes = start_motion(self._atoms, conditions, self._rng)
        self._dynamics = self._make_dynamics()

    def _require_stress(self, calculator: Any) -> None:
        if not self._gives_stress:
            raise InputError(
                "stress-missing",
                "constant pressure in ASE needs the stress, which the calculator "
                f"{type(calculator).__name__} does not give; use another one, or engine='openmm' with a dp-sim model",
            )

    def _has_stress(self) -> bool:
        try:
            self._atoms.get_stress()
        except (PropertyNotImplementedError, NotImplementedError):
            return False
        return True

    def _make_dynamics(self) -> ConstantEnergy | Langevin | LangevinPiston | Rescaling | Chain | ChainPiston:
        conditions, timestep = self._conditions, self._conditions.timestep_fs * units.fs
        if conditions.temperature_K is None:
            return ConstantEnergy(self._atoms, timestep)
        if conditions.thermostat == "langevin":
            return self._make_langevin(conditions.temperature_K, timestep)
        common: dict[str, Any] = {
            "temperature_K": conditions.temperature_K,
            "degrees_of_freedom": self.degrees_of_freedom,
        }
        time = conditions.thermostat_time_fs * units.fs
        if conditions.thermostat == "bussi":
            return Rescaling(self._atoms, timestep, taut=time, rng=self._rng, **common)
        if conditions.pressure_bar is None:
            return Chain(self._atoms, timestep, time=time, **common)
        return ChainPiston(
            self._atoms,
            timestep,
            pressure=conditions.pressure_bar / EV_PER_A3_IN_BAR,
            time=time,
            # The mass of `_barostat_mass`, which follows from a temperature of at least 300 K.
            barostat_time=self._barostat_time_fs
            * units.fs
            * (_mass_temperature(conditions.temperature_K) / conditions.temperature_K) ** 0.5,
            modes=self._modes,
            **common,
        )

    def _make_langevin(self, temperature_K: float, timestep: float) -> Langevin | LangevinPiston:
        conditions = self._conditions
        common: dict[str, Any] = {
            "temperature_K": temperature_K,
            "T_tau": 1000.0 * units.fs / conditions.friction_per_ps,
            "rng": self._rng,
        }
        if conditions.pressure_bar is None:
            return Langevin(self._atoms, timestep, **common)
        mass = _barostat_mass(len(self._atoms), temperature_K, self._barostat_time_fs)
        common |= {
            "externalstress": -conditions.pressure_bar / EV_PER_A3_IN_BAR,
            "P_tau": self._barostat_time_fs * units.fs,
        }
        if conditions.changes_shape:  # the mass per component of the tensor: W v^2 = (W / 3) trace(v I)^2
            return LangevinPiston(self._atoms, timestep, modes=self._modes, P_mass=mass / 3, **common)
        return Langevin(self._atoms, timestep, hydrostatic=True, P_mass=mass, **common)

    def retarget(self, conditions: Conditions) -> None:
        """Go on under another temperature or pressure; thermostat and barostat keep their state."""
        state = self.state()
        self._conditions = conditions
        self.restore(state)

    def run(self, steps: int) -> None:
        """Advance by whole steps; raises UnstableError when a position becomes non-finite."""
        try:
            self._dynamics.run(steps)
        except Exception as error:
            # A calculator given positions that are not finite fails in its own way; any other failure is the
            # calculator's.
            if np.isfinite(self._atoms.positions).all():
                raise
            raise UnstableError("motion-unstable", "a position became non-finite") from error
        if not np.isfinite(self._atoms.positions).all():
            raise UnstableError("motion-unstable", "a position became non-finite")
        check_converged(self._atoms.calc)
        if self._conditions.changes_shape:
            check_heights(self._atoms.cell.array, self._start_cell)

    def sample(self) -> Sample:
        """Return energies, volume, pressure and cell now."""
        atoms, turn = self._atoms, self._turn()
        pressure = tensor = members_bar = None
        potential = float(atoms.get_potential_energy())  # before its results are read: it may make them anew
        if self._gives_stress:
            full = -atoms.get_stress(voigt=False, include_ideal_gas=True) * EV_PER_A3_IN_BAR
            tensor = full_3x3_to_voigt_6_stress(turn.T @ full @ turn)
            pressure = float(np.trace(full)) / 3
            results = getattr(atoms.calc, "results", {})
            if "member_stresses" in results:
                apart = results["member_stresses"] - results["stress"]
                members_bar = pressure - apart[:, :3].mean(axis=1) * EV_PER_A3_IN_BAR
        return Sample(
            potential,
            float(atoms.get_kinetic_energy()),
            float(atoms.get_volume()) if self._bulk else None,
            pressure,
            tensor,
            atoms.cell.array @ turn if self._conditions.changes_shape else None,
            self._dynamics.conserved_eV(),
            members_eV=getattr(atoms.calc, "results", {}).get("member_energies"),
            members_bar=members_bar,
        )

    def _turn(self) -> NDArray[np.float64]:
        """Give the rotation in which positions, momenta and cell are shown; the motion itself goes on as it is."""
        return upright(self._atoms.cell.array, self._start_cell) if self._conditions.changes_shape else np.eye(3)

    def structure(self) -> Atoms:
        """Return a copy of the structure now; a cell whose shape changes is turned upright."""
        atoms = self._atoms.copy()
        if self._conditions.changes_shape:
            turn = self._turn()
            atoms.set_cell(atoms.cell.array @ turn)
            atoms.positions = atoms.positions @ turn
            atoms.set_momenta(atoms.get_momenta() @ turn)
        return atoms

    def state(self) -> State:
        """Return positions, momenta, cell, random generator, thermostat and barostat."""
        return {
            "positions": self._atoms.get_positions(),
            "momenta": self._atoms.get_momenta(),
            "cell": self._atoms.cell.array.copy(),
            "random": np.array(json.dumps(self._rng.bit_generator.state)),
            **self._dynamics.internal_state(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments."""
        self._atoms.set_cell(state["cell"])
        self._atoms.set_positions(state["positions"], apply_constraint=False)
        self._atoms.set_momenta(state["momenta"], apply_constraint=False)
        self._rng.bit_generator.state = json.loads(str(state["random"]))
        self._dynamics = self._make_dynamics()
        self._dynamics.set_internal_state(state)


def _mass_temperature(temperature_K: float) -> float:
    """Temperature in the barostat's mass: a crystal near 0 K would breathe faster than the time step resolves."""
    return max(temperature_K, 300.0)


def _barostat_mass(atoms: int, temperature_K: float, time_fs: float) -> float:
    """Return W = 3 N k_B T tau^2 (form of Quigley and Probert 2004, eq. 17), in eV times ASE's time unit squared.

    The cell then breathes with a period of about 2 pi tau sqrt(N k_B T / 3 B V): 0.8 ps in water, 0.1 ps in a metal.
    Averages do not depend on W.
    """
    return 3 * atoms * KB_EV_PER_K * _mass_temperature(temperature_K) * (time_fs * units.fs) ** 2
