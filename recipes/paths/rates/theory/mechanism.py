"""Thermochemistry and rate of a gas reaction as an input file of Cantera: NASA polynomials and modified Arrhenius.

The seven coefficients of a NASA polynomial (B. J. McBride, S. Gordon and M. A. Reno, NASA TM-4513 (1993)) give

    Cp/R   = a1 + a2 T + a3 T^2 + a4 T^3 + a5 T^4,
    H/RT   = a1 + a2 T/2 + a3 T^2/3 + a4 T^3/4 + a5 T^4/5 + a6/T,
    G/RT   = a1 (1 - ln T) - a2 T/2 - a3 T^2/6 - a4 T^3/12 - a5 T^4/20 + a6/T - a7.
They are fitted to G and H at once, below and above 1000 K, and G, H and Cp go on smoothly there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import yaml
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.paths.rates.theory.fits import ArrheniusFit
from dp_sim.recipes.paths.rates.theory.states import CHIRAL
from dp_sim.recipes.static.vib_result import STANDARD_K, VibResult

Array = NDArray[np.float64]
#: Ranges of the two polynomials, K, and temperatures in each at which they are fitted.
RANGES_K = (200.0, 1000.0, 3000.0)
POINTS = 80
#: 1 eV per molecule is this in J/mol.
J_PER_MOL: float = units._e * units._Nav


def nasa7(temperatures_K: Array, gibbs: Array, enthalpy: Array | None) -> tuple[Array, Array]:
    """Fit two polynomials.

    Parameters
    ----------
    temperatures_K
        (T,) over both ranges.
    gibbs, enthalpy
        (T,) G/RT and H/RT; None: G alone counts, where H - T S is not quite G (quasi-RRHO).

    Returns
    -------
    tuple
        Seven coefficients (7,) of the lower and of the upper range.
    """
    from scipy.linalg import null_space  # noqa: PLC0415 - scipy.linalg is slow to load

    low = temperatures_K <= RANGES_K[1]
    rows, values = [], []
    for form, wanted in ((_gibbs_row, gibbs), (_enthalpy_row, enthalpy)):
        if wanted is None:
            continue
        terms = form(temperatures_K)
        rows.append(np.hstack([terms * low[:, None], terms * ~low[:, None]]))
        values.append(wanted)
    middle = np.array([RANGES_K[1]])
    joints = np.vstack([np.hstack([form(middle), -form(middle)]) for form in (_gibbs_row, _enthalpy_row, _heat_row)])
    free = null_space(joints)
    solution = free @ np.linalg.lstsq(np.vstack(rows) @ free, np.concatenate(values), rcond=None)[0]
    # The rows are in T/1000, so that all coefficients are of a size.
    scale = 1000.0 ** -np.array([0, 1, 2, 3, 4, -1, 0])
    return solution[:7] * scale, solution[7:] * scale


def _heat_row(temperatures_K: Array) -> Array:
    t = temperatures_K / 1000
    zero = np.zeros_like(t)
    return np.column_stack([zero + 1, t, t**2, t**3, t**4, zero, zero])


def _enthalpy_row(temperatures_K: Array) -> Array:
    t = temperatures_K / 1000
    return np.column_stack([np.ones_like(t), t / 2, t**2 / 3, t**3 / 4, t**4 / 5, 1 / t, np.zeros_like(t)])


def _gibbs_row(temperatures_K: Array) -> Array:
    t, one = temperatures_K / 1000, np.ones(len(temperatures_K))
    return np.column_stack([1 - np.log(temperatures_K), -t / 2, -(t**2) / 6, -(t**3) / 12, -(t**4) / 20, 1 / t, -one])


def cantera_text(
    sides: Sequence[Sequence[VibResult]],
    fits: Sequence[ArrheniusFit],
    range_K: tuple[float, float],
    *,
    method: str,
    pressure_bar: float,
) -> str:
    """Write the input file (YAML) of a gas reaction of one step or several in a row.

    Parameters
    ----------
    sides
        Normal modes of the reactants, of what lies between the steps, and of the products.
    fits
        Modified Arrhenius form of the rate constant of each step forward, in 1/s or cm^3/s.
    range_K
        Where it was fitted.
    method, pressure_bar
        Of the thermochemistry, and its standard pressure.

    Returns
    -------
    str
        Enthalpies are zero at 298.15 K for the reactants: they are no heats of formation.
    """
    between = [f"intermediate{number}_" for number in range(1, len(sides) - 1)]
    names = [_names(*pair) for pair in zip(["reactant", *between, "product"], sides, strict=True)]
    zeros = _zeros(sides, method, pressure_bar)
    parts = [part for side in sides for part in side]
    species = [
        _species(name, part, zero, method, pressure_bar)
        for name, part, zero in zip([name for side in names for name in side], parts, zeros, strict=True)
    ]
    elements = list(dict.fromkeys(symbol for part in sides[0] for symbol in part.atoms.symbols))
    content: dict[str, Any] = {
        "description": (
            "Written by dp-sim. Enthalpies count from the reactants at 298.15 K: they are no heats of formation. "
            f"The rate constant was fitted from {range_K[0]:g} to {range_K[1]:g} K; the one backwards follows from it "
            "and the thermochemistry."
        ),
        "generator": "dp-sim",
        "units": {"length": "cm", "quantity": "mol", "activation-energy": "J/mol"},
        "phases": [
            {
                "name": "gas",
                "thermo": "ideal-gas",
                "elements": elements,
                "species": [one["name"] for one in species],
                "kinetics": "gas",
                "state": {"T": 300.0, "P": float(pressure_bar * 1e5)},
            }
        ],
        "species": species,
        "reactions": [_reaction(*step) for step in zip(pairwise(names), fits, strict=True)],
    }
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))


def _reaction(names: tuple[list[str], list[str]], fit: ArrheniusFit) -> dict[str, Any]:
    per_mole = units._Nav if len(names[0]) == 2 else 1.0
    rate = {"A": float(fit.prefactor * per_mole), "b": float(fit.exponent), "Ea": float(fit.energy_eV * J_PER_MOL)}
    return {"equation": " <=> ".join(" + ".join(side) for side in names), "rate-constant": rate}


def _names(side: str, parts: Sequence[VibResult]) -> list[str]:
    numbers = [""] if len(parts) == 1 else [str(number) for number in range(1, len(parts) + 1)]
    return [
        f"{part.atoms.get_chemical_formula()}_{side}{number}".rstrip("_")
        for part, number in zip(parts, numbers, strict=True)
    ]


def _zeros(sides: Sequence[Sequence[VibResult]], method: str, pressure_bar: float) -> list[float]:
    """Energies to take off, eV: those of the reactants at 298.15 K, and as much in all of every other side."""
    heats = [
        [float(_table(part, np.array([STANDARD_K]), method, pressure_bar).enthalpy_eV[0]) for part in side]
        for side in sides
    ]
    total, zeros = sum(heats[0]), heats[0]
    for side in heats[1:]:
        zeros = [*zeros, total - sum(side[1:]), *side[1:]]
    return zeros


def _table(part: VibResult, temperatures_K: Array, method: str, pressure_bar: float) -> Any:
    return replace(part, members=None).thermochemistry(temperatures_K.tolist(), pressure_bar, method=method)


def _species(name: str, part: VibResult, zero_eV: float, method: str, pressure_bar: float) -> dict[str, Any]:
    temperatures = np.concatenate([np.linspace(low, high, POINTS) for low, high in pairwise(RANGES_K)])
    table = _table(part, temperatures, method, pressure_bar)
    kT = units.kB * temperatures
    mirror = np.log(2) if CHIRAL.fullmatch(part.symmetry.point_group) else 0.0
    gibbs = (table.gibbs_energy_eV - zero_eV) / kT - mirror
    enthalpy = None if method == "quasi-rrho" else (table.enthalpy_eV - zero_eV) / kT
    symbols = part.atoms.symbols
    return {
        "name": name,
        "composition": {symbol: int((symbols == symbol).sum()) for symbol in dict.fromkeys(symbols)},
        "thermo": {
            "model": "NASA7",
            "temperature-ranges": list(RANGES_K),
            "reference-pressure": float(pressure_bar * 1e5),
            "data": [[float(value) for value in one] for one in nasa7(temperatures, gibbs, enthalpy)],
        },
    }
