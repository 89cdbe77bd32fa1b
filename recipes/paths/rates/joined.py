"""Whether the end of a path is what was given for it, and how it differs where it is not."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from dp_sim.recipes.paths.matching import SAME_DISTANCES_A, difference, same_bonds

#: Two relaxed copies of one minimum differ in energy by no more than this, eV.
SAME_EV = 0.02


def mismatch(end: Atoms, given: Sequence[Atoms], name: str) -> str:
    """Say how an end of a path differs from what was given for it, as a clause; empty where it is the same.

    Parameters
    ----------
    end
        With its energy.
    given
        One structure with its energy, or several that are apart: then each must be found among the fragments of `end`.
    name
        What the sentence calls it.
    """
    if len(given) > 1:
        return "" if same_bonds(end, given) else f"has other bonds than the {name}s given"
    apart = difference([end], given)
    if apart <= SAME_DISTANCES_A and abs(rise := _rise(end, given[0])) <= SAME_EV:
        return ""
    if apart <= SAME_DISTANCES_A:
        return f"has the shape of the {name} given, but lies {rise:+.3f} eV from it"
    kind = "is another conformer of" if same_bonds(end, given) else "has other bonds than"
    return f"{kind} the {name} given (distances differ by up to {apart:.2f} Angstrom, {_rise(end, given[0]):+.3f} eV)"


def _rise(end: Atoms, given: Atoms) -> float:
    return float(end.get_potential_energy() - given.get_potential_energy())
