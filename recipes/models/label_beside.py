"""Structures labelled one after the other here, or several at a time by workers that wait for processes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, as_completed
from functools import partial
from typing import Any
from uuid import uuid4

from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculator_recipe import Recipe, recipe_of
from dp_sim.recipes.models.label_worker import labelled
from dp_sim.recipes.models.settings import LabelSettings
from dp_sim.recipes.run.kept import end_kept, forget, kept
from dp_sim.recipes.run.process import Process
from dp_sim.recipes.run.workers import open_workers, threads_to_use


def labelled_each(
    structures: Mapping[int, Atoms], calculator: Any, settings: LabelSettings
) -> Iterator[tuple[int, Atoms | str]]:
    """Yield number and labelled copy of each structure, or why there is none, in the order in which they are done.

    Parameters
    ----------
    structures
        By their numbers.
    calculator
        An ASE calculator.
    settings
        Where, and how many at a time.

    Raises
    ------
    InputError
        The calculator cannot be made anew in other processes, or no scheduler answers.
    """
    if settings.engine == "local" and min(settings.workers, len(structures)) <= 1:
        for number, atoms in structures.items():
            yield number, labelled(atoms, calculator, _name(number))
        return
    if not structures:
        return
    owner, recipe = uuid4().hex, recipe_of(calculator)
    at_once = min(settings.workers, len(structures))
    threads = None if settings.scheduler else max(1, threads_to_use() // at_once)
    with open_workers(settings.engine, at_once, settings.scheduler) as place:
        tasks = {
            place.executor.submit(_label, owner, recipe, atoms, _name(number), threads, os.getcwd()): number
            for number, atoms in structures.items()
        }
        try:
            for task in as_completed(tasks):
                yield tasks[task], _outcome(task, _name(tasks[task]))
        finally:
            for task in tasks:
                task.cancel()
            place.everywhere(end_kept, owner)


def _name(number: int) -> str:
    return f"structure {number}"


def _label(owner: str, recipe: Recipe, atoms: Atoms, name: str, threads: int | None, directory: str) -> Atoms | str:
    """Label a structure in the process that this thread of a worker keeps."""
    process = kept(owner, partial(Process, "dp_sim.recipes.models.label_worker", recipe, threads, directory))
    try:
        answer: Atoms | str = process.ask((atoms, name))
    except (EOFError, OSError, pickle.UnpicklingError):
        status = process.status()
        forget(owner)
        return f"{name}: the process of the calculator ended (status {status})"
    return answer


def _outcome(task: Future[Atoms | str], name: str) -> Atoms | str:
    try:
        return task.result()
    except (InputError, KeyboardInterrupt):
        raise
    except Exception as error:  # a worker that was killed takes its structure with it, by an error of its library
        return f"{name}: its worker was lost ({type(error).__name__}: {error})"
