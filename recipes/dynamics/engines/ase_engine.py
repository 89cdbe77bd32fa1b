"""Dynamics in ASE, for any ASE calculator.

Thermostat and barostat are `LangevinBAOAB` (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013); with a
cell, D. Quigley and M. I. J. Probert, J. Chem. Phys. 120, 11432 (2004)), because the recipes live on fluctuations:

- its averages over positions are exact for harmonic systems and second order, with a small prefactor, for others;
- it is ergodic where Nose-Hoover chains are not: a few stiff vibrations, a small molecule, a dilute gas;
- it drives all 3N momenta, so the degrees of freedom need no correction; Nose-Hoover chains in ASE count 3N too, but
  conserve the centre of mass's momentum, which leaves a system of N atoms hotter by N/(N-1).

Its restart is exact: the random generator, the barostat's momentum and its last force are part of the state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Sample, State, UnstableError
from dp_sim.recipes.dynamics.engines.velocities import start_velocities
from dp_sim.recipes.inputs.structures import evaluate_once
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Time constant of the barostat (fs): its friction, and through `_barostat_mass` the period of the cell's breathing.
BAROSTAT_TIME_FS = 500.0


class ASEEngine:
    """Dynamics of `atoms` (copied) under `calculator`: Langevin BAOAB, or velocity Verlet at constant energy."""

    options: ClassVar[frozenset[str]] = frozenset()
    ensembles: ClassVar[Mapping[str, tuple[str, ...]]] = {"langevin": ("isotropic",)}

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Accept every structure and calculator; whether the stress is there is seen when it is asked for."""

    @classmethod
    def make(cls, atoms: Atoms, calculator: Any, conditions: Conditions) -> ASEEngine:
        """Set up the engine."""
        return cls(atoms, calculator, conditions)

    @classmethod
    def write_trajectories(cls, frames: Path, path: Callable[[str], Path | None], frame_ps: float) -> None:
        """Write nothing more: the frames are in ASE's form already."""

    @classmethod
    def biased_volumes(cls, volume_A3: NDArray[np.float64]) -> str:
        """Find no volumes that the Langevin piston does not sample."""
        return ""

    def __init__(self, atoms: Atoms, calculator: Any, conditions: Conditions) -> None:
        self._atoms = atoms.copy()
        self._atoms.calc = calculator
        self._conditions = conditions
        self._bulk = bool(atoms.pbc.all())
        evaluate_once(self._atoms)
        self._gives_stress = self._bulk and self._has_stress()
        if conditions.pressure_bar is not None and not self._gives_stress:
            raise InputError(
                "stress-missing",
                "constant pressure in ASE needs the stress, which the calculator "
                f"{type(calculator).__name__} does not give; use another one, or engine='openmm' with a dp-sim model",
            )
        self._rng = np.random.default_rng(conditions.seed)
        self.degrees_of_freedom = start_velocities(self._atoms, conditions, self._rng)
        self._dynamics = self._make_dynamics()

    def _has_stress(self) -> bool:
        try:
            self._atoms.get_stress()
        except (PropertyNotImplementedError, NotImplementedError):
            return False
        return True

    def _make_dynamics(self) -> LangevinBAOAB | VelocityVerlet:
        conditions = self._conditions
        timestep = conditions.timestep_fs * units.fs
        if conditions.temperature_K is None:
            return VelocityVerlet(self._atoms, timestep)
        cell: dict[str, Any] = {}
        if conditions.pressure_bar is not None:
            cell = {
                "externalstress": -conditions.pressure_bar / EV_PER_A3_IN_BAR,
                "hydrostatic": True,
                "P_tau": BAROSTAT_TIME_FS * units.fs,
                "P_mass": _barostat_mass(len(self._atoms), conditions.temperature_K),
            }
        return LangevinBAOAB(
            self._atoms,
            timestep,
            temperature_K=conditions.temperature_K,
            T_tau=1000.0 * units.fs / conditions.friction_per_ps,
            rng=self._rng,
            **cell,
        )

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

    def sample(self) -> Sample:
        """Return energies, volume, pressure and cell now."""
        atoms = self._atoms
        pressure = tensor = None
        if self._gives_stress:
            tensor = -atoms.get_stress(include_ideal_gas=True) * EV_PER_A3_IN_BAR
            pressure = float(tensor[:3].mean())
        return Sample(
            float(atoms.get_potential_energy()),
            float(atoms.get_kinetic_energy()),
            float(atoms.get_volume()) if self._bulk else None,
            pressure,
            tensor,
            atoms.cell.array.copy() if self._conditions.changes_shape else None,
        )

    def structure(self) -> Atoms:
        """Return a copy of the structure now."""
        return self._atoms.copy()

    def state(self) -> State:
        """Return positions, momenta, cell, random generator and barostat."""
        state: State = {
            "positions": self._atoms.get_positions(),
            "momenta": self._atoms.get_momenta(),
            "cell": self._atoms.cell.array.copy(),
            "random": np.array(json.dumps(self._rng.bit_generator.state)),
        }
        if self._conditions.pressure_bar is not None:
            state["barostat"] = np.array([self._dynamics.p_eps, self._dynamics.force_eps])
        return state

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments."""
        self._atoms.set_cell(state["cell"])
        self._atoms.set_positions(state["positions"], apply_constraint=False)
        self._atoms.set_momenta(state["momenta"], apply_constraint=False)
        self._rng.bit_generator.state = json.loads(str(state["random"]))
        self._dynamics = self._make_dynamics()
        if self._conditions.pressure_bar is not None:
            # The next half step uses the cell force of the last one, computed before the momenta's last half step.
            self._dynamics.p_eps, self._dynamics.force_eps = (float(number) for number in state["barostat"])


def _barostat_mass(atoms: int, temperature_K: float) -> float:
    """Return W = 3 N k_B T tau^2 (form of Quigley and Probert 2004, eq. 17), in eV times ASE's time unit squared.

    The cell then breathes with a period of about 2 pi tau sqrt(N k_B T / 3 B V): 0.8 ps in water, 0.1 ps in a metal.
    A crystal near 0 K would breathe faster than the time step resolves, so the temperature counts as at least 300 K;
    averages do not depend on W.
    """
    return 3 * atoms * KB_EV_PER_K * max(temperature_K, 300.0) * (BAROSTAT_TIME_FS * units.fs) ** 2
