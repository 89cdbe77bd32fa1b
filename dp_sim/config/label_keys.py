"""Names of labels in data files: as keys of the training input, and as settings of what else reads labelled data."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.config.section import Section
from dp_sim.errors import InputError

#: Label -> its unit and what else is to be known of its value in a file.
_LABELS = {
    "energy": ("eV", "Such as REF_energy."),
    "forces": ("eV/Å", ""),
    "virial": ("eV", "A virial named alone is read alone."),
    "stress": ("eV/Å³", "In ASE's sign: -virial / volume."),
}


def _name_of(label: str, *, min_length: int | None = None) -> Any:
    """Declare the setting that holds the name of a label; None: the well-known names are tried."""
    unit, detail = _LABELS[label]
    return setting(
        None,
        f"Name of the {label} in the file",
        unit=unit,
        detail=detail,
        metavar="NAME",
        panel="Names of labels (well-known ones are found by themselves)",
        min_length=min_length,
    )


class LabelKeys(Section):
    """Names of labels in files that ASE reads; None finds the well-known ones. A virial named alone is read alone."""

    energy: str | None = _name_of("energy", min_length=1)
    forces: str | None = _name_of("forces", min_length=1)
    virial: str | None = _name_of("virial", min_length=1)
    stress: str | None = _name_of("stress", min_length=1)


class LabelKeySettings(RecipeSettings):
    """Names of labels, as settings of a recipe and options of a command."""

    energy_key: str | None = _name_of("energy")
    forces_key: str | None = _name_of("forces")
    virial_key: str | None = _name_of("virial")
    stress_key: str | None = _name_of("stress")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        for label in LabelKeys.model_fields:
            if getattr(self, f"{label}_key") == "":
                raise InputError(
                    "label-key-empty", f"{label}_key is empty; give the name that the label has in the file"
                )
        return self

    def label_keys(self) -> LabelKeys:
        """Return the names as what reads data takes them."""
        return LabelKeys(**{label: getattr(self, f"{label}_key") for label in LabelKeys.model_fields})
