"""The rate constants of all steps of a chain, each with its verdict, and the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.matching import SAME_DISTANCES_A, difference
from dp_sim.recipes.paths.rates.chain.combined import (
    MOST_WAITING,
    NOTED_WAITING,
    Combined,
    at_temperature,
    combined,
    combined_members,
    steady_reasons,
)
from dp_sim.recipes.paths.rates.chain.network import Step
from dp_sim.recipes.paths.rates.chain.profile import Profile, profile_of
from dp_sim.recipes.paths.rates.chain.result import RateResult
from dp_sim.recipes.paths.rates.chain.sameness import labelled_difference
from dp_sim.recipes.paths.rates.joined import SAME_EV
from dp_sim.recipes.paths.rates.rate_constant import rate_constant
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.settings import RateSettings, TheorySettings
from dp_sim.recipes.paths.rates.stages import STEP, Stages
from dp_sim.recipes.paths.rates.theory.eyring import GIVE_IT
from dp_sim.recipes.paths.rates.verdict import committee_reasons


def theory(settings: RateSettings) -> dict[str, Any]:
    """Return the settings that a rate constant takes from those of the whole."""
    return {name: getattr(settings, name) for name in TheorySettings.model_fields if name != "seed"}


def shallow_words(profile: Profile) -> list[str]:
    """Say which intermediates are too shallow to hold a molecule at the temperature of a profile."""
    levels = profile.gibbs_eV
    found = []
    for point in range(2, len(profile.names) - 1, 2):
        above = 0.0 if levels is None else float(levels[point] - min(levels[point - 1], levels[point + 1]))
        if above > 0:
            found.append(
                f"{profile.names[point]} has {above:.4f} eV more free energy than a transition state beside it: it is "
                "too shallow to hold the molecule, which may pass both transition states in one go; the steady state "
                "counts both, and the rate constant may be larger by up to a factor of 2"
            )
    return found


def _same_words(steps: Sequence[RateConstantResult]) -> list[str]:
    """Say which steps lead from a molecule to the same one."""
    found = []
    for number, step in enumerate(steps, 1):
        pair = [part.atoms for part in (*step.reactants, *step.products)]
        energies = [part.energy_eV for part in (*step.reactants, *step.products)]
        if (
            len(pair) == 2
            and abs(energies[1] - energies[0]) <= SAME_EV
            and difference(*([one] for one in pair)) <= (SAME_DISTANCES_A)
        ):
            found.append(
                f"step {number} leads from a molecule to the same one with other numbers of like atoms, or to its "
                "mirror image: products that differ in nothing else are told apart here, as they were given"
            )
    return found


class ChainRate:
    """Steps in a row, which have been found.

    Parameters
    ----------
    stages
        Which run the recipes.
    steps
        In order, from the reactant to the product.
    minima
        The structures by the places that the steps name.
    settings
        Of the whole.
    """

    def __init__(self, stages: Stages, steps: Sequence[Step], minima: Sequence[Atoms], settings: RateSettings) -> None:
        self._stages, self._steps, self._minima, self._settings = stages, steps, minima, settings

    def result(self, remarks: Sequence[str]) -> RateResult:
        """Compute and judge every step, and put them together.

        Parameters
        ----------
        remarks
            On the first search, for a result that fails.
        """
        before = tuple(self._stages.costs)
        steps: list[RateConstantResult] = []
        for number, step in enumerate(self._steps, 1):
            steps.append(self._step(number, step, steps[-1] if steps else None))
        whole = combined(steps)
        reasons = [f"step {number}: {reason}" for number, step in enumerate(steps, 1) for reason in step.reasons]
        no_rate, leading = "", int(np.argmax([step.saddle.energy_eV for step in steps]))
        if whole is None:
            no_rate = self._lacking(steps)
        else:
            leading = int(
                np.argmax(at_temperature(whole.state.control, steps[0].conditions, self._settings.temperature_K))
            )
            no_rate = "; ".join(steady_reasons(whole.state, steps[0].conditions, self._settings.temperature_K))
            self._note(whole, steps)
        if no_rate:
            reasons.append(no_rate)
        return self._result(steps, None if no_rate else whole, no_rate, leading, reasons, remarks, before)

    def _step(self, number: int, step: Step, before: RateConstantResult | None) -> RateConstantResult:
        """Compute a step, from the very structure at which the one before ends."""
        settings = theory(self._settings) | {"path_degeneracy": None}
        start = self._minima[step.start] if before is None else before.products[0].atoms
        if before is not None:
            settings["molecularity"] = "auto"
        calc, end = self._stages.calculator, self._minima[step.end]
        return self._stages.do(
            STEP.format(number),
            lambda **keywords: rate_constant(
                start.copy(), step.saddle, calc, product=end.copy(), irc=step.irc, **settings, **keywords
            ),
            again=True,
        )

    def _exchanged(self) -> list[str]:
        """Say where an isotope is of an atom that has another number in a transition state than in its minima."""
        numbered = [entry for entry in self._settings.isotopes if entry.partition("=")[0].strip().isdecimal()]
        return [
            f"step {number}: isotopes: '{numbered[0]}' names an atom by its index, and the reaction coordinate has "
            "other numbers of like atoms than the minima; name elements (H=D)"
            for number, step in enumerate(self._steps, 1)
            if numbered and labelled_difference(step.irc.product, self._minima[step.end]) > SAME_DISTANCES_A
        ]

    def _lacking(self, steps: Sequence[RateConstantResult]) -> str:
        """Say why the steps cannot be put together."""
        without = [f"step {number} ({step.no_rate})" for number, step in enumerate(steps, 1) if step.table is None]
        if without:
            return f"no rate constant is known of {' and '.join(without)}"
        methods = [step.conditions.method for step in steps]
        if len(set(methods)) > 1:
            return f"the steps count free energies in different ways ({', '.join(methods)}); ask for one (thermo)"
        return "of an intermediate no free energy is known"

    def _note(self, whole: Combined, steps: Sequence[RateConstantResult]) -> None:
        """Say where the steady state is strained: forward, at other temperatures, back, and over shallow minima."""
        run, temperature = self._stages.run, self._settings.temperature_K
        conditions = steps[0].conditions
        waiting = float(at_temperature(whole.state.waiting, conditions, temperature))
        if NOTED_WAITING < waiting <= MOST_WAITING:
            run.note(
                f"{waiting:.2g} molecules wait in the intermediates for each of the reactant: the product appears more "
                f"slowly than by the rate constant of the steady state, by a factor of {1 + waiting:.2g}"
            )
        full = conditions.temperatures_K[whole.state.waiting > MOST_WAITING]
        if len(full):
            run.note(
                f"from {full.min():g} to {full.max():g} K more waits between than there is of the reactant: "
                "what the table and the fits give there is no rate constant"
            )
        if float(at_temperature(whole.reverse.waiting, conditions, temperature)) > MOST_WAITING:
            run.note(
                "backwards more waits in the intermediates than there is of the product: the rate constant back is the "
                "one forward over K, and by itself none"
            )
        for sentence in (*shallow_words(profile_of(steps, temperature)), *_same_words(steps)):
            run.note(sentence)

    def _result(
        self,
        steps: Sequence[RateConstantResult],
        whole: Combined | None,
        no_rate: str,
        leading: int,
        reasons: list[str],
        remarks: Sequence[str],
        before: Sequence[Any],
    ) -> RateResult:
        settings, top = self._settings, steps[leading]
        members = None if whole is None else combined_members(steps, leading)
        if members is not None and (std := members.std("log10_rates")) is not None:
            spread = float(at_temperature(std, top.conditions, settings.temperature_K))
            reasons += committee_reasons(None, settings.trust_eV_A, members, spread, settings.trust_log10)
        if settings.path_degeneracy is not None:
            reasons.append(
                f"path_degeneracy={settings.path_degeneracy:g} was given, and the reaction has {len(steps)} steps with "
                "one each, for which those from symmetry were taken; leave it out"
            )
        reasons += self._exchanged()
        spreads = [step.force_spread_eV_A for step in steps if step.force_spread_eV_A is not None]
        all_reasons = (*reasons, *remarks) if reasons else ()
        return RateResult(
            converged=not all_reasons,
            cause="FAIL: " + "; ".join(all_reasons) if all_reasons else "",
            reasons=all_reasons,
            temperature_K=settings.temperature_K,
            conditions=top.conditions,
            reactants=steps[0].reactants,
            saddle=top.saddle,
            products=steps[-1].products,
            irc=top.irc,
            table=None if whole is None else whole.table,
            no_rate=no_rate,
            tunnelling_words=f"of step {leading + 1}: {top.tunnelling_words}",
            paths=top.paths
            and top.paths._replace(words=f"of step {leading + 1}: {top.paths.words.removesuffix(GIVE_IT)}"),
            isotopes=settings.isotopes,
            heavy=None if whole is None else whole.heavy,
            members=members,
            force_spread_eV_A=max(spreads) if spreads else None,
            costs=(
                *before,
                *(
                    cost._replace(stage=f"{STEP.format(number)}: {cost.stage}")
                    for number, step in enumerate(steps, 1)
                    for cost in step.costs
                ),
            ),
            steps=tuple(steps),
            places=tuple(step.place or "neb, ts, irc" for step in self._steps),
        )
