"""A crystal at other volumes: relaxed there, and the equation of state of Birch and Murnaghan through its energies."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.eos import birchmurnaghan
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.relaxation import relax_crystal
from dp_sim.recipes.crystals.start import Start
from dp_sim.units import EV_PER_A3_IN_GPA

Array = NDArray[np.float64]


def at_volume(start: Start, ratio: float, fmax: float) -> Atoms:
    """Scale the primitive cell to `ratio` times its volume, and relax atoms and, where it can, shape there."""
    scaled = start.primitive.copy()
    scaled.set_cell(scaled.cell.array * ratio ** (1 / 3), scale_atoms=True)
    scaled.calc = start.primitive.calc
    return relax_crystal(
        scaled,
        fmax=fmax,
        cell=shape_relaxes(start),
        constant_volume=True,
        name=f"the crystal at {ratio:.3f} of its volume",
    )


def relaxed_energy(start: Start, frame: Atoms, calculator: Any, fmax: float) -> float:
    """Relax what `at_volume` relaxes once more with another calculator, from `frame` on; its energy, eV."""
    other = frame.copy()
    other.calc = calculator
    shape = shape_relaxes(start)
    relaxed = relax_crystal(other, fmax=fmax, cell=shape, constant_volume=True, name="the crystal of a member")
    return float(relaxed.get_potential_energy())


def shape_relaxes(start: Start) -> bool:
    """Whether the cell has a shape to relax, and the calculator the stress that it takes."""
    return not is_cubic(start.crystal) and "stress" in start.primitive.calc.implemented_properties


def is_cubic(crystal: Crystal) -> bool:
    """Whether symmetry fixes the shape of the cell: space groups from 195 on."""
    return crystal.number >= 195


def relaxed_words(start: Start) -> str:
    """Say what is relaxed at each volume."""
    if is_cubic(start.crystal):
        return "atoms (the shape of a cubic cell is fixed by symmetry)"
    return "atoms and shape of the cell" if shape_relaxes(start) else "atoms, in cells of one shape: there is no stress"


class BirchMurnaghan(NamedTuple):
    """F. Birch, Phys. Rev. 71, 809 (1947), third order: E0, B0, B0', V0, with the covariance of the fit.

    Attributes
    ----------
    energy_eV, bulk_modulus_GPa, derivative, volume_A3
        At the minimum.
    errors
        (4,) their standard errors: how far the energies are from the curve.
    misfit_eV
        Largest distance of an energy from the curve.
    next_order_GPa
        The bulk modulus with a term more, the fourth order; None where that curve has no minimum among the volumes.
    """

    energy_eV: float
    bulk_modulus_GPa: float
    derivative: float
    volume_A3: float
    errors: Array
    misfit_eV: float
    next_order_GPa: float | None = None

    def energies(self, volumes: Array) -> Array:
        """Evaluate the curve, eV."""
        modulus = self.bulk_modulus_GPa / EV_PER_A3_IN_GPA
        return np.asarray(birchmurnaghan(volumes, self.energy_eV, modulus, self.derivative, self.volume_A3))


def fit_birch_murnaghan(volumes: Array, energies: Array) -> BirchMurnaghan | None:
    """Fit the curve by least squares, from the parabola through the energies; None where that has no minimum."""
    c, b, a = np.polynomial.polynomial.polyfit(volumes, energies, 2)
    if a <= 0 or -b / (2 * a) <= 0:
        return None
    volume = -b / (2 * a)
    first = (c - b**2 / (4 * a), 2 * a * volume, 4.0, volume)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            found, covariance = curve_fit(birchmurnaghan, volumes, energies, p0=first, xtol=1e-14, ftol=1e-14)
    except (RuntimeError, OptimizeWarning):  # it does not converge, or leaves a number undetermined
        return None
    errors = np.sqrt(np.diag(covariance)) * np.array([1, EV_PER_A3_IN_GPA, 1, 1])
    misfit = float(np.abs(birchmurnaghan(volumes, *found) - energies).max())
    energy, modulus, derivative, minimum = (float(one) for one in found)
    return BirchMurnaghan(
        energy, modulus * EV_PER_A3_IN_GPA, derivative, minimum, errors, misfit, _next_order(volumes, energies)
    )


def _next_order(volumes: Array, energies: Array) -> float | None:
    """Find the bulk modulus of the fourth-order curve, GPa: a polynomial of degree 4 in V^(-2/3), by least squares.

    B = V d2E/dV2 = p''(x) (2 x / 3)^2 / V at its minimum, where dx/dV = -2 x / (3 V).
    """
    x = volumes ** (-2 / 3)
    slope = np.polynomial.Polynomial.fit(x, energies, 4).deriv()
    flat = slope.roots()
    inside = flat[np.isreal(flat)].real
    curvature = slope.deriv()
    minima = [place for place in inside if x.min() <= place <= x.max() and curvature(place) > 0]
    if not minima:
        return None
    place = float(minima[0])
    return float(curvature(place) * (2 * place / 3) ** 2 * place**1.5 * EV_PER_A3_IN_GPA)
