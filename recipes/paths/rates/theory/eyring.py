"""Transition-state theory: rate constants forward and back, the equilibrium constant, and their temperature.

    k(T) = L kappa (k_B T / h) V^(n-1) exp[-(G_TS - G_R)/k_B T],     V = k_B T / p,                                  (1)
    K(T) = s V^(n_R - n_P) exp[-(G_P - G_R)/k_B T],                  k_back = k / K:                                 (2)
H. Eyring, J. Chem. Phys. 3, 107 (1935). The G are those of n molecules of an ideal gas at the pressure p without their
symmetry numbers, or of harmonic vibrations (V = 1 then). The symmetries are in the path degeneracy L and in s,

    L = (m_TS / m_R) (sigma_R / sigma_TS),     s = (m_P / sigma_P) / (m_R / sigma_R),                                (3)
with symmetry numbers sigma and m = 2 for a molecule with a mirror image of its own: A. Fernandez-Ramos,
B. A. Ellingson, R. Meana-Paneda, J. M. C. Marques and D. G. Truhlar, Theor. Chem. Acc. 118, 813 (2007), eqs. 26, 27.
Those of the transition state are of its shape a little down its path: a rotation that exchanges the two sides, as in
H + H2 or an inversion, joins no two paths from one side (E. Pollak, P. Pechukas, J. Am. Chem. Soc. 100, 2984 (1978)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import units
from numpy.typing import NDArray

from dp_sim.recipes.paths.rates.theory.states import CHIRAL, State, vineyard_prefactor_per_s
from dp_sim.recipes.paths.rates.theory.tunnelling import log_eckart, log_wigner

Array = NDArray[np.float64]
#: Planck's constant, eV s.
PLANCK_EV_S: float = units._hplanck / units._e
#: What the words of a degeneracy end with that was not looked for, where one may be given.
GIVE_IT = "; give path_degeneracy"
#: 1 bar in eV/cm^3.
BAR_EV_CM3: float = 1e5 * units.Pascal * 1e24
#: 1 cm^3 per molecule is this in L/mol.
L_PER_MOL: float = units._Nav * 1e-3


class Degeneracy(NamedTuple):
    """Reaction-path degeneracy, eq. 3, and how it came about in words."""

    forward: float
    equilibrium: float
    words: str


class Rates(NamedTuple):
    """Rate constants over temperatures (T,), as logarithms to base 10; in 1/s of one reactant, cm^3/s of two.

    Attributes
    ----------
    temperatures_K
        (T,).
    log10_forward, log10_reverse, log10_equilibrium
        (T,); the latter two None without products. The unit of the equilibrium constant is the ratio of the others'.
    log10_transmission
        (T,) of the tunnelling factor kappa, which both rate constants hold.
    gibbs_eV
        (T,) free energy of activation at the pressure, with symmetry numbers and degeneracy, without tunnelling.
    barrier_eV, ground_barrier_eV
        Potential energy of activation, and the same with zero-point energies.
    frequency_cm1
        Of the imaginary mode, negative.
    """

    temperatures_K: Array
    log10_forward: Array
    log10_reverse: Array | None
    log10_equilibrium: Array | None
    log10_transmission: Array
    gibbs_eV: Array
    barrier_eV: float
    ground_barrier_eV: float
    frequency_cm1: float


class Conditions(NamedTuple):
    """What a rate is computed for.

    Attributes
    ----------
    temperatures_K, pressure_bar
        (T,) and the pressure at which free energies are stated; rate constants do not depend on it.
    method
        Of thermochemistry, but `auto`.
    tunnelling
        `auto`, `none`, `wigner` or `eckart`.
    """

    temperatures_K: Array
    pressure_bar: float
    method: str
    tunnelling: str


def degeneracy(
    reactants: State, saddle: State, products: State | None, given: float | None, *, gas: bool
) -> Degeneracy:
    """Find the reaction-path degeneracy of a gas, eq. 3; what is given goes before. Of anything else it is 1.

    Raises
    ------
    InputError, MissingPackageError
        The symmetry of a molecule cannot be found and no degeneracy was given.
    """
    if not gas:
        words = "given" if given is not None else "one path: symmetry is not looked for outside a gas" + GIVE_IT
        return Degeneracy(given or 1.0, 1.0, words)
    ratio = 1.0
    if products is not None:
        start, end = (state.mirror_images / state.symmetry_number for state in (reactants, products))
        ratio = end / start
    if given is not None:
        return Degeneracy(given, ratio, "given")
    path = saddle.on_its_path
    images = 2 if CHIRAL.fullmatch(path.point_group) else 1
    forward = images / reactants.mirror_images * reactants.symmetry_number / path.number
    words = (
        f"symmetry numbers {reactants.symmetry_number} of the reactant ({reactants.groups}) and {path.number} of the "
        f"transition state on its path ({path.point_group}; at the top {saddle.groups})"
    )
    if images > reactants.mirror_images:
        words += ", times 2: the path has a mirror image, over which the reaction goes too"
    elif images > 1:
        words += "; reactant and path have mirror images, which cancel"
    return Degeneracy(forward, ratio, words)


def tunnelling_factor(
    saddle: State, reactants: State, products: State | None, conditions: Conditions
) -> tuple[Array, str]:
    """Compute ln kappa (T,), and say which it is and, where it is another than was asked for, why."""
    temperatures, frequency = conditions.temperatures_K, saddle.imaginary_cm1
    asked = conditions.tunnelling
    if asked == "none":
        return np.zeros(len(temperatures)), "none"
    u = abs(frequency) * units.invcm / (units.kB * temperatures)
    if asked == "wigner":
        return log_wigner(frequency, temperatures), _wigner_words("Wigner", u)
    if products is None:
        reason = "Wigner: an Eckart barrier needs the product's energy, which is not known"
        return log_wigner(frequency, temperatures), _wigner_words(reason, u)
    forward, reverse = (saddle.ground_eV - side.ground_eV for side in (reactants, products))
    if min(forward, reverse) <= 0:
        return np.zeros(len(temperatures)), (
            f"none: with zero-point energies the transition state is not above both ends ({forward:+.4f} and "
            f"{reverse:+.4f} eV), so that there is no barrier to tunnel through"
        )
    words = f"Eckart barrier of {forward:.4f} and {reverse:.4f} eV (with zero-point energies)"
    return log_eckart(frequency, forward, reverse, temperatures), words


def _wigner_words(reason: str, u: Array) -> str:
    """Add that the series is of no use where u is beyond 2 pi."""
    if float(u.max()) <= 2 * np.pi:
        return reason
    return reason + f"; h nu / k T reaches {u.max():.1f}, where the formula (good below 6) underestimates"


def rates(
    reactants: State, saddle: State, products: State | None, conditions: Conditions, paths: Degeneracy
) -> tuple[Rates, str]:
    """Compute rate constants, eqs. 1 and 2, and say in words how tunnelling was counted.

    Raises
    ------
    InputError
        From `State.gibbs_eV`.
    """
    temperatures, pressure, method = conditions.temperatures_K, conditions.pressure_bar, conditions.method
    start, top = (state.gibbs_eV(temperatures, pressure, method) for state in (reactants, saddle))
    kappa, words = tunnelling_factor(saddle, reactants, products, conditions)
    kT = units.kB * temperatures
    volume = np.ones(len(temperatures)) if method == "harmonic" else kT / (pressure * BAR_EV_CM3)
    order = len(reactants.parts)
    rise = top - start - kT * np.log(paths.forward)
    forward = (kappa + np.log(kT / PLANCK_EV_S) + (order - 1) * np.log(volume) - rise / kT) / np.log(10)
    reverse = equilibrium = None
    if products is not None:
        fall = products.gibbs_eV(temperatures, pressure, method) - start
        change = (order - len(products.parts)) * np.log(volume)
        equilibrium = (np.log(paths.equilibrium) + change - fall / kT) / np.log(10)
        reverse = forward - equilibrium
    found = Rates(
        temperatures,
        forward,
        reverse,
        equilibrium,
        kappa / np.log(10),
        rise,
        saddle.energy_eV - reactants.energy_eV,
        saddle.ground_eV - reactants.ground_eV,
        saddle.imaginary_cm1,
    )
    return found, words


def vineyard_rate(reactants: State, saddle: State, temperature_K: float, paths: float) -> tuple[float, float] | None:
    """Compute Vineyard's prefactor and rate constant, both 1/s; None where `vineyard_prefactor_per_s` has none."""
    prefactor = vineyard_prefactor_per_s(reactants, saddle)
    if prefactor is None:
        return None
    barrier = saddle.energy_eV - reactants.energy_eV
    return paths * prefactor, float(paths * prefactor * np.exp(-barrier / (units.kB * temperature_K)))
