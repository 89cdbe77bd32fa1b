"""The figures of an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scipy.signal import find_peaks

from dp_sim.recipes.analysis.series import Array
from dp_sim.recipes.analysis.structure.rdf import PairDistribution
from dp_sim.recipes.analysis.structure.scattering import StructureFactor
from dp_sim.recipes.analysis.transport.displacements import Displacements
from dp_sim.recipes.analysis.transport.green_kubo import GreenKubo
from dp_sim.recipes.analysis.transport.velocities import DensityOfStates, VelocityCorrelation
from dp_sim.recipes.results.figures import COLOURS, new_figure, new_panels, set_legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How many times higher than the next lower peak one is that does not fit into the same plot.
TALLER = 3.0


def _band(axes: Axes, x: Array, y: Array, error: Array | None, number: int, label: str) -> None:
    """Draw a curve with the band of its 95 % interval."""
    colour = COLOURS[number % len(COLOURS)]
    axes.plot(x, y, color=colour, linewidth=1.0, label=label)
    if error is not None:
        axes.fill_between(x, y - 2 * error, y + 2 * error, color=colour, alpha=0.25, linewidth=0)


def radial(distributions: Sequence[PairDistribution]) -> Figure:
    """Draw g(r) with its band, and the number of neighbours with the first minima."""
    figure, (left, right) = new_panels([("r (Å)", "g(r)"), ("r (Å)", "neighbours within r")])
    most = 0.0
    for number, one in enumerate(distributions):
        colour = COLOURS[number % len(COLOURS)]
        _band(left, one.r, one.g, one.error, number, one.name)
        right.plot(one.r, one.neighbors, color=colour, linewidth=1.0, label=f"{one.pair[1]} about {one.pair[0]}")
        shell = one.coordinations[0]
        if shell.radius.value is not None and shell.number.value is not None:
            right.plot(shell.radius.value, shell.number.value, "o", color=colour, markersize=4)
            most = max(most, shell.number.value)
    if most:
        right.set_ylim(0, 2.5 * most)
    _cut_tall_peaks(left, distributions)
    for axes in (left, right):
        set_legend(axes)
    return figure


def _cut_tall_peaks(axes: Axes, distributions: Sequence[PairDistribution]) -> None:
    """Cut peaks of bonds that would flatten all others, and write how high they are."""
    tops = []
    for one in distributions:
        for peak in find_peaks(one.g, height=1.0)[0]:
            tops.append((float(one.g[peak]), float(one.r[peak])))
    tops.sort()
    steps = [number for number in range(1, len(tops)) if tops[number][0] > TALLER * tops[number - 1][0]]
    if not steps:
        return
    limit = 1.6 * tops[steps[0] - 1][0]
    axes.set_ylim(-0.03 * limit, limit)
    for height, r in tops[steps[0] :]:
        axes.annotate(
            f"{height:.0f}", (r, limit), xytext=(3, -2), textcoords="offset points", va="top", fontsize="small"
        )


def scattering(factors: Sequence[StructureFactor]) -> Figure:
    """Draw S(q), direct from the wave vectors of the cell, with its band."""
    figure, axes = new_figure("q (1/Å)", "S(q)")
    for number, one in enumerate(factors):
        _band(axes, one.q, one.s, one.error, number, one.name)
    set_legend(axes)
    return figure


def displacement(displacements: Sequence[Displacements]) -> Figure:
    """Draw MSD against time on logarithmic axes, with the window of the fit and its line."""
    figure, axes = new_figure("time (ps)", "mean square displacement (Å²)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for number, one in enumerate(displacements):
        colour = COLOURS[number % len(COLOURS)]
        moved = one.msd_A2 > 0
        axes.plot(one.time_ps[moved], one.msd_A2[moved], color=colour, linewidth=1.0, label=one.species)
        if one.error_A2 is not None:
            low = (one.msd_A2 - 2 * one.error_A2).clip(min=1e-3 * one.msd_A2)[moved]
            high = (one.msd_A2 + 2 * one.error_A2)[moved]
            axes.fill_between(one.time_ps[moved], low, high, color=colour, alpha=0.25, linewidth=0)
        if one.window_ps is not None:
            axes.axvspan(*one.window_ps, color=colour, alpha=0.08, linewidth=0)
    set_legend(axes)
    return figure


def velocities(correlations: Sequence[VelocityCorrelation]) -> Figure:
    """Draw the velocity autocorrelation and the running integral of D with its band and cut."""
    figure, (left, right) = new_panels(
        [("time (ps)", "velocity autocorrelation"), ("upper limit (ps)", "D (10⁻⁹ m²/s)")]
    )
    for number, one in enumerate(correlations):
        left.plot(one.time_ps, one.correlation, color=COLOURS[number % len(COLOURS)], linewidth=1.0, label=one.species)
        _integral(right, one.green_kubo, number, one.species)
    set_legend(left)
    return figure


def states(density: DensityOfStates) -> Figure:
    """Draw the vibrational density of states, of all atoms and of each element."""
    figure, axes = new_figure("frequency (1/cm)", "modes per 1/cm")
    axes.plot(density.frequency_cm1, density.total, color="0.2", linewidth=1.0, label="all")
    if len(density.per_element) > 1:
        for number, (name, part) in enumerate(density.per_element.items()):
            axes.plot(density.frequency_cm1, part, color=COLOURS[number % len(COLOURS)], linewidth=0.8, label=name)
    set_legend(axes)
    return figure


def green_kubo(found: GreenKubo, label: str) -> Figure:
    """Draw a running Green-Kubo integral with its band and where it is cut."""
    figure, axes = new_figure("upper limit (ps)", label)
    _integral(axes, found, 0, "")
    return figure


def _integral(axes: Axes, found: GreenKubo, number: int, label: str) -> None:
    _band(axes, found.time_ps, found.integral, found.error, number, label)
    if found.cut_ps is not None:
        axes.axvline(found.cut_ps, color=COLOURS[number % len(COLOURS)], linestyle="--", linewidth=0.8)
