"""The help of `dp-sim` itself, in the look of typer's, which loads a Markdown parser for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dp_sim.cli.support.on_demand import Listed


def print_root_help(context: Any, commands: Sequence[Listed]) -> None:
    """Print usage, meaning, options, and the commands under their headings.

    Parameters
    ----------
    context
        Of the program, as click made it.
    commands
        In the order of the help.
    """
    from rich.console import Console
    from rich.padding import Padding

    console = Console(highlight=False)
    console.print(Padding(f"[yellow]Usage:[/] [bold]{context.command_path} \\[OPTIONS] COMMAND \\[ARGS]...", 1))
    console.print(Padding(context.command.help, (0, 1, 1, 1)))
    options = [one for one in context.command.get_params(context) if not one.hidden]
    rows = [(", ".join(one.opts), one.help) for one in options]
    console.print(_panel("Options", rows, max(len(names) for names, _ in rows)))
    width = max(len(one.called) for one in commands)
    for heading in dict.fromkeys(one.panel for one in commands):
        rows = [(one.called, one.summary) for one in commands if one.panel == heading]
        console.print(_panel(heading, rows, width))


def _panel(heading: str, rows: Iterable[tuple[str, str]], width: int) -> Any:
    """Draw a frame around names and what they mean."""
    from rich.panel import Panel
    from rich.table import Table

    table = Table(box=None, show_header=False, expand=True, pad_edge=False)
    table.add_column(style="bold cyan", width=width, no_wrap=True)
    table.add_column(ratio=1)
    for name, meaning in rows:
        table.add_row(name, meaning)
    return Panel(table, title=heading, title_align="left", border_style="dim")
