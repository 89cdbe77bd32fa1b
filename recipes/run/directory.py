"""The directory of a run: claimed before any work, filled as it goes, complete or resumable when it ends."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import yaml
from ase import Atoms

from dp_sim.config.recipe import RecipeSettings
from dp_sim.config.safe_yaml import load_yaml
from dp_sim.datasets.file_hash import absolute_source, hash_sources
from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.inputs.calculators import NAMED_SPECS, calculator_settings, model_sha256, parameters_of
from dp_sim.recipes.inputs.charges import remarks
from dp_sim.recipes.inputs.identity import structure_parts, structures_sha256
from dp_sim.recipes.results.formatting import plain
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.manifest import Manifest, check_directory, claim_directory, read_manifest, remove_run
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.interrupts import answered, signals_as_interrupts, whole_steps
from dp_sim.recipes.run.provenance import COMMAND, ON_START, package_versions

logger = logging.getLogger("dp_sim")
AnyResult = TypeVar("AnyResult", bound=Result)


class RunDirectory(AbstractContextManager["RunDirectory"]):
    """A run of one recipe, with or without a directory.

    Parameters
    ----------
    recipe
        Name of the recipe.
    directory
        Where files go; None: no files.
    settings
        Every setting as used (numbers, strings, lists, dicts).
    structures
        The input structures, saved as input.extxyz; none for a run on data files.
    calculator
        The ASE calculator that runs; None for a run that makes one.
    seed
        Of all random numbers.
    overwrite, resume
        Whether an earlier run in the directory may be replaced, or continued.
    resumable
        False for a recipe that cannot continue: `resume` then starts over and says so.
    may_change
        Settings that may differ when a run is continued (`steps`, say).
    data
        Sources of frames (dp_sim.datasets.reading) of a run on data files; their content is hashed.
    repeated_by
        The command that repeats the run from its directory, for the head of config.yaml; empty where none does.
    defaults
        Settings with their defaults, which a run had that was begun before they were there.
    advice
        Setting -> what to do where it differs from that of the run to be continued, if there is more to say than in
        general.

    Attributes
    ----------
    resumed
        Whether an earlier run is being continued; known inside the block.

    Raises
    ------
    InputError
        On entering: the directory holds an earlier run or foreign files, differs in a setting, or cannot be written.
        An InputError that leaves the block of a new run removes what that run wrote.
    """

    def __init__(
        self,
        recipe: str,
        directory: str | os.PathLike[str] | None,
        *,
        settings: dict[str, Any],
        structures: Sequence[Atoms],
        calculator: Any,
        seed: int,
        overwrite: bool = False,
        resume: bool = False,
        resumable: bool = True,
        may_change: Sequence[str] = (),
        advice: Mapping[str, str] | None = None,
        data: Sequence[str] = (),
        repeated_by: str = "",
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.directory = None if directory is None else Path(directory)
        self.config = plain({"recipe": recipe, **_calculator_settings(calculator), "seed": seed, **settings})
        self._repeated_by = repeated_by
        self.resumed = False
        self._structures = structures
        input_hash, data_hashes = hash_sources(data) if data else (structures_sha256(structures), {})
        self._manifest = Manifest(
            recipe,
            input_hash,
            model_sha256(calculator),
            data_hashes,
            structure_parts(structures),
            plain(parameters_of(calculator)),
        )
        #: What was read, and what of the structures the run does not use or keep: for the log and the page.
        self.notes = remarks(structures, calculator)
        self._overwrite, self._resume, self._resumable = overwrite, resume, resumable
        self._may_change, self._advice = may_change, advice or {}
        self._defaults = plain(dict(defaults or {}))
        self._hooks: list[Callable[[], object]] = []
        self._open = ExitStack()
        self._start = time.monotonic()

    @classmethod
    def of(
        cls,
        settings: RecipeSettings,
        directory: str | os.PathLike[str] | None,
        *,
        structures: Sequence[Atoms],
        calculator: Any,
        overwrite: bool,
        resume: bool,
        data: Sequence[str] = (),
        constants: Mapping[str, Any] | None = None,
    ) -> RunDirectory:
        """Make the directory of a run with these settings, which know what may change when it is resumed.

        `constants` of the recipe stand beside its settings in config.yaml, and so do the sources of `data`,
        with absolute paths, so that it means the same in every directory.
        """
        fixed = {**({"data": [absolute_source(one) for one in data]} if data else {}), **(constants or {})}
        return cls(
            settings.recipe,
            directory,
            settings={**fixed, **settings.as_used()},
            structures=structures,
            calculator=calculator,
            seed=settings.seed,
            overwrite=overwrite,
            resume=resume,
            resumable=settings.resumable,
            may_change=settings.may_change(),
            data=data,
            repeated_by=_repeating_command(settings, len(structures), calculator) if structures else "",
            defaults={
                name: info.default for name, info in type(settings).model_fields.items() if not info.is_required()
            },
        )

    def __enter__(self) -> RunDirectory:
        self._start = time.monotonic()
        if self.directory is not None:
            self._claim(self.directory)
            ON_START.get()(self.directory)
        self._open.enter_context(signals_as_interrupts())
        self.log(f"{self.recipe} {'continued' if self.resumed else 'started'}")
        for sentence in self.notes:
            self.note(sentence)
        return self

    def _claim(self, directory: Path) -> None:
        """Make the directory this run's own; every check comes before the first file is removed or written."""
        check_directory(directory, overwrite=self._overwrite, resume=self._resume)
        earlier = read_manifest(directory)
        self.resumed = self._resume and self._resumable and earlier is not None
        if self.resumed and earlier is not None:
            self._check_same_run(directory, earlier)
        claim_directory(directory, replace=self._overwrite or self._resume, keep=self.resumed)
        if self.resumed and earlier is not None:
            self._manifest = earlier
        elif self._structures:
            write_frames(self._file("input.extxyz"), [_bare(atoms) for atoms in self._structures])
        repeated = f"; from this directory, {self._repeated_by} repeats it" if self._repeated_by else ""
        header = f"# Every setting of this run as used{repeated}.\n"
        write_text(self._file("config.yaml"), header + yaml.safe_dump(self.config, sort_keys=False))
        self._file("log.txt")
        if self._resume and not self.resumed:
            why = "no earlier run is there" if self._resumable else f"{self.recipe} cannot be continued half-way"
            logger.warning("%s: %s, starting from the beginning", directory, why)

    def _check_same_run(self, directory: Path, earlier: Manifest) -> None:
        try:
            old = load_yaml((directory / "config.yaml").read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            raise InputError(
                "config-malformed", f"{directory}/config.yaml cannot be read; start over with --overwrite"
            ) from None
        if not isinstance(old, dict):
            raise InputError(
                "config-malformed", f"{directory}/config.yaml holds no settings; start over with --overwrite"
            )
        advice = "use the same one, another directory (-o), or start over with --overwrite"
        for key, before, now in _differences({**self._defaults, **old}, self.config):
            if key == "model" and earlier.model_sha256 == self._manifest.model_sha256:
                continue  # the same model under another path
            if key not in self._may_change:
                raise InputError(
                    "run-differs",
                    f"the run in {directory} had {key}: {before!r}, this one has {now!r}; "
                    f"{self._advice.get(key, advice)}",
                )
        for source, now in self._manifest.data_sha256.items():
            if earlier.data_sha256.get(source, now) != now:
                raise InputError(
                    "run-differs-data",
                    f"the data in {source} have changed since the run in {directory} began; {advice}",
                )
        if earlier.data_sha256.keys() == self._manifest.data_sha256.keys() and (
            earlier.input_sha256 != self._manifest.input_sha256
        ):
            changed = [key for key, _, _ in _differences(earlier.input_parts, self._manifest.input_parts)]
            what = f" (its {', '.join(changed)} differ)" if earlier.input_parts and changed else ""
            raise InputError("run-differs", f"the run in {directory} started from another structure{what}; {advice}")
        for key, before, now in _differences(earlier.calculator, self._manifest.calculator):
            raise InputError(
                "run-differs", f"the calculator of the run in {directory} had {key}: {before!r}, now {now!r}; {advice}"
            )
        if earlier.model_sha256 != self._manifest.model_sha256:
            raise InputError(
                "run-differs", f"the run in {directory} used another model under the same file name; {advice}"
            )

    def _file(self, name: str) -> Path:
        assert self.directory is not None
        return self._manifest.add(self.directory, name)

    def path(self, name: str) -> Path | None:
        """Give the place of a file; None for a run without files. Every file of a run gets its name from here."""
        return None if self.directory is None else self._file(name)

    def part(self, name: str) -> Path:
        """Give the directory of a run that is a part of this one, and is removed with it."""
        assert self.directory is not None
        return self._manifest.add_part(self.directory, name)

    def claim(self, files: Sequence[str], parts: Sequence[str]) -> None:
        """Record many files, and directories of runs that are parts of this one, before any is written."""
        assert self.directory is not None
        self._manifest.add_all(self.directory, files, parts)

    def log(self, message: str) -> None:
        """Write one line, with the time (UTC), in log.txt; on the screen too with -v."""
        logger.info(message)
        self._write_log(message)

    def _write_log(self, message: str) -> None:
        if self.directory is not None:
            with self._file("log.txt").open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  {message}\n")

    def note(self, message: str) -> None:
        """Say something that the user should see: on the screen without -v, in log.txt and on the page."""
        if message not in self.notes:
            self.notes.append(message)
        logger.warning(message)
        self._write_log(message)

    def on_interrupt(self, save: Callable[[], object]) -> None:
        """Call `save` when the run is cut by Ctrl-C, SIGTERM or an error, which then goes on; it writes whole files."""
        self._hooks.append(save)

    def whole_steps(self) -> AbstractContextManager[None]:
        """Open a block that Ctrl-C and SIGTERM do not cut: they wait for its end. A second Ctrl-C does not wait."""
        return whole_steps()

    def provenance(self) -> dict[str, Any]:
        """Collect where the numbers come from. `wall_s` counts all sessions of a continued run."""
        return {
            "command": COMMAND.get() or f"{self.recipe}, called from Python",
            "settings": self.config,
            "versions": package_versions(),
            "model_sha256": self._manifest.model_sha256,
            "input_sha256": self._manifest.input_sha256,
            "seed": self.config["seed"],
            "wall_s": round(self._wall_s(), 3),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "processors": os.cpu_count(),
            **({"notes": self.notes} if self.notes else {}),
        }

    def _wall_s(self) -> float:
        return self._manifest.wall_s + time.monotonic() - self._start

    def finish(self, result: AnyResult) -> AnyResult:
        """Give the result its provenance, and write its data, plots, report.html and (last) result.json."""
        result = replace(result, provenance=self.provenance(), directory=self.directory)
        self.log(f"{self.recipe} ended: {'converged' if result.converged else result.cause}")
        if self.directory is not None:
            with whole_steps():
                result.write(self._file)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if isinstance(error, InputError) and not self.resumed and self.directory is not None:
            remove_run(self.directory)
            return
        if isinstance(error, KeyboardInterrupt):
            answered()
        if error is not None:
            with whole_steps():
                for save in self._hooks:
                    save()
        if isinstance(error, KeyboardInterrupt):
            self.log(f"interrupted; {'--resume continues it' if self._resumable else '--overwrite starts it again'}")
        elif error is not None:
            self.log(f"stopped by {type(error).__name__}: {error}")
        if self.directory is not None:
            self._manifest.wall_s = self._wall_s()
            self._manifest.save(self.directory)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, old, new) of every setting that differs; a key inside a section has the section's before a dot."""
    for key in dict.fromkeys([*new, *old]):
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from ((f"{key}.{inner}", *values) for inner, *values in _differences(before, now))
        elif before != now:
            yield key, before, now


def _calculator_settings(calculator: Any) -> dict[str, Any]:
    """Return `calculator_settings` with absolute paths of models, so that config.yaml means the same everywhere."""
    settings = calculator_settings(calculator)
    files = {"model": [os.path.abspath(file) for file in settings["model"]]} if "model" in settings else {}
    return {**settings, **files}


def _repeating_command(settings: RecipeSettings, n_structures: int, calculator: Any) -> str:
    """Return the command that repeats a run from its own directory.

    Empty for a calculator that a file cannot name: one made in Python, or one whose code a file must not start.
    """
    named = calculator_settings(calculator)
    if not (named.get("model") or str(named.get("calculator")).partition(":")[0] in NAMED_SPECS):
        return ""
    inputs = [f"input.extxyz@{number}" for number in range(n_structures)]
    if n_structures == 1 or settings.takes_several:
        inputs = ["input.extxyz" if n_structures == 1 else "input.extxyz@:"]
    return f"dp-sim {settings.recipe} {' '.join(inputs)} --config config.yaml -o ANOTHER"


def _bare(atoms: Atoms) -> Atoms:
    """Copy without results, so that writing an input structure does not write the calculator's numbers as labels."""
    return atoms.copy()
