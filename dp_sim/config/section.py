"""Base of all groups of settings: frozen; unknown keys and keys of another choice are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
)


class Section(BaseModel):
    """A group of settings, frozen, without unknown keys, infinities or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refuse_keys_of_others(section: Section, choice: str, own: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse keys that were given and that belong to another descriptor or optimiser.

    Parameters
    ----------
    section
        Settings as given.
    choice
        The setting that chooses, as "descriptor".
    own
        Choice -> the keys that it alone, or with some others, has.

    Raises
    ------
    ValueError
        Names the key, its owners and the keys of the choice.
    """
    chosen = getattr(section, choice)
    for key in sorted(section.model_fields_set):
        owners = [name for name, keys in own.items() if key in keys]
        if owners and key not in own[chosen]:
            raise ValueError(
                f"{key} belongs to the {choice} {' and '.join(owners)}, not to {chosen}, which has "
                f"{', '.join(own[chosen])}; leave it out"
            )


def without_defaults(section: Section, settings: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Drop keys that stand at their defaults, so that runs from before there were these keys go on."""
    fields = type(section).model_fields
    return {key: value for key, value in settings.items() if key not in keys or value != fields[key].default}


def without_keys_of_others(settings: dict[str, Any], chosen: str, own: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Drop keys that belong to other choices than `chosen`."""
    others = {key for keys in own.values() for key in keys} - set(own[chosen])
    return {key: value for key, value in settings.items() if key not in others}
