"""OpenMM's integrators: leap-frog, Langevin middle, Nose-Hoover chain; with the degrees of freedom counted right.

The Langevin middle scheme (Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019)) is BAOAB's close relative: the same
accuracy of positions, one force evaluation a step. The Nose-Hoover chain (three variables; Q_1 = N_f k_B T tau^2,
Q_j = k_B T tau^2, with 1 / tau OpenMM's collision frequency) multiplies all momenta by one factor, so what the forces
conserve rests and does not count (`conserved_motions.py`). OpenMM itself counts 3 N, or 3 N - 3 beside a
CMMotionRemover; what else rests, as the rotation of a free molecule, it has to be told.
"""

from __future__ import annotations

from typing import Any

from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.units import EV_IN_KJ_PER_MOL

#: Relative error of a rigid bond at which OpenMM's iteration ends.
CONSTRAINT_TOLERANCE = 1e-6


def make_integrator(mm: Any, conditions: Conditions) -> Any:
    """Make the integrator of these conditions."""
    integrator = _integrator(mm, conditions)
    integrator.setConstraintTolerance(CONSTRAINT_TOLERANCE)
    return integrator


def _integrator(mm: Any, conditions: Conditions) -> Any:
    timestep_ps = conditions.timestep_fs / 1000.0
    if conditions.temperature_K is None:
        return mm.VerletIntegrator(timestep_ps)
    if conditions.thermostat == "nose-hoover":
        return mm.NoseHooverIntegrator(conditions.temperature_K, 1000.0 / conditions.thermostat_time_fs, timestep_ps)
    integrator = mm.LangevinMiddleIntegrator(conditions.temperature_K, conditions.friction_per_ps, timestep_ps)
    integrator.setRandomNumberSeed(openmm_seed(conditions.seed))
    return integrator


def count_freedom(integrator: Any, degrees_of_freedom: int) -> None:
    """Tell a Nose-Hoover chain how many momenta it drives. A new Context counts itself, so it must be there before."""
    integrator.getThermostat(0).setNumDegreesOfFreedom(degrees_of_freedom)


def heat_bath_eV(context: Any) -> float:
    """Return the energy of the Nose-Hoover chain of a Context."""
    if not context.getStepCount():  # asked for before the first step, when there is no chain, OpenMM ends the process
        return 0.0
    return float(context.getIntegrator().computeHeatBathEnergy()._value / EV_IN_KJ_PER_MOL)


def openmm_seed(seed: int) -> int:
    """Convert a seed: OpenMM takes 32 bits, and 0 to mean "another one every time"."""
    return seed % (2**31 - 2) + 1
