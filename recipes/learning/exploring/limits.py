"""What every way of using the members shares: what is not to be trusted, what may be labelled, how it ends."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms

from dp_sim.recipes.dynamics.watching.guards import fused_words
from dp_sim.recipes.learning.journal import Journal
from dp_sim.recipes.learning.labelling.labels import structure_hash
from dp_sim.recipes.learning.settings import LearnSettings


class Ended(NamedTuple):
    """Why the run is over: as it was asked for, or not; in words."""

    converged: bool
    words: str


def is_astray(atoms: Atoms, spread: float, settings: LearnSettings, journal: Journal) -> bool:
    """Tell whether a structure is not to be trusted: too uncertain, atoms in each other, or its label was refused."""
    if not spread <= settings.upper_limit or fused_words(atoms):
        return True
    return bool(journal.refused) and structure_hash(atoms) in journal.refused


def may_be_labelled(atoms: Atoms, spread: float, journal: Journal) -> bool:
    """Tell whether a label of this structure may be asked for: it is one of atoms, and none was asked for before."""
    if not np.isfinite(spread) or fused_words(atoms):
        return False
    key = structure_hash(atoms)
    return key not in journal.labels and key not in journal.failures


def without_budget(settings: LearnSettings, where: str, spread: float) -> Ended:
    """Say that a label is wanted and none may be computed any more."""
    return Ended(
        False,
        f"the budget of {settings.max_labels} labels is used up, and at {where} the uncertainty of a force is "
        f"{spread:.3g} eV/Å; --resume with more max_labels goes on",
    )
