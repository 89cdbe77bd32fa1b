"""One rate constant of several steps, one after the other: the steady state of the minima between them.

Of the steps A_{i-1} <-> A_i, i = 1 to n, with k_i forward and k_i/K_i back, A_0 is the reactant, A_n the product, and
K_{0j} = K_1 K_2 ... K_j with K_{00} = 1. In the steady state the amounts a_j of all minima between are constant, so
that every step carries the same flow

    J = k_i a_{i-1} - (k_i/K_i) a_i = k_i K_{0,i-1} (p_{i-1} - p_i),        p_j = a_j/K_{0j}.                        (1)
Divided by k_i K_{0,i-1} and summed over the steps, all p_j but the first and the last cancel: p_0 - p_n = J sum_i r_i,
as currents through resistances in a row. J = k (a_0 - a_n/K_{0n}) therefore has

    1/k = sum_i r_i,        r_i = 1/(k_i K_{0,i-1}),        k_back = k/K_{0n}.                                       (2)
The share of step i in the sum is its control of the rate: r_i k = d ln k/d ln k_i with all K held (C. T. Campbell,
J. Catal. 204, 520 (2001)). With the product taken away, a_n = 0, eq. 1 gives what waits in the minima between,

    a_j/a_0 = K_{0j} k sum_{i>j} r_i.                                                                                (3)
The mean time from A_0 to A_n is (1 + sum_j a_j/a_0)/k exactly, whether or not there is a steady state: by eq. 3 it is
sum_i r_i sum_{j<i} K_{0j}, the mean first-passage time of a walk along a row (N. G. van Kampen, Stochastic Processes
in Physics and Chemistry, ch. XII). Eq. 2 is therefore good where sum_j a_j/a_0 is small, and no rate constant of the
reactant where it is large: then a minimum between fills up before the product appears.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class SteadyState(NamedTuple):
    """Rate constant of n steps in a row, as logarithms to base 10 over whatever axes follow that of the steps.

    Attributes
    ----------
    log10_rate
        (...) forward, eq. 2.
    log10_equilibrium
        (...) of the product over the reactant.
    control
        (n, ...) share of each step in the resistance; they sum to 1.
    log10_waiting
        (n - 1, ...) what waits in each minimum between for one of the reactant, eq. 3.
    """

    log10_rate: Array
    log10_equilibrium: Array
    control: Array
    log10_waiting: Array

    @property
    def waiting(self) -> Array:
        """(...) what waits in all minima between for one of the reactant; at most 1e300."""
        return np.asarray((10 ** np.minimum(self.log10_waiting, 300.0)).sum(axis=0))


def steady_state(log10_forward: Array, log10_equilibrium: Array) -> SteadyState:
    """Combine the rate constants of steps in a row, eqs. 2 and 3.

    Parameters
    ----------
    log10_forward, log10_equilibrium
        (n, ...) of each step, over temperatures or members and temperatures. Units are free as long as those of k_i
        K_{0,i-1} are the same for all steps; `log10_waiting` has that of K.
    """
    forward, equilibrium = (np.asarray(one, dtype=float) * np.log(10) for one in (log10_forward, log10_equilibrium))
    up_to = np.concatenate([np.zeros_like(equilibrium[:1]), np.cumsum(equilibrium, axis=0)])  # ln K_0j, j = 0 to n
    resistances = -forward - up_to[:-1]
    beyond = np.logaddexp.accumulate(resistances[::-1], axis=0)[::-1]  # ln of the sum over the steps from i on
    total = beyond[0]
    return SteadyState(
        -total / np.log(10),
        up_to[-1] / np.log(10),
        np.exp(resistances - total),
        (up_to[1:-1] + beyond[1:] - total) / np.log(10),
    )
