"""What every group of settings shares: frozen, unknown keys refused, keys of another choice refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refuse_keys_of_others(section: Section, choice: str, own: Mapping[str, tuple[str, ...]]) -> None:
    """ValueError for a key that was given and that the chosen descriptor or optimiser does not have."""
    chosen = getattr(section, choice)
    for key in sorted(section.model_fields_set):
        owners = [name for name, keys in own.items() if key in keys]
        if owners and key not in own[chosen]:
            raise ValueError(
                f"{key} belongs to the {choice} {' and '.join(owners)}, not to {chosen}, which has "
                f"{', '.join(own[chosen])}; leave it out"
            )


def without_keys_of_others(settings: dict[str, Any], chosen: str, own: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    others = {key for keys in own.values() for key in keys} - set(own[chosen])
    return {key: value for key, value in settings.items() if key not in others}
