"""Names of thermostats and of the ways in which a cell may change, and which engine has which."""

from __future__ import annotations

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines import ENGINES, engine_class

#: Thermostats: random forces on every atom; random rescaling of all velocities (Bussi, Donadio, Parrinello); a chain of
#: extra variables (Nose, Hoover).
THERMOSTATS = ("langevin", "bussi", "nose-hoover")
#: How the cell may change at constant pressure: its volume alone; the length of each of its vectors; lengths and
#: angles; the plane of a and b together, and c.
CELL_CHANGES = ("isotropic", "anisotropic", "flexible", "membrane")


def check_ensemble(engine: str, thermostat: str, cell_change: str | None) -> None:
    """Refuse a thermostat or a change of the cell that the engine does not have.

    Parameters
    ----------
    engine
        A key of `ENGINES`.
    thermostat
        One of `THERMOSTATS`.
    cell_change
        One of `CELL_CHANGES`; None at constant volume.

    Raises
    ------
    InputError
        Names what the engine has, and which engine has what is asked for.
    """
    has = engine_class(engine).ensembles
    if thermostat not in has:
        raise InputError(
            "thermostat-not-for-engine",
            f"engine='{engine}' has no thermostat '{thermostat}' (it has: {', '.join(has)})"
            f"{_others(engine, thermostat, cell_change)}",
        )
    if cell_change is not None and not has[thermostat]:
        raise InputError(
            "thermostat-without-barostat",
            f"engine='{engine}' has thermostat='{thermostat}' at constant volume only; at constant pressure take "
            f"{' or '.join(name for name, changes in has.items() if changes)}",
        )
    if cell_change is not None and cell_change not in has[thermostat]:
        there = "; ".join(f"{name}: {', '.join(changes)}" for name, changes in has.items() if changes)
        raise InputError(
            "cell-change-not-for-engine",
            f"engine='{engine}' with thermostat='{thermostat}' has no cell_change='{cell_change}' at constant pressure "
            f"(it has, by thermostat: {there}){_others(engine, thermostat, cell_change)}",
        )


def _others(engine: str, thermostat: str, cell_change: str | None) -> str:
    """Name the other engines that have it."""
    found = [
        name
        for name in ENGINES
        if name != engine
        and thermostat in (has := engine_class(name).ensembles)
        and (cell_change is None or cell_change in has[thermostat])
    ]
    if found:
        return f"; engine='{found[0]}' has it"
    return "; no engine has it" + ("" if cell_change is None else " at constant pressure")
