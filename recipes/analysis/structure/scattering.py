"""Structure factors, computed directly at the wave vectors that the cell allows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.analysis.series import BlockedSeries, standard_errors

Array = NDArray[np.float64]
#: Width of a shell of wave vectors, 1/Angstrom.
SHELL = 0.1
#: Wave vectors of a shell at most and at least, where there are as many; and phases of one frame.
MOST, FEWEST, PHASES = 100, 10, 2_000_000


@dataclass(frozen=True, kw_only=True)
class StructureFactor:
    """S(q) averaged over shells of wave vectors.

    Attributes
    ----------
    pair
        (A, B) of a partial structure factor; empty for that of all atoms.
    q
        (K,) mean length of the wave vectors of each shell, 1/Angstrom.
    s
        (K,)
    error
        (K,) standard error; None with too few frames.
    """

    pair: tuple[str, ...]
    q: Array
    s: Array
    error: Array | None

    @property
    def name(self) -> str:
        """Return the pair as `O-H`, or `all`."""
        return "-".join(self.pair) or "all"


class DirectStructureFactor:
    """Collects S(q) over frames, at wave vectors q = 2 pi h^-1 n that the periodic cell allows: no transform of g(r).

        rho_A(q) = sum_{i in A} exp(-i q r_i),      S(q) = < |rho(q)|^2 > / N,
        S_AB(q) = < Re rho_A(q) rho_B(q)^* > / sqrt(N_A N_B)        (N. W. Ashcroft and D. C. Langreth, 1967)

    At constant pressure n stays and q follows the cell. A shell that holds more than some wave vectors is sampled.

    Parameters
    ----------
    first
        The first frame, periodic along three axes.
    species
        (N,) name of the species of each atom.
    q_max
        1/Angstrom.
    seed
        Of the choice of wave vectors.
    """

    def __init__(self, first: Atoms, species: NDArray[np.str_], q_max: float, seed: int) -> None:
        self._names = list(dict.fromkeys(species.tolist()))
        self._members = [np.flatnonzero(species == name) for name in self._names]
        self._vectors = _chosen_vectors(first, q_max, np.random.default_rng(seed))
        lengths = np.linalg.norm(self._vectors @ (2 * np.pi * first.cell.reciprocal()), axis=1)
        _, self._shell, self._in_shell = np.unique(
            (lengths / SHELL).astype(int), return_inverse=True, return_counts=True
        )
        self._pairs = list(itertools.combinations_with_replacement(range(len(self._names)), 2))
        n_rows = 1 + (len(self._pairs) if len(self._names) > 1 else 0)
        self._shape = (n_rows, len(self._in_shell))
        self._values, self._lengths = BlockedSeries(n_rows * len(self._in_shell)), BlockedSeries(len(self._in_shell))

    def add(self, atoms: Atoms) -> None:
        """Compute the structure factors of one frame."""
        phases = _phases(atoms.get_scaled_positions(wrap=False), self._vectors)
        densities = [phases[:, members].sum(axis=1) for members in self._members]
        rows = [np.abs(sum(densities)) ** 2 / len(atoms)]
        if len(self._names) > 1:
            for a, b in self._pairs:
                scale = np.sqrt(len(self._members[a]) * len(self._members[b]))
                rows.append((densities[a] * densities[b].conj()).real / scale)
        self._values.add(np.concatenate([self._by_shell(row) for row in rows]))
        self._lengths.add(self._by_shell(np.linalg.norm(self._vectors @ (2 * np.pi * atoms.cell.reciprocal()), axis=1)))

    def _by_shell(self, values: Array) -> Array:
        return np.bincount(self._shell, weights=values) / self._in_shell

    def results(self) -> list[StructureFactor]:
        """Average over the frames: of all atoms first, then, with more than one species, the partial ones."""
        blocks = self._values.blocks().reshape(-1, *self._shape)
        q = self._lengths.blocks().mean(axis=0)
        pairs = [(), *((self._names[a], self._names[b]) for a, b in self._pairs)]
        return [
            StructureFactor(pair=pair, q=q, s=blocks[:, row].mean(axis=0), error=standard_errors(blocks[:, row]))
            for row, pair in enumerate(pairs[: self._shape[0]])
        ]


def _chosen_vectors(atoms: Atoms, q_max: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """List whole-number vectors n of half the sphere |q| <= q_max, some of each shell."""
    # |n_k| = |q . a_k| / 2 pi <= q_max |a_k| / 2 pi
    most = np.floor(q_max * atoms.cell.lengths() / (2 * np.pi)).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), axis=-1).reshape(-1, 3)
    # -q gives the same |rho|^2 as q: keep that whose first number that is not 0 is positive.
    first = grid[np.arange(len(grid)), (grid != 0).argmax(axis=1)]
    grid = grid[first > 0]
    lengths = np.linalg.norm(grid @ (2 * np.pi * atoms.cell.reciprocal()), axis=1)
    grid, lengths = grid[lengths <= q_max], lengths[lengths <= q_max]
    most_in_shell = int(np.clip(PHASES / (len(atoms) * q_max / SHELL), FEWEST, MOST))
    chosen = [
        members if len(members) <= most_in_shell else rng.choice(members, most_in_shell, replace=False)
        for members in (np.flatnonzero((lengths / SHELL).astype(int) == n) for n in range(int(q_max / SHELL) + 1))
    ]
    return grid[np.sort(np.concatenate(chosen))]


def _phases(scaled: Array, vectors: NDArray[np.int64]) -> NDArray[np.complex128]:
    """Compute exp(-2 pi i n . s), (Q, N), from the powers of one phase an axis."""
    found = np.ones((len(vectors), len(scaled)), dtype=np.complex128)
    for axis in range(3):
        most = int(np.abs(vectors[:, axis]).max(initial=0))
        powers = np.exp(-2j * np.pi * np.arange(-most, most + 1)[:, None] * scaled[:, axis])
        found *= powers[vectors[:, axis] + most]
    return found
