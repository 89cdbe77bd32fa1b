"""The pressure of a system with rigid bonds, by groups.

Positions that fulfil the conditions are r_i = R_g + d_i, with R_g the centre of mass of the group g of atom i. When the
volume changes by scaling, the R_g scale with it and the d_i stay as they are, so that no length changes. The integral
over the d_i, with the metric of the constraints, does not depend on the volume then, and the momenta of the centres
P_g give

    p = -dF/dV = (1 / 3V) < sum_g P_g^2 / M_g > - < dU/dV >,   all R_g scaled,                            (1)

where < P_g^2 / M_g > = 3 k_B T. With f_i = -dU/dr_i and the virial of all atoms scaled, W = -dU/d(strain) (3, 3), the
strain e moves r_i by e R_g instead of e r_i, so that the virial of the groups is

    W_g = W - sum_i f_i (x) (r_i - R_g).                                                             (2)

Forces of constraint act within groups and do no work in such a change: they appear nowhere. The same in each direction
gives the pressure tensor, of whose parts (2) takes the symmetric one: a strain does not turn the groups.
(H. J. C. Berendsen, *Simulating the Physical World* (2007), ch. 17.3.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds


def kinetic_tensor(
    bonds: RigidBonds, masses: NDArray[np.float64], velocities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute sum_g P_g P_g / M_g, (3, 3), eV: the kinetic part of p V, each direction with itself.

    Parameters
    ----------
    bonds
        They say which atoms are a group.
    masses
        (N,) amu.
    velocities
        (N, 3) in ASE's unit.
    """
    total, momenta = _sums(bonds, masses[:, None]), _sums(bonds, masses[:, None] * velocities)
    return np.asarray((momenta / total).T @ momenta)


def group_virial(
    bonds: RigidBonds,
    virial: NDArray[np.float64],
    masses: NDArray[np.float64],
    positions: NDArray[np.float64],
    forces: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute W_g of eq. 2, (3, 3), eV.

    Parameters
    ----------
    bonds
        They say which atoms are a group.
    virial
        (3, 3) W of all atoms, eV.
    masses
        (N,) amu.
    positions
        (N, 3) of whole groups, Angstrom.
    forces
        (N, 3) eV/Angstrom, without those of constraint.
    """
    weights = masses[:, None]
    centres = (_sums(bonds, weights * positions) / _sums(bonds, weights))[bonds.groups]
    within = forces.T @ (positions - centres)
    return np.asarray(virial - (within + within.T) / 2)


def _sums(bonds: RigidBonds, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the atoms of each group."""
    sums = np.zeros((int(bonds.groups.max()) + 1, values.shape[1]))
    np.add.at(sums, bonds.groups, values)
    return sums
