"""Arrhenius fits of rate constants over temperatures, by least squares of the logarithm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ArrheniusFit(NamedTuple):
    """k = A (T / 1 K)^n exp(-E / k_B T); n is 0 in the plain form.

    Attributes
    ----------
    prefactor
        A, in the unit of k.
    exponent
        n.
    energy_eV
        E.
    largest_ratio
        By which factor the fit is off at most.
    """

    prefactor: float
    exponent: float
    energy_eV: float
    largest_ratio: float

    def log10_rate(self, temperatures_K: Array) -> Array:
        """Evaluate log10 k of the fit, (T,)."""
        powers = self.exponent * np.log(temperatures_K)
        logarithms = np.log(self.prefactor) + powers - self.energy_eV / (units.kB * temperatures_K)
        return np.asarray(logarithms / np.log(10))


def fit_arrhenius(temperatures_K: Array, log10_rates: Array, *, modified: bool) -> ArrheniusFit | None:
    """Fit the logarithms of rate constants (T,); None where there are fewer temperatures than parameters."""
    logarithms = log10_rates * np.log(10)
    columns = [np.ones(len(temperatures_K)), -1 / (units.kB * temperatures_K)]
    if modified:
        columns.append(np.log(temperatures_K))
    if len(temperatures_K) < len(columns):
        return None
    design = np.column_stack(columns)
    solution = np.linalg.lstsq(design / (scale := np.abs(design).max(axis=0)), logarithms, rcond=None)[0] / scale
    off = np.abs(design @ solution - logarithms).max()
    exponent = float(solution[2]) if modified else 0.0
    return ArrheniusFit(float(np.exp(solution[0])), exponent, float(solution[1]), float(np.exp(off)))
