"""Bonds of constant length: their groups, and the motion that they leave.

Bond k from atom a to atom b has the vector d_k = r_b - r_a and the condition d_k . d_k = l_k^2. Its derivative in time
is a linear condition on the velocities,

    sum_i J_ki v_i = d_k . (v_b - v_a) = 0.                                                        (1)

Of velocities drawn without it, (1) is fulfilled by

    v' = v - M^-1 J^T lambda,   (J M^-1 J^T) lambda = J v,                                         (2)

the projection that is orthogonal in the masses: Maxwell-Boltzmann velocities stay Maxwell-Boltzmann on the 3 N - K
directions that are left (as in RATTLE, H. C. Andersen, J. Comput. Phys. 52, 24 (1983)). It changes no total momentum
and no angular momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.molecules import components, made_whole


@dataclass(frozen=True)
class RigidBonds:
    """K bonds that keep their length, in groups of atoms that are stars: one centre, and the others bonded to it.

    Attributes
    ----------
    pairs
        (K, 2) atoms of each bond; the first is the centre of its group.
    lengths_A
        (K,) their lengths, Angstrom.
    n_atoms
        N, of the whole structure.
    """

    pairs: NDArray[np.int_]
    lengths_A: NDArray[np.float64]
    n_atoms: int

    def __len__(self) -> int:
        """Return K."""
        return len(self.pairs)

    @cached_property
    def groups(self) -> NDArray[np.int_]:
        """(N,) number of the group of each atom, from 0; an atom without a rigid bond is a group by itself."""
        return components(self.n_atoms, self.pairs)

    @property
    def inner_momenta(self) -> int:
        """Degrees of freedom within the groups: all but the three of each centre of mass."""
        return 3 * (self.n_atoms - int(self.groups.max()) - 1) - len(self)

    def measured(self, atoms: Atoms) -> RigidBonds:
        """Return the same bonds with the lengths that they have in `atoms`."""
        return replace(self, lengths_A=np.linalg.norm(self.vectors(atoms), axis=1))

    def vectors(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return d_k (K, 3), through periodic boundaries too, Angstrom."""
        first, second = atoms.positions[self.pairs[:, 0]], atoms.positions[self.pairs[:, 1]]
        return np.asarray(find_mic(second - first, atoms.cell, atoms.pbc)[0])

    def whole(self, atoms: Atoms) -> NDArray[np.float64]:
        """Return positions (N, 3) with the atoms of each group side by side."""
        if not atoms.pbc.any():
            return atoms.positions.copy()
        return made_whole(atoms.positions, [(int(i), int(j)) for i, j in self.pairs], atoms.cell.complete().array)

    def without_stretch(
        self, velocities: NDArray[np.float64], masses: NDArray[np.float64], vectors: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Take out of velocities what would change a length (eq. 2).

        Parameters
        ----------
        velocities
            (N, 3), in any unit.
        masses
            (N,).
        vectors
            (K, 3) of the bonds.
        """
        first, second = self.pairs.T
        rates = np.einsum("ki,ki->k", vectors, velocities[second] - velocities[first])  # J v
        # J M^-1 J^T couples only bonds of one star: d_k . d_l / m of its centre, and |d_k|^2 / m of the outer atom.
        real = self._stars >= 0
        arms = np.where(real[..., None], vectors[self._stars], 0.0)
        outer = (arms**2).sum(axis=-1) / masses[second[self._stars]]
        matrices = np.einsum("gki,gli->gkl", arms, arms) / masses[first[self._stars[:, 0]]][:, None, None]
        matrices += np.where(real, outer, 1.0)[:, :, None] * np.eye(real.shape[1])
        multipliers = np.zeros(len(self))
        multipliers[self._stars[real]] = np.linalg.solve(matrices, np.where(real, rates[self._stars], 0.0)[..., None])[
            real, 0
        ]
        impulses = multipliers[:, None] * vectors
        held = velocities.copy()
        held[second] -= impulses / masses[second, None]
        np.add.at(held, first, impulses / masses[first, None])
        return held

    @cached_property
    def _stars(self) -> NDArray[np.int_]:
        """(G, n) bonds of each group, -1 where it has fewer than the largest."""
        _, group = np.unique(self.pairs[:, 0], return_inverse=True)
        order = np.argsort(group, kind="stable")
        counts = np.bincount(group)
        place = np.arange(len(self)) - np.repeat(np.cumsum(counts) - counts, counts)
        stars = np.full((len(counts), counts.max()), -1)
        stars[group[order], place] = order
        return stars


def take_stretch_away(atoms: Atoms, bonds: RigidBonds) -> None:
    """Set the momenta of `atoms` to those that change none of the lengths, in place."""
    masses = atoms.get_masses()
    velocities = bonds.without_stretch(atoms.get_momenta() / masses[:, None], masses, bonds.vectors(atoms))
    atoms.set_momenta(velocities * masses[:, None], apply_constraint=False)
