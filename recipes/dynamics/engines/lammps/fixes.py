"""The fixes of an ensemble: thermostat, barostat, ramps and fixed atoms in the words of LAMMPS.

Langevin is fix gjf, whose averages over positions are exact for harmonic systems at any time step, and whose momenta
are those at half steps (N. Gronbech-Jensen, Mol. Phys. 118, e1662506 (2020)). Bussi is fix temp/csvr. Nose-Hoover
chains are fix nvt and fix npt (G. J. Martyna, D. J. Tobias and M. L. Klein, J. Chem. Phys. 101, 4177 (1994); with a
flexible cell W. Shinoda, M. Shiga and M. Mikami, Phys. Rev. B 69, 134103 (2004)). Ramps are LAMMPS's own: each of
these fixes goes linearly from a start to a stop.
"""

from __future__ import annotations

from collections.abc import Sequence

from dp_sim.recipes.dynamics.engines.protocol import Conditions

#: Time constant of the barostat (ps): LAMMPS's advice of a thousand steps, with steps of 0.5 fs.
BAROSTAT_TIME_PS = 0.5


def groups(fixed: Sequence[int]) -> list[str]:
    """Give the commands that make the group `moving` of all atoms but the fixed ones.

    Parameters
    ----------
    fixed
        Their indices, ascending.
    """
    if not fixed:
        return ["group moving union all"]
    return [f"group fixed id {' '.join(str(index + 1) for index in fixed)}", "group moving subtract all fixed"]


def fixes(conditions: Conditions, still: int, seed: int) -> list[str]:
    """Give the commands that move the group `moving` in an ensemble.

    Parameters
    ----------
    conditions
        What is held constant, or goes along a ramp.
    still
        Momenta of the group that do not count as degrees of freedom.
    seed
        Of the random forces.
    """
    if conditions.temperature_K is None:
        return ["fix integrate moving nve"]
    temperature = f"{_from_to(conditions, 'temperature_K')} {conditions.relaxation_fs / 1000.0:.17g}"
    if conditions.thermostat == "langevin":
        return [f"fix integrate moving gjf {temperature} {seed} vel vhalf"]
    if conditions.thermostat == "bussi":
        return [
            "fix integrate moving nve",
            f"fix thermostat moving temp/csvr {temperature} {seed}",
            f"compute_modify thermostat_temp extra/dof {still}",
        ]
    if conditions.pressure_bar is None:
        chain = f"fix integrate moving nvt temp {temperature}"
    else:
        chain = f"fix integrate all npt temp {temperature} {_barostat(conditions)}"
    return [chain, f"compute_modify integrate_temp extra/dof {still}"]


def _barostat(conditions: Conditions) -> str:
    """Give the keywords of fix npt; a box that flips would be another cell of the same crystal."""
    pressure = f"{_from_to(conditions, 'pressure_bar')} {BAROSTAT_TIME_PS}"
    if conditions.cell_change == "membrane":
        return f"x {pressure} y {pressure} z {pressure} couple xy flip no"
    word = {"isotropic": "iso", "anisotropic": "aniso", "flexible": "tri"}[conditions.cell_change]
    return f"{word} {pressure} flip no"


def _from_to(conditions: Conditions, name: str) -> str:
    end = conditions if conditions.ramp is None else conditions.ramp
    return f"{getattr(conditions, name):.17g} {getattr(end, name):.17g}"
