"""The structures that a run begins with, and what moves them: dynamics at a condition, or a search and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ase import Atoms

from dp_sim.config.recipe import RecipeSettings
from dp_sim.config.safe_yaml import load_yaml
from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.openmm_engine import openmm_for
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.plan import default_timestep_fs, make_plan
from dp_sim.recipes.dynamics.settings import NVESettings, NVTSettings
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.recipes.learning.exploring.along import KINDS
from dp_sim.recipes.learning.settings import LearnSettings

#: Temperature of the first set's dynamics for a search (K).
_USUAL_K = 300.0


class Starts(NamedTuple):
    """What a run begins with.

    Attributes
    ----------
    structures
        One, or the two ends of a path.
    conditions
        Of dynamics, or of the first set's.
    own
        Settings of the search; None: dynamics.
    """

    structures: tuple[Atoms, ...]
    conditions: Conditions
    own: RecipeSettings | None


def read_starts(atoms: Any, calculator: Any, settings: LearnSettings) -> Starts:
    """Check the structures as the recipe does that is run, and read its settings.

    Raises
    ------
    InputError
        Too few or too many structures; one that the recipe cannot run on; unknown settings.
    """
    given = [atoms] if isinstance(atoms, Atoms) or not isinstance(atoms, Sequence) else list(atoms)
    wanted = KINDS[settings.along].structures if settings.along in KINDS else 1
    if len(given) != wanted:
        which = "reactant and product" if wanted == 2 else "one structure"
        raise InputError("structures-count", f"along {settings.along} needs {which}, got {len(given)} structures")
    if settings.along not in KINDS:
        plan = make_plan(_dynamics(settings), given[0], calculator)
        if settings.dynamics_engine == "openmm":
            openmm_for(plan.atoms)
        return Starts((plan.atoms,), plan.conditions, None)
    structures = tuple(check_structure(one) for one in given)
    for one in structures:
        accept_state(one, calculator)
    conditions = Conditions(
        timestep_fs=default_timestep_fs(structures[0]),
        temperature_K=settings.temperature_K or _USUAL_K,
        seed=settings.seed,
    )
    return Starts(structures, conditions, _own(settings))


def _dynamics(settings: LearnSettings) -> NVESettings | NVTSettings:
    shared = {
        "temperature_K": settings.temperature_K,
        "steps": settings.steps,
        "timestep_fs": settings.timestep_fs,
        "sample_every": 1,
        "seed": settings.seed,
    }
    if settings.ensemble == "nve":
        return NVESettings.check(shared)
    return NVTSettings.check({**shared, "friction_per_ps": settings.friction_per_ps})


def _own(settings: LearnSettings) -> RecipeSettings:
    """Read the settings of the search."""
    kind = KINDS[settings.along].settings
    if settings.along_settings is None:
        return kind.check({"seed": settings.seed})
    file = Path(settings.along_settings)
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("config-malformed", f"along_settings: {file} cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise InputError("config-malformed", f"along_settings: {file} must hold settings of {settings.along}")
    return kind.check({"seed": settings.seed, **content})
