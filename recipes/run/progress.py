"""The progress bar that every recipe shows on the terminal: steps done, time left, and the number that matters now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

#: advance(n, text): n steps more are done; text is shown at the end of the bar.
Advance = Callable[..., None]
#: bar(name, total): opens a bar; `progress_bar` is one, another may tell a process that waits.
Bar = Callable[[str, int | None], AbstractContextManager[Advance]]


@contextmanager
def progress_bar(name: str, *, total: int | None, show: bool) -> Iterator[Advance]:
    """Show a bar on standard error; nothing where `show` is false or standard error is no terminal (a log, a pipe).

    Parameters
    ----------
    name
        What stands before the bar.
    total
        Number of steps; None where it is not known.
    show
        False: no bar.

    Yields
    ------
    Advance
        Call it with the steps done since the last call, and a text for the end of the bar.
    """
    with progress_bars([name], total=total, show=show) as (advance,):
        yield advance


@contextmanager
def progress_bars(names: Sequence[str], *, total: int | None, show: bool) -> Iterator[list[Advance]]:
    """Show several bars as `progress_bar` shows one, with the same number of steps each; threads may advance them."""
    console = Console(stderr=True)
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    visible = show and (console.is_terminal or console.is_jupyter)
    with Progress(*columns, console=console, transient=True, disable=not visible) as progress:
        yield [partial(_advance, progress, progress.add_task(name, total=total, text="")) for name in names]


def _advance(progress: Progress, task: TaskID, steps: int = 1, text: str = "") -> None:
    progress.update(task, advance=steps, text=text)
