"""Minima and the elementary steps between them, as a graph: what joins reactant and product, and where to look next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, permutations
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.irc.result import IrcResult
from dp_sim.recipes.paths.matching import SAME_DISTANCES_A, difference
from dp_sim.recipes.paths.rates.chain.sameness import (
    Placement,
    labelled_difference,
    moved,
    moved_irc,
    placement,
    reversed_irc,
    same_energy,
)
from dp_sim.recipes.paths.rates.joined import mismatch

if TYPE_CHECKING:
    import networkx

#: The places of reactant and product in the list of minima.
REACTANT, PRODUCT = 0, 1


@dataclass(frozen=True)
class Step:
    """An elementary step.

    Attributes
    ----------
    start, end
        Its minima, by their places in the list of minima.
    saddle
        With its energy.
    irc
        From the one to the other.
    place
        Where it was found: the folder of the search in the run's directory, empty for the first search.
    """

    start: int
    end: int
    saddle: Atoms
    irc: IrcResult
    place: str

    def backwards(self) -> Step:
        """Take it the other way round."""
        return Step(self.end, self.start, self.saddle, reversed_irc(self.irc), self.place)


class Network:
    """Minima, numbered atom by atom as the reactant and the product are, and the steps between them.

    Parameters
    ----------
    reactant, product
        Minima with their energies.
    molecules
        What reacts: the reactant, or its molecules where these come together from far apart. Then any structure with
        their bonds is the reactant.
    """

    def __init__(self, reactant: Atoms, product: Atoms, molecules: Sequence[Atoms]) -> None:
        self.minima = [reactant, product]
        self.steps: dict[frozenset[int], Step] = {}
        self._molecules = molecules
        self._tried: set[frozenset[int]] = set()
        self._equal: set[frozenset[int]] = set()

    def add_minimum(self, atoms: Atoms) -> int:
        """Take a minimum in, with its energy, where it is not known atom by atom; return its place."""
        for index in range(len(self.minima)):
            if self._is(atoms, index) and (self._is_apart(index) or self._labelled(atoms, index)):
                return index
        self.minima.append(atoms)
        self._renumber_steps()
        return len(self.minima) - 1

    def add_step(self, irc: IrcResult, saddle: Atoms, place: str) -> Step | None:
        """Take a step in with the minima at its ends; None where it leads from a minimum to itself.

        Of two steps between the same minima the lower one stays.
        """
        step = self._placed(irc, saddle, place)
        if step.start == step.end:
            return None
        pair = frozenset((step.start, step.end))
        known = self.steps.get(pair)
        if known is None or saddle.get_potential_energy() < known.saddle.get_potential_energy():
            self.steps[pair] = step
            self._renumber_steps()
        return step

    def _renumber_steps(self) -> None:
        """Take the known steps with other numbers of like atoms, or mirrored, where these join two minima, too.

        In a molecule that rearranges to itself by way of another, the second step is the first one with other numbers.
        """
        for known in list(self.steps.values()):
            ends = (known.irc.reactant, known.irc.product)
            for start, end in permutations(range(len(self.minima)), 2):
                pair = frozenset((start, end))
                if pair not in self.steps and self._joins(ends, start, end):
                    self.steps[pair] = self._numbered(replace(known, start=start, end=end))

    def _placed(self, irc: IrcResult, saddle: Atoms, place: str) -> Step:
        ends = (irc.reactant, irc.product)
        for start, end in permutations(range(len(self.minima)), 2):
            if self._joins(ends, start, end):
                return self._numbered(Step(start, end, saddle, irc, place))
        for side, index in ((side, index) for side in (0, 1) for index in range(len(self.minima))):
            if (how := self._placement(ends[side], index)) is None:
                continue
            laid, top = moved_irc(irc, how), moved(saddle, how)
            other = self.add_minimum((laid.product, laid.reactant)[side])
            first, last = (index, other) if side == 0 else (other, index)
            return Step(first, last, top, laid, place)
        return Step(self.add_minimum(ends[0]), self.add_minimum(ends[1]), saddle, irc, place)

    def _numbered(self, step: Step) -> Step:
        """Give a step the numbers that its two minima have, where one renumbering does so for both."""
        how = self._placement(step.irc.reactant, step.start)
        if how is None or self._is_apart(step.end):
            return step
        irc = moved_irc(step.irc, how)
        if not self._labelled(irc.product, step.end):
            return step
        return replace(step, irc=irc, saddle=moved(step.saddle, how))

    def _joins(self, ends: tuple[Atoms, Atoms], start: int, end: int) -> bool:
        """Tell whether ends are two known minima with one numbering for both."""
        if not (self._is(ends[0], start) and self._is(ends[1], end)):
            return False
        if self._is_apart(start) or self._is_apart(end):
            return True
        return difference(ends, [self.minima[start], self.minima[end]]) <= SAME_DISTANCES_A

    def _is(self, atoms: Atoms, index: int) -> bool:
        """Tell whether a structure is a minimum, whatever the numbers of its atoms."""
        given = self._molecules if self._is_apart(index) else [self.minima[index]]
        return not mismatch(atoms, given, "")

    def _is_apart(self, index: int) -> bool:
        return index == REACTANT and len(self._molecules) > 1

    def _labelled(self, atoms: Atoms, index: int) -> bool:
        minimum = self.minima[index]
        return same_energy(atoms, minimum) and labelled_difference(atoms, minimum) <= SAME_DISTANCES_A

    def _placement(self, atoms: Atoms, index: int) -> Placement | None:
        if self._is_apart(index):
            return Placement(np.arange(len(atoms)), mirrored=False) if self._is(atoms, index) else None
        return placement(atoms, self.minima[index])

    def tried(self, start: int, end: int) -> None:
        """Note that a step between two minima was searched: it is not again."""
        self._tried.add(frozenset((start, end)))

    def equal(self, start: int, end: int) -> None:
        """Note that two minima are one: they relax into each other."""
        self._equal.add(frozenset((start, end)))

    def is_joined(self, start: int, end: int) -> bool:
        """Tell whether steps lead from one minimum to another."""
        import networkx

        return bool(networkx.has_path(self._known(), start, end))

    def next_gap(self) -> tuple[int, int] | None:
        """Choose two minima between which to search; None where nothing is left to be tried.

        Of all ways from the reactant to the product that known steps and untried gaps make, the one whose gaps have the
        least sum of squares: J. M. Carr, S. A. Trygubenko, D. J. Wales, J. Chem. Phys. 122, 234903 (2005).
        """
        import networkx

        graph = self._known()
        for start, end in combinations(range(len(self.minima)), 2):
            pair = frozenset((start, end))
            if pair not in self._tried and not graph.has_edge(start, end):
                graph.add_edge(start, end, gap=self._gap(start, end) ** 2)
        if not networkx.has_path(graph, REACTANT, PRODUCT):
            return None
        way = networkx.shortest_path(graph, REACTANT, PRODUCT, weight="gap")
        gaps = [pair for pair in pairwise(way) if graph.edges[pair]["gap"]]
        return gaps[0] if gaps else None

    def _gap(self, start: int, end: int) -> float:
        first, second = (self.minima[index] for index in (start, end))
        mic = bool(first.pbc.any())
        return float(np.linalg.norm(first.get_all_distances(mic=mic) - second.get_all_distances(mic=mic)))

    def _known(self) -> networkx.Graph:
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(range(len(self.minima)))
        graph.add_edges_from(self._equal, gap=0.0, height=-np.inf)
        for pair, step in self.steps.items():
            graph.add_edge(*pair, gap=0.0, height=float(step.saddle.get_potential_energy()))
        return graph

    def way(self) -> list[Step]:
        """List the steps from reactant to product, over the lowest saddle points; empty where they are not joined."""
        import networkx

        tree = networkx.minimum_spanning_tree(self._known(), weight="height")
        if not networkx.has_path(tree, REACTANT, PRODUCT):
            return []
        found = []
        for start, end in pairwise(networkx.shortest_path(tree, REACTANT, PRODUCT)):
            step = self.steps.get(frozenset((start, end)))
            if step is not None:
                found.append(step if step.start == start else step.backwards())
        return found
