"""A plan: blocks of tasks, each a recipe with its inputs, its settings, and what varies, as YAML."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from dp_sim.config.safe_yaml import load_yaml
from dp_sim.config.section import Section
from dp_sim.errors import InputError, choose, nearest_name, shown
from dp_sim.recipes.campaigns.settings import CampaignSettings
from dp_sim.structures.reading.named import split_name
from dp_sim.structures.reading.read import read_file

#: Commands that take their settings from a --config file.
CONFIGURED = (
    "opt", "vib", "phonons", "eos", "elastic", "nve", "nvt", "npt", "learn", "analyse", "neb", "ts", "irc", "rate",
)  # fmt: skip
#: Commands that take them as options, and several inputs at once.
FLAGGED = ("label", "train", "test")
#: Of the command that runs a task, not of the task.
RESERVED = ("out", "config", "threads", "resume", "overwrite", "verbose", "quiet")
#: Settings whose values are calculators: a file must not start code of its own by them.
CALCULATORS = ("calculator", "label")
#: Settings whose values are no files, whatever lies beside the plan.
_NAMES = (*CALCULATORS, "engine", "device", "dtype")


class Block(Section):
    """Tasks of one recipe: every input with every combination of what varies."""

    recipe: str
    inputs: tuple[str | tuple[str, ...], ...]
    settings: Mapping[str, Any] = Field(default_factory=dict)
    each: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One run.

    Attributes
    ----------
    name
        Of its folder: number, recipe, input and what varies.
    recipe
        Command of dp-sim.
    inputs
        Its positional arguments, with absolute paths.
    settings
        As a --config file of the command has them.
    varied
        What tells it from the others of its block, beside the input.
    """

    name: str
    recipe: str
    inputs: tuple[str, ...]
    settings: dict[str, Any]
    varied: dict[str, Any]

    def seeded(self, seed: int) -> Task:
        """Return the task with this seed, where its recipe has one and its settings do not say which."""
        if self.recipe not in CONFIGURED or "seed" in self.settings:
            return self
        return replace(self, settings={**self.settings, "seed": seed})


def read_plan(file: Path) -> list[Task]:
    """Read a plan: its tasks in order.

    Raises
    ------
    InputError
        No such file, no valid YAML, an unknown key, recipe or input; named, with what was expected.
    """
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            "file-unreadable", f"cannot read the plan {file}: {error.strerror}; give a YAML file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("file-unreadable", f"the plan {file} is no valid YAML: {error}") from None
    return parse_plan(content, file.absolute().parent, str(file))


def parse_plan(content: Any, folder: Path, origin: str) -> list[Task]:
    """Check the content of a plan, whose files are relative to `folder`; as `read_plan`."""
    if not isinstance(content, Mapping):
        raise InputError("config-malformed", f"{origin}: expected a mapping with tasks, got {shown(content)}")
    for key in content:
        if key != "tasks":
            option = key in CampaignSettings.model_fields
            how = f"; give it as an option, --{str(key).replace('_', '-')}" if option else nearest_name(key, ["tasks"])
            raise InputError("setting-unknown", f"{origin}: '{key}' does not belong into a plan, which has tasks{how}")
    entries = content.get("tasks")
    if not isinstance(entries, (list, tuple)) or not entries:
        raise InputError(
            "config-malformed", f"{origin}: tasks must be a list with an entry at least, got {shown(entries)}"
        )
    tasks: list[Task] = []
    for number, entry in enumerate(entries, start=1):
        where = f"{origin}, entry {number} of tasks"
        block = _block(entry, where)
        for inputs, settings, varied in _combinations(block, folder, where):
            name = _folder_name(len(tasks) + 1, block.recipe, inputs, varied)
            tasks.append(Task(name, block.recipe, inputs, settings, varied))
    return tasks


def _block(entry: Any, where: str) -> Block:
    known = tuple(Block.model_fields)
    if not isinstance(entry, Mapping):
        raise InputError("config-malformed", f"{where}: expected a mapping with {', '.join(known)}, got {shown(entry)}")
    for key in entry:
        if key not in known:
            raise InputError(
                "setting-unknown", f"{where}: unknown key '{key}'{nearest_name(str(key), known)} ({', '.join(known)})"
            )
    if isinstance(entry.get("inputs"), str):
        entry = {**entry, "inputs": (entry["inputs"],)}
    try:
        block = Block.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        raise InputError("setting-invalid", f"{where}: {key}: {first['msg']}, got {shown(first['input'])}") from None
    try:
        choose("recipe", block.recipe, (*CONFIGURED, *FLAGGED))
    except InputError as error:
        raise InputError(error.code, f"{where}: {error}") from None
    for key in (*block.settings, *block.each):
        if key in RESERVED or (key in block.settings and key in block.each):
            why = "stands in settings and in each" if key not in RESERVED else "is the campaign's to set for each task"
            raise InputError("setting-invalid", f"{where}: {key} {why}; leave it out")
    if not block.inputs or not all(block.each.values()):
        raise InputError("structures-missing", f"{where}: inputs and lists under each must not be empty")
    return block


def _combinations(
    block: Block, folder: Path, where: str
) -> Iterator[tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]]:
    """Yield inputs, settings and what varies of each task of a block."""
    several = block.recipe in FLAGGED
    groups = [group for one in block.inputs for group in _inputs(one, folder, where, apart=not several)]
    for group, values in itertools.product(groups, itertools.product(*block.each.values())):
        varied = dict(zip(block.each, values, strict=True))
        settings = {key: _found(key, value, folder) for key, value in {**block.settings, **varied}.items()}
        yield group, settings, varied


def _inputs(given: str | tuple[str, ...], folder: Path, where: str, *, apart: bool) -> Iterator[tuple[str, ...]]:
    """Yield the inputs of each task: a list is of one; a pattern of one for each file, FILE@: for each frame."""
    if not isinstance(given, str):
        yield tuple(_existing(one, folder, where) for one in given)
        return
    file, index = split_name(given, default="")
    if any(letter in str(file) for letter in "*?["):
        files = sorted(glob.glob(str(folder / file)))
        if not files:
            raise InputError("file-missing", f"{where}: no file is named {folder / file}; correct the pattern")
        for one in files:
            yield from _inputs(f"{one}@{index}" if index else one, folder, where, apart=apart)
        return
    named = _existing(given, folder, where)
    if index != ":" or not apart:
        yield (named,)
        return
    for number in range(len(read_file(folder / file, ":"))):
        yield (f"{folder / file}@{number}",)


def _existing(given: str, folder: Path, where: str) -> str:
    file, index = split_name(given, default="")
    if not (folder / file).exists():
        raise InputError("file-missing", f"{where}: there is no {folder / file}; paths begin at the plan's folder")
    return os.path.abspath(folder / file) + (f"@{index}" if index else "")


def _found(key: str, value: Any, folder: Path) -> Any:
    """Make the names of files beside the plan absolute: a task runs in a folder of its own."""
    if isinstance(value, (list, tuple)):
        return [_found(key, one, folder) for one in value]
    if not isinstance(value, str) or key in _NAMES:
        return value
    file, index = split_name(value, default="")
    looks_like_file = "/" in value or Path(file).suffix != "" or key == "model"
    if not looks_like_file or not (folder / file).exists():
        return value
    return os.path.abspath(folder / file) + (f"@{index}" if index else "")


def _folder_name(number: int, recipe: str, inputs: tuple[str, ...], varied: Mapping[str, Any]) -> str:
    """Name a folder so that people find it: 003-vib-ethanol-seed-2."""
    stems = [re.sub(r"@(?=-?\d)", "-", Path(one).name) for one in inputs[:2]]
    words = [recipe, *(re.sub(r"\.[A-Za-z]+(\.gz)?(?=-\d|$)", "", stem) for stem in stems)]
    words += [f"{key}-{value}" for key, value in varied.items() if isinstance(value, (int, float, str))]
    return f"{number:03d}-" + re.sub(r"[^\w.+-]+", "_", "-".join(words))[:80].rstrip("-._")
