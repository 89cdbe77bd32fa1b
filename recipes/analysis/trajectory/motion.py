"""Which dynamics moved the atoms, and what may be said of their transport."""

from __future__ import annotations

from dataclasses import dataclass

#: Thermostats that leave the motion of single atoms nearly alone: one force on all of them, small and slow.
GENTLE = ("none", "bussi", "nose-hoover")
#: Thermostats that push atoms at random: diffusion and viscosity then depend on their strength.
RANDOM = ("langevin", "andersen", "brownian", "dpd")
#: Thermostats whose ensemble is not the canonical one.
WRONG_ENSEMBLE = ("berendsen",)
THERMOSTATS = (*GENTLE, *RANDOM, *WRONG_ENSEMBLE)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Ensemble and thermostat of a run.

    Attributes
    ----------
    thermostat
        One of `THERMOSTATS`; None where nobody said.
    barostat
        Whether the cell changed; None where nobody said.
    friction_per_ps
        Of a Langevin thermostat, 1/ps.
    """

    thermostat: str | None = None
    barostat: bool | None = None
    friction_per_ps: float | None = None

    def forbids_transport(self) -> str:
        """Say why diffusion, velocities' correlations and viscosity are not those of the system; empty if they are."""
        if self.thermostat in RANDOM:
            strength = "" if self.friction_per_ps is None else f" (friction {self.friction_per_ps:g}/ps)"
            return (
                f"the run had a {self.thermostat.capitalize()} thermostat{strength}, whose random forces slow the "
                "atoms down, so that diffusion, velocities and viscosity depend on it: run on from its last frame with "
                "nve, or with the thermostat bussi or nose-hoover"
            )
        return ""

    def remarks(self) -> list[str]:
        """Say what a reader of transport should know of this motion."""
        found = []
        if self.thermostat is None:
            found.append(
                "the thermostat of this trajectory is not known: diffusion and viscosity hold only if it was none, "
                "bussi or nose-hoover; say which with the setting thermostat"
            )
        if self.thermostat in WRONG_ENSEMBLE:
            found.append(
                f"the {self.thermostat.capitalize()} thermostat does not sample the canonical ensemble: fluctuations, "
                "and viscosity with them, are not those of the temperature"
            )
        return found
