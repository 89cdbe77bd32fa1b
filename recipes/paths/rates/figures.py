"""The energy profile with its stationary points, and the Arrhenius plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.rates.theory.eyring import Rates
from dp_sim.recipes.paths.rates.theory.fits import ArrheniusFit
from dp_sim.recipes.paths.rates.theory.states import State
from dp_sim.recipes.results.figures import COLOURS, new_figure, set_legend
from dp_sim.recipes.static.vib_result import VibResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def profile_figure(
    irc: IrcResult | None, reactants: Sequence[VibResult], saddle: VibResult, products: Sequence[VibResult]
) -> Figure:
    """Draw energies above the reactants: stationary points as bars, with the reaction coordinate between them."""
    figure, axes = new_figure("reaction coordinate (amu$^{1/2}$ Å)", "energy above the reactant (eV)")
    start = State(tuple(reactants))
    left, right = (-1.0, 1.0)
    if irc is not None and len(irc.images) > 1:
        arc = irc.arc_length
        away = [abs(end.get_potential_energy() - start.energy_eV) for end in (irc.reactant, irc.product)]
        arc = -arc if away[1] < away[0] else arc  # the reactant stands on the left
        left, right = float(arc.min()), float(arc.max())
        axes.plot(arc, irc.energies - start.energy_eV, ".-", color=COLOURS[0], markersize=3, linewidth=1)
    width = 0.12 * (right - left)
    sides = [(left - width, start, "reactant"), (0.0, State((saddle,)), "TS")]
    if products:
        sides.append((right + width, State(tuple(products)), "product"))
    for place, state, name in sides:
        above, ground = state.energy_eV - start.energy_eV, state.ground_eV - start.ground_eV
        axes.plot([place - width / 2, place + width / 2], [above, above], color=COLOURS[1], linewidth=2.5)
        axes.plot(
            [place - width / 2, place + width / 2], [ground, ground], color=COLOURS[2], linewidth=1.5, linestyle="--"
        )
        axes.annotate(
            f"{name} {round(above, 3) + 0.0:.3f}",
            (place, above),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.margins(x=0.1, y=0.15)
    axes.plot([], [], color=COLOURS[1], label="potential energy")
    axes.plot([], [], color=COLOURS[2], linestyle="--", label="with zero-point energy")
    set_legend(axes)
    return figure


def arrhenius_figure(
    table: Rates, heavy: Rates | None, spread: Any, fits: Mapping[str, ArrheniusFit | None], unit: str
) -> Figure:
    """Draw log10 k over 1000/T, with the error of the model, both fits, and other isotopes."""
    figure, axes = new_figure("1000 K / T", f"log$_{{10}}$ k ({unit})")
    inverse = 1000 / table.temperatures_K
    axes.plot(inverse, table.log10_forward, "o", color=COLOURS[0], markersize=4, label="k")
    if spread is not None:
        low, high = table.log10_forward - spread, table.log10_forward + spread
        axes.fill_between(inverse, low, high, color=COLOURS[0], alpha=0.2, linewidth=0, label="error of the model")
    if heavy is not None:
        axes.plot(inverse, heavy.log10_forward, "s", color=COLOURS[3], markersize=3, label="k with the isotopes")
    for (name, fit), colour, style in zip(fits.items(), COLOURS[1:], ("--", "-"), strict=False):
        if fit is not None:
            axes.plot(inverse, fit.log10_rate(table.temperatures_K), style, color=colour, linewidth=1, label=name)
    set_legend(axes)
    return figure
