"""What comes out of `dp-sim rate`: of one elementary step, or of several in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from dp_sim.errors import InputError
from dp_sim.recipes.paths.rates.chain.combined import Combined, at_temperature, combined
from dp_sim.recipes.paths.rates.chain.figures import chain_figure, chain_movie
from dp_sim.recipes.paths.rates.chain.profile import Profile, profile_of
from dp_sim.recipes.paths.rates.result import RateConstantResult
from dp_sim.recipes.paths.rates.spreads import LARGEST_LOG10
from dp_sim.recipes.paths.rates.theory.mechanism import cantera_text
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dp_sim.recipes.paths.rates.theory.fits import ArrheniusFit


@dataclass(frozen=True, kw_only=True)
class RateResult(RateConstantResult):
    """The same, with its way from the two structures given; the stages are in folders of the run's directory.

    Of a reaction of several steps, `saddle`, `irc`, `paths` and the barrier are those of the step that controls the
    rate most; `table` and `rate` are of the whole.

    Attributes
    ----------
    steps
        The elementary steps, from reactant to product; empty where the reaction is one step.
    places
        Of each, the folder with its path, transition state and reaction coordinate.
    """

    recipe: ClassVar[str] = "rate"
    title: ClassVar[str] = "Reaction rate"

    steps: tuple[RateConstantResult, ...] = ()
    places: tuple[str, ...] = ()

    @cached_property
    def _whole(self) -> Combined | None:
        return combined(self.steps) if self.steps else None

    @property
    def step_control(self) -> np.ndarray | None:
        """(n,) share of each step in what holds the reaction up, at `temperature_K`; None of one step."""
        if self._whole is None:
            return None
        return at_temperature(self._whole.state.control, self.conditions, self.temperature_K)

    @property
    def energy_profile(self) -> Profile | None:
        """Minima and transition states in order, with their energies at `temperature_K`; None of one step."""
        return profile_of(self.steps, self.temperature_K) if self.steps else None

    @property
    @override
    def outcome(self) -> str:
        if not self.steps or self.reasons:
            return super().outcome
        number = f"{self.rate:.3g}" if self.rate is not None else "beyond the range of numbers"
        return (
            f"{self.verdict}: k({self.temperature_K:g} K) = {number} {self.rate_unit} by {len(self.steps)} elementary "
            "steps in the steady state; no minimum has an imaginary mode, each transition state has one, and the "
            "reaction coordinates join them from reactant to product"
            + ("" if self.force_spread_eV_A is None else "; the committee knows the path")
        )

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return super().quantities() | self._step_quantities()

    def _step_quantities(self) -> dict[str, Quantity | Estimate]:
        profile = self.energy_profile
        if profile is None:
            return {}
        numbers: dict[str, Quantity | Estimate] = {
            "elementary_steps": Quantity(len(self.steps)),
            "step_numbers": Quantity([str(number) for number in range(1, len(self.steps) + 1)]),
            "step_places": Quantity(list(self.places)),
            "step_verdicts": Quantity([step.verdict for step in self.steps]),
            "step_barriers": Quantity([step.barrier_eV for step in self.steps], "eV"),
            "step_imaginary_frequencies": Quantity(
                [float(step.saddle.frequencies_cm1[0]) for step in self.steps], "cm^-1"
            ),
        }
        if self._whole is not None and self.step_control is not None:
            tables = [step.table for step in self.steps if step.table is not None]
            for name, field in (
                ("step_log10_rate_constants", "log10_forward"),
                ("step_log10_reverse_rate_constants", "log10_reverse"),
                ("step_log10_tunnelling_factors", "log10_transmission"),
            ):
                numbers[name] = Quantity([self._at(getattr(one, field)) for one in tables])
            numbers["step_control"] = Quantity(self.step_control)
            numbers["controlling_step"] = Quantity(int(np.argmax(self.step_control)) + 1)
            waiting = at_temperature(self._whole.state.log10_waiting, self.conditions, self.temperature_K)
            numbers["waiting_in_intermediates"] = Quantity(10 ** np.minimum(waiting, LARGEST_LOG10))
        return numbers | {
            "points": Quantity(list(profile.names)),
            "point_energies": Quantity(profile.energies_eV, "eV"),
            "point_energies_with_zero_point": Quantity(profile.ground_eV, "eV"),
            **({} if profile.gibbs_eV is None else {"point_gibbs_energies": Quantity(profile.gibbs_eV, "eV")}),
        }

    @override
    def tables(self) -> dict[str, QuantityTable]:
        shown = super().tables()
        if not self.steps:
            return shown
        columns = {
            "step_numbers": ("step", 0),
            "step_barriers": ("barrier", 4),
            "step_imaginary_frequencies": ("imaginary", 0),
            "step_log10_rate_constants": (f"log10 k({self.temperature_K:g} K)", 3),
            "step_log10_reverse_rate_constants": ("log10 k back", 3),
            "step_log10_tunnelling_factors": ("log10 tunnelling", 3),
            "step_control": ("control of the rate", 3),
            "step_verdicts": ("verdict", 0),
            "step_places": ("found in", 0),
        }
        points = {
            "points": ("point", 0),
            "point_energies": ("E", 4),
            "point_energies_with_zero_point": ("E + zero point", 4),
            "point_gibbs_energies": (f"G({self.temperature_K:g} K)", 4),
        }
        return {
            "steps": QuantityTable("The elementary steps; the folder step-N has the rate constants of each.", columns),
            "points": QuantityTable("Minima and transition states above the reactant.", points),
            **shown,
        }

    @override
    def _vineyard_quantities(self) -> dict[str, Quantity | Estimate]:
        return {} if self.steps else super()._vineyard_quantities()

    @override
    def figures(self) -> dict[str, Figure]:
        drawn = super().figures()
        if (profile := self.energy_profile) is not None:
            drawn["profile"] = chain_figure(profile, [step.irc for step in self.steps], self.temperature_K)
        return drawn

    @override
    def captions(self) -> dict[str, str]:
        if not self.steps:
            return super().captions()
        return super().captions() | {
            "profile": "Minima and transition states of all steps, joined by the reaction coordinates; dashed: with "
            "thermal motion, at the temperature of the rate constant."
        }

    @override
    def animation(self) -> dict[str, Any] | None:
        ircs = [step.irc for step in self.steps if step.irc is not None]
        return chain_movie(ircs) if ircs else super().animation()

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        super().write_data(path)
        if self.steps:
            points = [self.reactants[0].atoms] if len(self.reactants) == 1 else []
            for step in self.steps:
                points += [step.saddle.atoms, *(part.atoms for part in step.products)]
            write_frames(path("chain.extxyz"), points)

    @override
    def to_cantera(self) -> str:
        if not self.steps:
            return super().to_cantera()
        fits: Sequence[ArrheniusFit | None] = [step.modified_arrhenius for step in self.steps]
        known = [fit for fit in fits if fit is not None]
        sides = [self.reactants, *(step.products for step in self.steps)]
        if len(known) < len(fits) or not all(sides) or self.conditions.method == "harmonic":
            raise InputError(
                "no-mechanism",
                "a mechanism for Cantera cannot be written: every step needs free molecules, a product, and three "
                "temperatures in its table",
            )
        temperatures = self.conditions.temperatures_K
        return cantera_text(
            sides,
            known,
            (float(temperatures[0]), float(temperatures[-1])),
            method=self.conditions.method,
            pressure_bar=self.conditions.pressure_bar,
        )
