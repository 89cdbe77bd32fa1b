"""Commands that are made when they are asked for: the help, and completion, list them without importing any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand


class Listed(NamedTuple):
    """A command as the help lists it.

    Attributes
    ----------
    module
        Of `dp_sim.cli.commands`, with a function `register(app)`.
    panel
        Heading that it stands under.
    summary
        First sentence of its own help.
    name
        Where it is not that of the module.
    spelling
        Another one, which the help does not list.
    """

    module: str
    panel: str
    summary: str
    name: str = ""
    spelling: str = ""

    @property
    def called(self) -> str:
        """What stands on the command line."""
        return self.name or self.module.rpartition(".")[2]

    def stub(self) -> TyperCommand:
        """Make what the help shows of it."""
        return TyperCommand(self.called, help=self.summary, rich_help_panel=self.panel)


class OnDemand(Mapping[str, Any]):
    """Name -> command, whose module is imported when it is looked up.

    Parameters
    ----------
    listed
        All commands, in the order of the help.
    """

    def __init__(self, listed: Sequence[Listed]) -> None:
        self._listed = {one.called: one for one in listed}
        self._called = {one.spelling: one.called for one in listed if one.spelling}
        self._made: dict[str, Any] = {}

    def stubs(self) -> Mapping[str, TyperCommand]:
        """Return what the help shows of each."""
        return {name: one.stub() for name, one in self._listed.items()}

    def __getitem__(self, name: str) -> Any:
        name = self._called.get(name, name)
        if name not in self._made:
            one = self._listed[name]
            app = typer.Typer()
            import_module(f"dp_sim.cli.commands.{one.module}").register(app)
            self._made |= typer.main.get_group(app).commands
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)
