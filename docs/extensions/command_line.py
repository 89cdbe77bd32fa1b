"""The commands and their options, as the program itself has them."""

from __future__ import annotations

import re
from typing import Any

import typer

from dp_sim.cli.main import make_app


def text() -> str:
    """Return a section for each command: usage, meaning, a table of options for each panel of its help."""
    group = typer.main.get_command(make_app())
    return "\n".join(_command(name, command) for name, command in group.commands.items())


def _command(name: str, command: Any) -> str:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join(["dp-sim", name, *(_metavar(one) for one in arguments), "[options]"])
    panels: dict[str, list[str]] = {}
    for one in command.params:
        if one.param_type_name == "option" and not one.hidden:
            panel = getattr(one, "rich_help_panel", None) or "Options"
            panels.setdefault(panel, []).append(_row(one))
    tables = [
        f"**{panel}**\n\n| option | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
        for panel, rows in panels.items()
    ]
    explained = "\n".join(f"- `{_metavar(one)}`: {_plain(one.help)}" for one in arguments if one.help)
    return "\n".join(
        [f"## {name}\n", f"```text\n{usage}\n```\n", _plain(command.help or ""), "", explained, "", *tables]
    )


def _row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = option.default
    shown = "" if default in (None, False, True, (), []) or callable(default) else f"`{default}`"
    value = "" if getattr(option, "is_flag", False) or not option.metavar else f" {option.metavar}"
    return f"| {names}{_plain(value)} | {_plain(option.help or '')} | {shown} |"


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _plain(words: str) -> str:
    """Take a help text as Markdown: nothing of it is markup, and a line breaks nowhere inside a table."""
    return re.sub(r"([|<>*_\[\]\\$])", r"\\\1", " ".join(words.split()))
