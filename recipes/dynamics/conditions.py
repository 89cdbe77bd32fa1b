"""From the settings of an ensemble to what an engine holds constant."""

from __future__ import annotations

from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.settings import (
    DEFAULT_FRICTION_PER_PS,
    DEFAULT_THERMOSTAT_TIME_FS,
    DynamicsSettings,
    NPTSettings,
    NVESettings,
    ThermostatSettings,
)


def conditions_of(settings: DynamicsSettings, timestep_fs: float) -> Conditions:
    """Return the conditions of a run with these settings."""
    if isinstance(settings, ThermostatSettings):
        pressed = isinstance(settings, NPTSettings)
        return Conditions(
            timestep_fs=timestep_fs,
            temperature_K=settings.temperature_K,
            pressure_bar=settings.pressure_bar if pressed else None,
            thermostat=settings.thermostat,
            friction_per_ps=settings.friction_per_ps or DEFAULT_FRICTION_PER_PS,
            thermostat_time_fs=settings.thermostat_time_fs or DEFAULT_THERMOSTAT_TIME_FS,
            cell_change=settings.cell_change if pressed else "isotropic",
            seed=settings.seed,
        )
    start = settings.temperature_K if isinstance(settings, NVESettings) else None
    return Conditions(timestep_fs=timestep_fs, start_temperature_K=start, seed=settings.seed)
