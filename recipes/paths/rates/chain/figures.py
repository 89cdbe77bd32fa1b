"""The energy profile of a row of elementary steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.band.ends import is_free
from dp_sim.recipes.paths.irc.result import IrcResult
from dp_sim.recipes.paths.matching.superposition import rotation_onto
from dp_sim.recipes.paths.rates.chain.profile import Profile
from dp_sim.recipes.results.figures import COLOURS, set_legend, style_axes
from dp_sim.recipes.results.page.scene import chosen_frames, movie

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Width of a level, where the next one is at 1, and inches for each point.
WIDTH, INCHES = 0.5, 1.15


def chain_figure(profile: Profile, ircs: Sequence[IrcResult | None], temperature_K: float) -> Figure:
    """Draw minima and transition states as levels of energy and free energy, joined by the reaction coordinates.

    Points stand at equal distances: each reaction coordinate is drawn from minimum to minimum, to scale on either side
    of its transition state.
    """
    from dp_sim.recipes.results.shown_figure import ShownFigure  # noqa: PLC0415 - it imports matplotlib

    places = np.arange(len(profile.names), dtype=float)
    figure = ShownFigure(figsize=(max(6.0, INCHES * len(places) + 1.0), 4.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    style_axes(axes, "", "above the reactant (eV)")
    for number, irc in enumerate(ircs):
        if irc is None or len(irc.images) < 2:
            continue
        base = profile.energies_eV[2 * number] - float(irc.reactant.get_potential_energy())
        arc = np.interp(irc.arc_length, [irc.arc_length[0], 0.0, irc.arc_length[-1]], [WIDTH / 2, 1.0, 2 - WIDTH / 2])
        along = 2 * number + np.concatenate([arc[:1], arc, arc[-1:]])  # with the minima to which the ends relaxed
        heights = [irc.reactant.get_potential_energy(), *irc.energies, irc.product.get_potential_energy()]
        axes.plot(along, np.array(heights) + base, color=COLOURS[0], linewidth=1)
    levels = [("potential energy", profile.energies_eV, COLOURS[1], "-")]
    if profile.gibbs_eV is not None:
        levels.append((f"free energy, {temperature_K:g} K", profile.gibbs_eV, COLOURS[2], "--"))
    for name, values, colour, style in levels:
        axes.hlines(
            values, places - WIDTH / 2, places + WIDTH / 2, color=colour, linewidth=2, linestyle=style, label=name
        )
        above = name == "potential energy"
        for place, value in zip(places, values, strict=True):
            axes.annotate(
                f"{round(value, 3) + 0.0:.3f}",
                (place, value),
                xytext=(0, 4 if above else -11),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=colour,
            )
    axes.set_xticks(places, profile.names, fontsize=8)
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.15)
    set_legend(axes)
    return figure


def chain_movie(ircs: Sequence[IrcResult]) -> dict[str, Any] | None:
    """Play the reaction coordinates one after the other, each frame with its step and its energy above the first.

    Each one is laid on the end of the one before, as a whole.
    """
    frames: list[Atoms] = []
    labels = []
    start = float(ircs[0].reactant.get_potential_energy())
    for number, irc in enumerate(ircs, 1):
        ours = (irc.reactant, *irc.images, irc.product)
        labels += [f"step {number}, {atoms.get_potential_energy() - start:.3f} eV" for atoms in ours]
        frames += _laid_on(frames[-1], ours) if frames else ours
    chosen = chosen_frames(len(frames), len(frames[0]))
    return movie([frames[k] for k in chosen], [labels[k] for k in chosen], back=True)


def _laid_on(last: Atoms, frames: Sequence[Atoms]) -> list[Atoms]:
    """Turn and move structures together, so that the first lies on another one; only what is alone in space."""
    if not is_free(last):
        return list(frames)
    first, middle = frames[0].positions.mean(axis=0), last.positions.mean(axis=0)
    turn = rotation_onto(last.positions - middle, frames[0].positions - first)
    laid = [atoms.copy() for atoms in frames]
    for atoms in laid:
        atoms.positions = (atoms.positions - first) @ turn + middle
    return laid
