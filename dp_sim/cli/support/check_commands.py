"""Commands read as they would be run, and not run: what a campaign asks before its first task.

Standard input: a JSON list of {name, recipe, words, settings}; output, pickled: the error of the first that is wrong,
or None.
"""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from dp_sim.config.recipe import RecipeSettings
from dp_sim.errors import InputError


def first_error(commands: Sequence[Mapping[str, Any]], app: Any) -> InputError | None:
    """Return the error of the first command that its options or settings refuse."""
    import yaml

    with tempfile.TemporaryDirectory(prefix="dp-sim-check-") as folder:
        file = Path(folder) / "settings.yaml"
        for one in commands:
            file.write_text(yaml.safe_dump(one["settings"]), encoding="utf-8")
            words = [str(file) if word == "settings.yaml" else word for word in one["words"]]
            try:
                _parse(app, one["recipe"], words[1:])
            except (InputError, typer.TyperException) as error:
                told = error.format_message() if isinstance(error, typer.TyperException) else str(error)
                sentence = f"{one['name']}: {told.replace(f'{file}: ', '').replace(str(file), 'settings')}"
                if isinstance(error, InputError):
                    return InputError(error.code, sentence)
                return InputError("setting-invalid", sentence)
    return None


def _parse(app: Any, recipe: str, words: list[str]) -> None:
    command = app.commands[recipe]
    context = command.make_context(recipe, words)
    settings = _settings_of(recipe)
    if settings is not None:
        settings.check({name: context.params[name] for name in settings.model_fields if name in context.params})


def _settings_of(recipe: str) -> type[RecipeSettings] | None:
    """Find the settings of a recipe among those that its command has imported."""
    kinds = list(RecipeSettings.__subclasses__())
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if getattr(kind, "recipe", None) == recipe), None)


def main() -> None:
    """Read commands, write the first error."""
    from importlib import import_module

    app = typer.main.get_command(import_module("dp_sim.cli.main").make_app())
    pickle.dump(first_error(json.load(sys.stdin), app), sys.stdout.buffer)


if __name__ == "__main__":
    main()
