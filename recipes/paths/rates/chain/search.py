"""The search for a row of elementary steps from reactant to product, where a first saddle point does not join them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.paths.band.find import GUIDE_FMAX, find_path
from dp_sim.recipes.paths.band.result import PathResult
from dp_sim.recipes.paths.irc.follow import IrcResult, follow_irc
from dp_sim.recipes.paths.rates.chain.network import PRODUCT, REACTANT, Network, Step
from dp_sim.recipes.paths.rates.settled import can_settle, reasons_at_rest
from dp_sim.recipes.paths.rates.stages import SEARCH, Stages
from dp_sim.recipes.paths.rates.verdict import path_reasons
from dp_sim.recipes.paths.saddle.result import TransitionStateResult
from dp_sim.recipes.paths.saddle.ts import refine_ts

#: Searches for a saddle point, at most, the first among them.
MOST_SEARCHES = 8


class Gap(NamedTuple):
    """Two minima between which a step is searched, and the highest image of a band between them, where there is one."""

    start: int
    end: int
    guess: Atoms | None = None


class ChainSearch:
    """Searches step by step, each in a folder of its own.

    Parameters
    ----------
    stages
        Which run the recipes.
    band
        Between the ends given.
    molecules
        What reacts: the reactant, or its two molecules.
    images
        Of each band; None: as many as it needs.

    Attributes
    ----------
    network
        What was found.
    words
        Why no row of steps joins the ends, as sentences; empty where one does, or nothing was searched.
    """

    def __init__(self, stages: Stages, band: PathResult, molecules: Sequence[Atoms], images: int | None) -> None:
        self.network = Network(band.images[0], band.images[-1], molecules)
        self.words: list[str] = []
        self._stages, self._band, self._molecules, self._images = stages, band, molecules, images
        self._searches = 1
        self._waiting: list[Gap] = []

    def steps(self, saddle: TransitionStateResult, irc: IrcResult | None) -> list[Step]:
        """Find the steps from reactant to product in order.

        Parameters
        ----------
        saddle, irc
            What the first search found.

        Returns
        -------
        list of Step
            Empty where the first reaction coordinate joins the ends itself, and where no row of steps was found.
        """
        if irc is None or not irc.converged or self._joins(irc):
            return []
        network, log = self.network, self._stages.run.log
        network.tried(REACTANT, PRODUCT)
        self._stages.run.note(
            "the reaction coordinate of the highest saddle point does not join the ends given: the reaction has more "
            "than one step, and the others are searched"
        )
        top = self._band.highest_index
        for part, (first, last) in zip(self._gaps(self._band, Gap(REACTANT, PRODUCT)), _spans(self._band), strict=True):
            if first < top < last:
                network.tried(part.start, part.end)
            else:
                self._waiting.append(part)
        self._keep(irc, saddle, "")
        while not network.is_joined(REACTANT, PRODUCT) and (gap := self._next()) is not None:
            if self._searches == MOST_SEARCHES:
                self.words.append(f"no more than {MOST_SEARCHES} searches are made")
                break
            self._searches += 1
            log(f"search {self._searches}: from {self._name(gap.start)} to {self._name(gap.end)}")
            if cause := self._search(gap, SEARCH.format(self._searches)):
                self.words.append(
                    f"search {self._searches}, from {self._name(gap.start)} to {self._name(gap.end)}, found no step: "
                    f"{cause}"
                )
        found = network.way()
        if found:
            self.words = []
        else:
            self.words.insert(0, self._unjoined())
        return found

    def _joins(self, irc: IrcResult) -> bool:
        """Tell whether a reaction coordinate joins the ends given, with soft motions at rest where that matters."""
        product = self._band.images[-1]
        if not path_reasons(irc, self._molecules, [product]):
            return True
        if len(self._molecules) > 1 or not can_settle(irc, self._molecules[0], product):
            return False
        ends, calc = (self._molecules[0], product), self._stages.calculator
        return self._stages.count("ends at rest", lambda: reasons_at_rest(irc, *ends, calc)) == []

    def _next(self) -> Gap | None:
        """Choose where to search: within a band that was cut first."""
        while self._waiting:
            gap = self._waiting.pop(0)
            if not self.network.is_joined(gap.start, gap.end):
                return gap
        pair = self.network.next_gap()
        return None if pair is None else Gap(*pair)

    def _gaps(self, band: PathResult, gap: Gap) -> list[Gap]:
        """List the steps of a band, between the minima at which it was cut; these are taken in."""
        inner = [self.network.add_minimum(band.images[cut]) for cut in band.cuts]
        pairs = pairwise([gap.start, *inner, gap.end])
        return [Gap(*pair, guess) for pair, guess in zip(pairs, band.saddles, strict=True)]

    def _search(self, gap: Gap, place: str) -> str:
        """Search a step; return why none was found, or an empty sentence."""
        stages, calc, remark = self._stages, self._stages.calculator, ""
        self.network.tried(gap.start, gap.end)
        try:
            if gap.guess is None:
                first, last = (self.network.minima[index] for index in gap[:2])
                band = stages.do(
                    f"{place}/neb",
                    lambda **keywords: find_path(first, last, calc, images=self._images, fmax=GUIDE_FMAX, **keywords),
                )
                remark = "" if band.converged else f"the band did not converge ({band.cause}); "
                gap, *self._waiting = self._gaps(band, gap)
                self.network.tried(gap.start, gap.end)
            guess = gap.guess
            saddle = stages.do(f"{place}/ts", lambda **keywords: refine_ts(guess, calc, **keywords))
            if not saddle.converged:
                return f"{remark}the search for the transition state did not converge ({saddle.cause})"
            irc = stages.do(f"{place}/irc", lambda **keywords: follow_irc(saddle, calc, **keywords))
        except InputError as error:
            if error.code == "ends-equal":
                self.network.equal(gap.start, gap.end)
                stages.run.log(f"{self._name(gap.start)} and {self._name(gap.end)} are one: {error}")
                return ""
            return f"{remark}{error}"
        if not irc.converged:
            return f"{remark}the reaction coordinate did not come to its ends: {irc.cause}"
        self._keep(irc, saddle, place)
        return ""

    def _keep(self, irc: IrcResult, saddle: TransitionStateResult, place: str) -> None:
        step = self.network.add_step(irc, saddle.atoms, place)
        words = (
            "leads from a minimum to itself"
            if step is None
            else (f"joins {self._name(step.start)} and {self._name(step.end)}")
        )
        self._stages.run.log(f"the reaction coordinate in {place + '/' if place else ''}irc {words}")

    def _name(self, index: int) -> str:
        if index in (REACTANT, PRODUCT):
            return ("the reactant", "the product")[index]
        energies = [float(self.network.minima[one].get_potential_energy()) for one in (index, REACTANT)]
        return f"minimum {index - 1} ({energies[0] - energies[1]:+.3f} eV)"

    def _unjoined(self) -> str:
        minima, steps = len(self.network.minima), self.network.steps
        pairs = ", ".join(
            f"{self._name(step.start)} to {self._name(step.end)} ({step.place + '/' if step.place else ''}irc)"
            for step in steps.values()
        )
        return (
            f"no row of elementary steps joins the ends given: {self._searches} searches found {minima - 2} minima "
            f"between and {len(steps)} steps, {pairs}"
            if steps
            else f"no row of elementary steps joins the ends given: {self._searches} searches found no step"
        )


def _spans(band: PathResult) -> list[tuple[int, int]]:
    """List the first and the last image of each step of a band."""
    return list(pairwise([0, *band.cuts, len(band.images) - 1]))
