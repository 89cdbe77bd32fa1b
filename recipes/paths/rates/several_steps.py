"""A reaction of several steps where one was asked for: the minima on its way, to be given one after the other."""

from __future__ import annotations

from pathlib import Path

from dp_sim.recipes.paths.band.result import INTERMEDIATE, PathResult
from dp_sim.recipes.paths.irc.follow import IrcResult
from dp_sim.recipes.paths.rates.joined import mismatch

ONE_BY_ONE = "give each pair of neighbouring minima by itself"


def several_steps(band: PathResult, irc: IrcResult | None, folder: Path | None) -> str:
    """Say by way of which minima a reaction goes; empty where nothing shows that there are any.

    Parameters
    ----------
    band
        Cut where it passed through an intermediate.
    irc
        Of its highest saddle point; None: it was not followed.
    folder
        Of the whole run, where the files named are; None: there are none, and attributes are named.

    Returns
    -------
    str
        A sentence for a rate constant that fails.
    """
    if band.cuts:
        between = ", ".join(f"neb/{INTERMEDIATE.format(number)}" for number in range(1, len(band.cuts) + 1))
        files = f"images {list(band.cuts)} of the band" if folder is None else f"{between} in {folder}"
        return f"the path has {len(band.cuts) + 1} steps, by way of {files}: {ONE_BY_ONE}"
    if irc is None or not irc.converged:
        return ""
    given = {"reactant": band.images[0], "product": band.images[-1]}
    found = {"reactant": irc.reactant, "product": irc.product}
    same = [(one, two) for one in found for two in given if not mismatch(found[one], [given[two]], two)]
    if len({one for one, _ in same}) != 1:
        return ""
    # An end that is both, of a molecule that rearranges to itself, counts as the one whose name it has.
    (end, known), other = max(same, key=lambda pair: pair[0] == pair[1]), {"reactant": "product", "product": "reactant"}
    place = f"irc/{other[end]}.extxyz in {folder}" if folder is not None else f"irc.{other[end]}"
    return (
        f"one end of the reaction coordinate is the {known} given, and the other is another minimum, {place}: from "
        f"there to the {other[known]} it takes another step; {ONE_BY_ONE}"
    )
