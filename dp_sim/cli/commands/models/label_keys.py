"""Options that name the labels of data files, shared by the commands that read data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dp_sim.config.training import LabelKeys

LABELS = "Names of labels (well-known ones are found by themselves)"


def _help(label: str, unit: str) -> str:
    return f"Name of the {label} in the file ({unit})."


EnergyKeyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help=_help("energy", "eV"), rich_help_panel=LABELS, show_default=False)
]
ForcesKeyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help=_help("forces", "eV/Å"), rich_help_panel=LABELS, show_default=False)
]
VirialKeyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help=_help("virial", "eV"), rich_help_panel=LABELS, show_default=False)
]
StressKeyOption = Annotated[
    str | None, typer.Option(metavar="NAME", help=_help("stress", "eV/Å³"), rich_help_panel=LABELS, show_default=False)
]


def label_keys(energy: str | None, forces: str | None, virial: str | None, stress: str | None) -> LabelKeys:
    """Return the names given as settings; InputError for an empty one."""
    from dp_sim.config.training import LabelKeys
    from dp_sim.errors import InputError

    if "" in (energy, forces, virial, stress):
        raise InputError("label-key-empty", "a name of a label is empty; give the name that stands in the file")
    return LabelKeys(energy=energy, forces=forces, virial=virial, stress=stress)
