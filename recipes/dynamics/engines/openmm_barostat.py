"""Monte Carlo moves of the cell: constant pressure in OpenMM, for every change of the cell.

OpenMM's own barostats do the same for a fixed shape, but their step sizes are in no checkpoint, so that a restart does
not repeat the run; and they adapt for ever to the volume of the moment, which makes a gas of a few molecules too dense.

A move strains the cell, h' = h g with g = exp(e), the lattice vectors in the rows of h. e is symmetric and lies in the
modes of `cell_modes`: for the volume along I, else along the modes without trace. Groups of atoms (molecules, or single
atoms) keep their shape, and their centres move as R' = c + (R - c) g about the mean c of all centres. Which atoms are
grouped changes only which moves are tried, not what they sample. The distribution of cells h, scaled positions s and
momenta is

    rho(h, s, p) dmu(h) ds dp = V^(N+1) exp(-(U + p V) / k_B T) dmu(h) ds dp,                                       (1)

V^N dV exp(-p V / k_B T) for the volume (N atoms), and for the shape the measure dmu(h) = dh / det(h)^3, which no strain
changes. The positions of G groups' centres give the move a Jacobian det(g)^G, that of the N - G others relative to them
is 1, so a move from (h, s) to (h', s') is accepted with probability

    min(1, exp(-(U' - U + p (V' - V)) / k_B T) (V' / V)^(G+1)),        ln(V' / V) = trace(e).                        (2)

Where the centre of mass rests (Nose-Hoover), its position does not count: N and G are one less, as in
`ase_integrators.ChainPiston`, and the mean of the instantaneous pressure is p.

OpenMM wants h lower triangular and reduced. exp(e) of a flexible cell is neither, so cell, positions and velocities are
turned, h'' = h' Q: the energy does not change. The way back is exp(-Q^T e Q), tried as often as exp(e), because e is
drawn from normal numbers along orthonormal modes, whose density depends on |e| alone. Another basis of the same lattice
is remembered in `basis`.

Moves of the volume keep their direction until one is rejected, then they turn round (the guided walk of P. Gustafson,
Stat. Comput. 8, 357 (1998)): the direction is a variable of its own, either way equally likely whatever the volume, and
(2) keeps the distribution of both. A run of small moves that are accepted wanders less than larger ones at random:
volumes of water decorrelate twice as fast.

Step sizes adapt in the first `ADAPTING` attempts of a kind, and as long as temperature or pressure change; then they
stay, and (1) is kept without a bias.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes
from dp_sim.recipes.dynamics.engines.openmm_box import Box, lower_triangular, reduced
from dp_sim.recipes.dynamics.engines.protocol import Conditions, State
from dp_sim.recipes.dynamics.molecules import components
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL, EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Steps between two attempts.
INTERVAL = 25
#: Attempts of a kind in which its step size adapts, and those after which a change of the conditions finds it.
ADAPTING, ADAPTING_AGAIN = 200, 50
#: Share of accepted moves that the step sizes aim at: guided moves of the volume, and others.
ACCEPTED = (0.75, 0.4)
#: First step size, in standard deviations of an ideal gas of the groups.
FIRST_STEP = 0.1


class Barostat:
    """Moves of the cell of an OpenMM Context.

    Parameters
    ----------
    box
        The cell at the start.
    cell_change
        One of `ensembles.CELL_CHANGES`.
    n_atoms
        N.
    bonds
        Pairs of atoms that join the groups, which are moved whole; their positions must be whole.
    seed
        Of its random numbers.

    Attributes
    ----------
    basis
        (3, 3) integers: basis @ cell @ rotation are the vectors of OpenMM's box, with the lattice vectors of the
        structure in the rows of cell.
    """

    def __init__(self, box: Box, cell_change: str, n_atoms: int, bonds: list[tuple[int, int]], seed: int) -> None:
        self.basis = box.basis
        self._groups: NDArray[np.int_] = np.arange(n_atoms)
        self.bonds = bonds
        self._turns = cell_change == "flexible"
        self._kinds = _kinds(cell_modes(box.vectors_nm, cell_change))
        self._sizes = np.full(len(self._kinds), FIRST_STEP / math.sqrt(3 * (self.n_groups + 1)))
        self._tried, self._accepted = (np.zeros(len(self._kinds), dtype=int) for _ in range(2))
        self._rng = np.random.default_rng([seed, 1])  # the velocities of a seed are drawn from another sequence
        self._direction = 1
        self.steps_to_next = INTERVAL

    @property
    def bonds(self) -> list[tuple[int, int]]:
        """Pairs of atoms that join the groups; to be replaced when molecules have come apart."""
        return self._bonds

    @bonds.setter
    def bonds(self, bonds: list[tuple[int, int]]) -> None:
        self._bonds = bonds
        self._groups = components(len(self._groups), bonds)

    @property
    def n_groups(self) -> int:
        """G, molecules and single atoms."""
        return int(self._groups.max()) + 1

    def attempt(self, context: Any, conditions: Conditions, *, rests: bool) -> bool:
        """Try one move of positions and box of `context`; return whether it was accepted.

        Parameters
        ----------
        context
            An OpenMM Context.
        conditions
            Temperature and pressure.
        rests
            Whether the centre of mass stays where it is.
        """
        assert conditions.temperature_K is not None
        assert conditions.pressure_bar is not None
        self.steps_to_next = INTERVAL
        kind = int(self._rng.integers(len(self._kinds)))
        modes = self._kinds[kind]
        lengths = self._rng.normal(size=len(modes))
        if kind == 0:
            lengths = self._direction * np.abs(lengths)
        strain = np.einsum("k,kij->ij", self._sizes[kind] * lengths, modes)
        state = context.getState(positions=True, velocities=self._turns, energy=True)
        vectors, positions = (get(asNumpy=True)._value for get in (state.getPeriodicBoxVectors, state.getPositions))
        new_vectors, turn, basis = self._strained(vectors, strain)
        _put(context, new_vectors, self._moved(positions, strain, turn))
        energy = context.getState(energy=True).getPotentialEnergy()._value
        volume, new_volume = np.linalg.det(vectors), np.linalg.det(new_vectors)
        pressure = conditions.pressure_bar / EV_PER_A3_IN_BAR * EV_IN_KJ_PER_MOL / ANGSTROM_IN_NM**3
        work = energy - state.getPotentialEnergy()._value + pressure * (new_volume - volume)
        power = self.n_groups - rests + 1
        # Eq. 2.
        exponent = power * np.trace(strain) - work / (KB_EV_PER_K * EV_IN_KJ_PER_MOL * conditions.temperature_K)
        accepted = bool(math.log(1.0 - self._rng.random()) < exponent)
        if not accepted:
            _put(context, vectors, positions)
        elif self._turns:
            context.setVelocities(state.getVelocities(asNumpy=True)._value @ turn)
            self.basis = basis
        if kind == 0 and not accepted:
            self._direction *= -1
        self._learn(kind, accepted=accepted)
        return accepted

    def _strained(
        self, vectors: NDArray[np.float64], strain: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int_]]:
        """Strain the box: its vectors in OpenMM's form, the rotation into it, and the basis."""
        if not self._turns:  # diagonal, and the form stays
            return vectors * np.exp(strain.diagonal()), np.eye(3), self.basis
        lower, turn = lower_triangular(vectors @ _exponential(strain))
        lower, basis = reduced(lower)
        return lower, turn, basis @ self.basis

    def _moved(
        self, positions: NDArray[np.float64], strain: NDArray[np.float64], turn: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Move the centres of the groups with the strain, and turn everything, about the mean of the centres."""
        counts = np.bincount(self._groups)[:, None]
        centers = np.stack([np.bincount(self._groups, axis) for axis in positions.T], axis=1) / counts
        middle = centers.mean(axis=0)
        shifts = (centers - middle) @ (_exponential(strain) - np.eye(3))
        return np.asarray(middle + (positions + shifts[self._groups] - middle) @ turn)

    def _learn(self, kind: int, *, accepted: bool) -> None:
        """Adapt the step size (H. Robbins and S. Monro, Ann. Math. Stat. 22, 400 (1951)), less and less."""
        self._tried[kind] += 1
        self._accepted[kind] += accepted
        if self._tried[kind] <= ADAPTING:
            self._sizes[kind] *= math.exp(8.0 / (8.0 + self._tried[kind]) * (accepted - ACCEPTED[kind]))

    def adapt_again(self) -> None:
        """Let the step sizes follow other conditions."""
        self._tried = np.minimum(self._tried, ADAPTING_AGAIN)

    def state(self) -> State:
        """Return all that goes on: random generator, step sizes, counters, groups and basis."""
        return {
            "barostat_random": np.array(json.dumps(self._rng.bit_generator.state)),
            "barostat_sizes": self._sizes.copy(),
            "barostat_counts": np.array([self._tried, self._accepted]),
            "barostat_next": np.array([self.steps_to_next, self._direction]),
            "barostat_basis": self.basis.copy(),
            "barostat_bonds": np.array(self._bonds, dtype=int).reshape(-1, 2),
        }

    def restore(self, state: State) -> None:
        """Go on from `state`.

        Raises
        ------
        InputError
            An earlier version of dp-sim wrote it.
        """
        if "barostat_bonds" not in state:
            raise InputError(
                "checkpoint-invalid",
                "the checkpoint holds no barostat: an earlier version of dp-sim wrote it; start over with --overwrite",
            )
        self._rng.bit_generator.state = json.loads(str(state["barostat_random"]))
        self._sizes = np.array(state["barostat_sizes"], dtype=np.float64)
        self._tried, self._accepted = np.array(state["barostat_counts"], dtype=int)
        self.steps_to_next, self._direction = (int(number) for number in state["barostat_next"])
        self.basis = np.array(state["barostat_basis"], dtype=int)
        self.bonds = [(first, second) for first, second in state["barostat_bonds"].tolist()]


def _put(context: Any, vectors: NDArray[np.float64], positions: NDArray[np.float64]) -> None:
    context.setPeriodicBoxVectors(*vectors)
    context.setPositions(positions)


def _kinds(modes: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Divide the modes of a change of the cell: (1, 3, 3) of the volume, and (k - 1, 3, 3) of the shape if k > 1."""
    volume = np.eye(3)[None] / math.sqrt(3)
    if len(modes) == 1:
        return [volume]
    traceless = modes - np.trace(modes, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    _, _, rows = np.linalg.svd(traceless.reshape(len(modes), 9))
    return [volume, rows[: len(modes) - 1].reshape(-1, 3, 3)]


def _exponential(strain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute exp(e) of a symmetric matrix."""
    values, vectors = np.linalg.eigh(strain)
    return np.asarray((vectors * np.exp(values)) @ vectors.T)
