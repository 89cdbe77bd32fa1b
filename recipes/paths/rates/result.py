"""What comes out of `rate_constant` and `dp-sim rate`: the verdict, k(T) with error bars, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.rates.costs import Cost
from dp_sim.recipes.paths.rates.figures import arrhenius_figure, profile_figure
from dp_sim.recipes.paths.rates.members import MemberRates
from dp_sim.recipes.paths.rates.spreads import LARGEST_LOG10, RateErrors, power_of_ten, power_quantity
from dp_sim.recipes.paths.rates.theory.eyring import L_PER_MOL, Conditions, Degeneracy, Rates, vineyard_rate
from dp_sim.recipes.paths.rates.theory.fits import ArrheniusFit, fit_arrhenius
from dp_sim.recipes.paths.rates.theory.mechanism import cantera_text
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.paths.rates.verdict import FAIL, PASS
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.static.vib_result import VibResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class RateConstantResult(Result):
    """A rate constant, PASS or FAIL.

    Attributes
    ----------
    reasons
        Why it is not to be believed, in sentences; empty for PASS.
    temperature_K
        Of `rate`.
    conditions
        Temperatures of the table, pressure, method of thermochemistry, tunnelling that was asked for.
    reactants, products
        Normal modes of the minima; no products where none is known.
    saddle
        Normal modes of the transition state.
    irc
        The reaction coordinate; None where it was not followed.
    table
        Rate constants over `conditions.temperatures_K`; None where there can be none.
    no_rate
        Then why, as a sentence.
    tunnelling_words
        Which tunnelling factor was used.
    paths
        Reaction-path degeneracy.
    isotopes, heavy
        Isotopes asked for, and the table with their masses.
    members
        What the members of a committee found; None without one.
    force_spread_eV_A
        Largest spread of the committee's forces on the path.
    costs
        Of each stage.
    """

    recipe: ClassVar[str] = "rate-constant"
    title: ClassVar[str] = "Rate constant"

    reasons: tuple[str, ...]
    temperature_K: float
    conditions: Conditions
    reactants: tuple[VibResult, ...]
    saddle: VibResult
    products: tuple[VibResult, ...] = ()
    irc: IrcResult | None = None
    table: Rates | None = None
    no_rate: str = ""
    tunnelling_words: str = ""
    paths: Degeneracy | None = None
    isotopes: tuple[str, ...] = ()
    heavy: Rates | None = None
    members: MemberRates | None = None
    force_spread_eV_A: float | None = None
    costs: tuple[Cost, ...] = ()

    @property
    def verdict(self) -> str:
        """`PASS` or `FAIL`."""
        return FAIL if self.reasons else PASS

    @property
    def rate(self) -> float | None:
        """The rate constant forward at `temperature_K`, in `rate_unit`; None where there is none."""
        return None if self.table is None else power_of_ten(self._at(self.table.log10_forward))

    @property
    def rate_unit(self) -> str:
        """`1/s` of one reactant, `cm^3/s` (per molecule) of two."""
        return "1/s" if len(self.reactants) == 1 else "cm^3/s"

    @property
    def rate_per_s(self) -> float | None:
        """The rate constant of one reactant, 1/s; None of two, and where there is none."""
        return self.rate if self.rate_unit == "1/s" else None

    @property
    def rate_L_mol_s(self) -> float | None:
        """The rate constant of two reactants, L/mol/s; None of one, and where there is none."""
        return None if self.rate is None or self.rate_unit == "1/s" else self.rate * L_PER_MOL

    @property
    def reverse_rate(self) -> float | None:
        """The rate constant backwards; in cm^3/s of two products, else 1/s. None without a product."""
        if self.table is None or self.table.log10_reverse is None:
            return None
        return power_of_ten(self._at(self.table.log10_reverse))

    @property
    def equilibrium_constant(self) -> float | None:
        """Ratio of the rate constants forward and back; None without a product."""
        if self.table is None or self.table.log10_equilibrium is None:
            return None
        return power_of_ten(self._at(self.table.log10_equilibrium))

    @property
    def barrier_eV(self) -> float:
        """Potential energy of the transition state above the reactants."""
        return State((self.saddle,)).energy_eV - State(self.reactants).energy_eV

    @property
    def kinetic_isotope_effect(self) -> float | None:
        """Rate constant of the masses of the structures over that of `isotopes`; None where none were asked for."""
        if self.table is None or self.heavy is None:
            return None
        return power_of_ten(self._at(self.table.log10_forward - self.heavy.log10_forward))

    @cached_property
    def arrhenius(self) -> ArrheniusFit | None:
        """K = A exp(-E / k_B T) over the temperatures of the table."""
        return self._fit(modified=False)

    @cached_property
    def modified_arrhenius(self) -> ArrheniusFit | None:
        """K = A (T / 1 K)^n exp(-E / k_B T) over the temperatures of the table."""
        return self._fit(modified=True)

    def _fit(self, *, modified: bool) -> ArrheniusFit | None:
        if self.table is None:
            return None
        return fit_arrhenius(self.table.temperatures_K, self.table.log10_forward, modified=modified)

    def _at(self, values: np.ndarray) -> float:
        """Pick the value at `temperature_K`, which is among those of the table."""
        return float(values[int(np.argmin(np.abs(self.conditions.temperatures_K - self.temperature_K)))])

    @property
    @override
    def outcome(self) -> str:
        if self.reasons:  # `cause` tells them; a result.json must not say beside it that all is well
            return ""
        number = f"{self.rate:.3g}" if self.rate is not None else "beyond the range of numbers"
        return (
            f"{self.verdict}: k({self.temperature_K:g} K) = {number} {self.rate_unit}; both ends are minima, the "
            "transition state has one imaginary mode, and the reaction coordinate joins them"
            + ("" if self.force_spread_eV_A is None else "; the committee knows the path")
        )

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "verdict": Quantity(self.verdict),
            **({"reasons": Quantity("; ".join(self.reasons))} if self.reasons else {}),
            "temperature": Quantity(self.temperature_K, "K"),
            **self._rate_quantities(),
            **self._barrier_quantities(),
            **self._fit_quantities(),
            **self._table_quantities(),
            "stages": Quantity([one.stage for one in self.costs]),
            "force_calls": Quantity([one.force_calls for one in self.costs]),
            "hessian_calls": Quantity([one.hessian_calls for one in self.costs]),
            "stage_times": Quantity([one.seconds for one in self.costs], "s"),
        }

    def _rate_quantities(self) -> dict[str, Quantity | Estimate]:
        if self.table is None or self.paths is None:
            return {"rate_constant": Quantity(None, self.rate_unit, self.no_rate)}
        logarithm, errors = self._at(self.table.log10_forward), self._errors
        numbers: dict[str, Quantity | Estimate] = {
            "rate_constant": errors.power(logarithm, self.rate_unit, "log10_rates"),
            "log10_rate_constant": Quantity(logarithm, model=self._errors.one("log10_rates")),
        }
        if self.rate_unit != "1/s":
            molar = logarithm + np.log10(L_PER_MOL)
            numbers["rate_constant_molar"] = errors.power(molar, "L/mol/s", "log10_rates")
        if self.table.log10_reverse is not None and self.table.log10_equilibrium is not None:
            back = "1/s" if len(self.products) == 1 else "cm^3/s"
            ratio = {("1/s", "1/s"): "", ("cm^3/s", "1/s"): "cm^3", ("1/s", "cm^3/s"): "cm^-3"}.get(
                (self.rate_unit, back), ""
            )
            numbers["reverse_rate_constant"] = errors.power(
                self._at(self.table.log10_reverse), back, "log10_rates", less="log10_equilibria"
            )
            equilibrium = self._at(self.table.log10_equilibrium)
            numbers["equilibrium_constant"] = errors.power(equilibrium, ratio, "log10_equilibria")
        if self.heavy is not None:
            numbers["isotopes"] = Quantity(", ".join(self.isotopes))
            effect = self._at(self.table.log10_forward - self.heavy.log10_forward)
            numbers["kinetic_isotope_effect"] = power_quantity(effect, "")
        gas = self.conditions.method != "harmonic"
        standard = (
            f"ideal gas at {self.conditions.pressure_bar:g} bar" if gas else "harmonic vibrations; no volume changes"
        )
        numbers |= {
            "tunnelling_factor": power_quantity(self._at(self.table.log10_transmission), ""),
            "tunnelling": Quantity(self.tunnelling_words),
            "path_degeneracy": Quantity(self.paths.forward),
            "degeneracy_from": Quantity(self.paths.words),
            "activation_gibbs_energy": Quantity(self._at(self.table.gibbs_eV), "eV", model=errors.one("gibbs_eV")),
            "standard_state": Quantity(standard),
        }
        if len(self.reactants) == 2 and gas:
            numbers["activation_gibbs_energy_1_mol_per_L"] = Quantity(
                self._molar_gibbs(), "eV", model=errors.one("gibbs_eV")
            )
        return numbers | self._vineyard_quantities()

    def _molar_gibbs(self) -> float:
        """Free energy of activation of two reactants at 1 mol/L: for each molecule that is lost, k T ln(c V)."""
        from ase import units  # noqa: PLC0415

        assert self.table is not None
        kT = units.kB * self.temperature_K
        litres = kT / (self.conditions.pressure_bar * 1e5 * units.Pascal) * 1e-27 * units._Nav
        return self._at(self.table.gibbs_eV) - kT * float(np.log(litres))

    def _vineyard_quantities(self) -> dict[str, Quantity | Estimate]:
        """Classical harmonic rate constant of what is no gas."""
        if self.conditions.method != "harmonic" or self.paths is None:
            return {}
        found = vineyard_rate(State(self.reactants), State((self.saddle,)), self.temperature_K, self.paths.forward)
        if found is None:
            return {}
        return {"vineyard_prefactor": Quantity(found[0], "1/s"), "vineyard_rate_constant": Quantity(found[1], "1/s")}

    def _barrier_quantities(self) -> dict[str, Quantity | Estimate]:
        frequencies = self.saddle.frequencies_cm1
        lowest = float(frequencies[0]) if len(frequencies) else None
        numbers: dict[str, Quantity | Estimate] = {
            "barrier": Quantity(self.barrier_eV, "eV", model=self._errors.one("barriers_eV"))
        }
        if self.table is not None:
            numbers["barrier_with_zero_point"] = Quantity(
                self.table.ground_barrier_eV, "eV", model=self._errors.one("ground_barriers_eV")
            )
        if self.products:
            reaction = State(self.products).energy_eV - State(self.reactants).energy_eV
            error = self._errors.one("reaction_energies_eV")
            numbers["reaction_energy"] = Quantity(reaction, "eV", model=error)
        if lowest is None:
            numbers["imaginary_frequency"] = Quantity(None, "cm^-1", "there is no vibration")
        else:
            error = self._errors.one("frequencies_cm1")
            numbers["imaginary_frequency"] = Quantity(lowest, "cm^-1", model=error)
        if self.members is not None:
            worth = self.members.worth
            words = "fewer than two members have it" if worth is None else f"{worth.words}, each at its own points"
            numbers["model_errors_from"] = Quantity("; ".join([words, *self.members.failures]))
        if self.force_spread_eV_A is not None:
            numbers["force_spread"] = Quantity(self.force_spread_eV_A, "eV/Angstrom")
        return numbers

    def _fit_quantities(self) -> dict[str, Quantity | Estimate]:
        numbers: dict[str, Quantity | Estimate] = {}
        for name, fit in (("arrhenius", self.arrhenius), ("modified_arrhenius", self.modified_arrhenius)):
            if fit is None or not 0 < fit.prefactor < float("inf"):
                continue
            numbers[f"{name}_prefactor"] = Quantity(fit.prefactor, self.rate_unit)
            if fit.exponent:
                numbers[f"{name}_exponent"] = Quantity(fit.exponent)
            numbers[f"{name}_energy"] = Quantity(fit.energy_eV, "eV")
            numbers[f"{name}_largest_ratio"] = Quantity(fit.largest_ratio)
        return numbers

    def _table_quantities(self) -> dict[str, Quantity | Estimate]:
        if self.table is None:
            return {}
        numbers: dict[str, Quantity | Estimate] = {
            "temperatures": Quantity(self.table.temperatures_K, "K"),
            "log10_rate_constants": Quantity(self.table.log10_forward, model=self._errors.all("log10_rates")),
        }
        if self.table.log10_reverse is not None and self.table.log10_equilibrium is not None:
            numbers["log10_reverse_rate_constants"] = Quantity(self.table.log10_reverse)
            numbers["log10_equilibrium_constants"] = Quantity(self.table.log10_equilibrium)
        numbers["tunnelling_factors"] = Quantity(10 ** np.minimum(self.table.log10_transmission, LARGEST_LOG10))
        gibbs = self._errors.all("gibbs_eV")
        numbers["activation_gibbs_energies"] = Quantity(self.table.gibbs_eV, "eV", model=gibbs)
        if self.heavy is not None:
            ratio = np.minimum(self.table.log10_forward - self.heavy.log10_forward, LARGEST_LOG10)
            numbers["kinetic_isotope_effects"] = Quantity(10**ratio)
        return numbers

    @override
    def tables(self) -> dict[str, QuantityTable]:
        shown = {}
        if self.table is not None:
            columns = {
                "temperatures": ("T", 2),
                "log10_rate_constants": (f"log10 k ({self.rate_unit})", 3),
                "log10_reverse_rate_constants": ("log10 k back", 3),
                "log10_equilibrium_constants": ("log10 K", 3),
                "tunnelling_factors": ("tunnelling", 3),
                "activation_gibbs_energies": ("G of activation", 4),
                "kinetic_isotope_effects": ("isotope effect", 3),
            }
            shown["rates"] = QuantityTable("Rate constants over the temperature; tunnelling is in them.", columns)
        columns = {"stages": ("stage", 0), "force_calls": ("energies and forces", 0), "hessian_calls": ("Hessians", 0)}
        shown["costs"] = QuantityTable(
            "What each stage cost; without exact Hessians, those by differences are among the forces.",
            {**columns, "stage_times": ("time", 1)},
        )
        return shown

    @property
    def _errors(self) -> RateErrors:
        """What the members say of the errors, at `temperature_K`."""
        return RateErrors(self.members, int(np.argmin(np.abs(self.conditions.temperatures_K - self.temperature_K))))

    @override
    def headline(self) -> tuple[str, ...]:
        return ("rate_constant", "barrier", "imaginary_frequency")

    @override
    def captions(self) -> dict[str, str]:
        return {
            "profile": "Energies of the ends and the transition state, joined by the reaction coordinate.",
            "arrhenius": "The rate constant over 1/T: where it bends away from the straight line, atoms tunnel.",
        }

    @override
    def animation(self) -> dict[str, Any] | None:
        return None if self.irc is None else self.irc.animation()

    @override
    def figures(self) -> dict[str, Figure]:
        drawn = {"profile": profile_figure(self.irc, self.reactants, self.saddle, self.products)}
        if self.table is not None and len(self.table.temperatures_K) > 1:
            error = self._errors.all("log10_rates")
            fits = {"Arrhenius": self.arrhenius, "modified Arrhenius": self.modified_arrhenius}
            drawn["arrhenius"] = arrhenius_figure(
                self.table, self.heavy, error and error.standard, fits, self.rate_unit
            )
        return drawn

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        for name, states in (("reactant", self.reactants), ("ts", (self.saddle,)), ("product", self.products)):
            if states:
                write_frames(path(f"{name}.extxyz"), [one.atoms for one in states])
        if self.table is None:
            return
        rows = {"temperature_K": self.table.temperatures_K, "log10_k": self.table.log10_forward}
        if self.table.log10_reverse is not None and self.table.log10_equilibrium is not None:
            rows |= {"log10_k_back": self.table.log10_reverse, "log10_K": self.table.log10_equilibrium}
        rows |= {"log10_tunnelling": self.table.log10_transmission, "activation_gibbs_eV": self.table.gibbs_eV}
        if (error := self._errors.all("log10_rates")) is not None:
            rows["model_error_of_log10_k"] = error.standard
        if self.heavy is not None:
            rows["log10_k_isotopes"] = self.heavy.log10_forward
        write_text(path("rates.csv"), csv_text(tuple(rows), np.column_stack(list(rows.values())).tolist()))
        if self.conditions.method != "harmonic" and self.products and self.modified_arrhenius is not None:
            write_text(path("mechanism.yaml"), self.to_cantera())

    def to_cantera(self) -> str:
        """Write thermochemistry and rate of a gas reaction as an input file of Cantera (YAML).

        Raises
        ------
        InputError
            `no-mechanism`: there is no rate constant, no product, or the reaction is not one of a gas.
        """
        from dp_sim.errors import InputError  # noqa: PLC0415

        fit = self.modified_arrhenius
        if self.table is None or fit is None or not self.products or self.conditions.method == "harmonic":
            lacking = self.no_rate or "it needs free molecules, a product, and three temperatures in the table"
            raise InputError("no-mechanism", f"a mechanism for Cantera cannot be written: {lacking}")
        temperatures = self.table.temperatures_K
        return cantera_text(
            [self.reactants, self.products],
            [fit],
            (float(temperatures[0]), float(temperatures[-1])),
            method=self.conditions.method,
            pressure_bar=self.conditions.pressure_bar,
        )
