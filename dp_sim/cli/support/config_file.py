"""--config FILE.yaml: settings from a file, under the flags that stand on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.errors import InputError, nearest_name


def load_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make the file's settings the defaults of this command: flags on the command line still override them."""
    if path is None or context.resilient_parsing:
        return path
    settings = read_settings(path)
    command = context.info_name
    recipe = settings.pop("recipe", command)
    if recipe != command:
        raise InputError(
            "config-of-another-command",
            f"{path} holds the settings of '{recipe}', not of '{command}'; run: dp-sim {recipe} ...",
        )
    options = {param.name: param for param in context.command.params if param.name not in NOT_IN_A_FILE}
    for key in settings:
        if key not in options:
            raise InputError(
                "setting-unknown", f"{path}: unknown setting '{key}' for dp-sim {command}{nearest_name(key, options)}"
            )
    for key, value in settings.items():
        if isinstance(value, bool) and not getattr(options[key], "is_flag", False):  # a parser takes it for 1
            raise InputError(
                "setting-invalid",
                f"{path}: {key} is no switch: expected a value (dp-sim {command} --help), got {str(value).lower()}",
            )
    context.default_map = {
        key: _as_option_value(_found_beside(path, key, value), multiple=getattr(options[key], "multiple", False))
        for key, value in settings.items()
        if value is not None
    }
    return path


@contextmanager
def naming_config(context: typer.Context) -> Iterator[None]:
    """Name the file in errors about a value that it gave: neither the option's parser nor the recipe knows of it.

    A recipe's sentence about a setting begins with its name.
    """
    try:
        yield
    except typer.BadParameter as error:
        name = (error.param.name if error.param is not None else None) or ""
        if not _from_file(context, name):
            raise
        raise InputError("setting-invalid", f"{context.params['config']}: {name}: {error.message}") from error
    except InputError as error:
        first = re.match(r"\w+", str(error))
        if first is None or not _from_file(context, first[0]):
            raise
        raise InputError(error.code, f"{context.params['config']}: {error}") from error


def _from_file(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT_MAP"


def read_settings(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises
    ------
    InputError
        The file is absent, is no YAML, or holds something other than `key: value` lines.
    """
    import yaml

    from dp_sim.config.safe_yaml import load_yaml

    try:
        settings = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "file-missing", f"there is no configuration file {path}; give the path of a YAML file"
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError("file-unreadable", f"the configuration file {path} cannot be read: {reason}") from error
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise InputError(
            "config-malformed", f"the configuration file {path} must hold 'key: value' lines, one for each setting"
        )
    return settings


def _found_beside(path: Path, key: str, value: Any) -> Any:
    """Take model files relative to the folder of the configuration file, if they are there."""
    if key != "model":
        return value
    files = value if isinstance(value, list) else [value]
    return [str(beside) if (beside := path.parent / str(file)).exists() else file for file in files]


def _as_option_value(value: Any, *, multiple: bool) -> Any:
    """Turn a YAML value into what the option's parser reads: a list where it repeats, key=value for a mapping."""
    if not multiple:
        return value
    if isinstance(value, dict):
        return [f"{key}={json.dumps(item)}" for key, item in value.items()]  # JSON is YAML
    return value if isinstance(value, list) else [value]


#: Options that steer one call, not the numbers: they belong on the command line.
NOT_IN_A_FILE = frozenset({"config", "structure", "resume", "overwrite", "quiet", "verbose", "help"})

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.yaml",
        help="Settings from a file; flags override them.",
        is_eager=True,
        callback=load_config,
        rich_help_panel="Run",
    ),
]
