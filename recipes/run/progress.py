"""The progress bar that every recipe shows on the terminal: steps done, time left, and the number that matters now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

#: advance(n, text): n steps more are done; text is shown at the end of the bar.
Advance = Callable[..., None]


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
        task = progress.add_task(name, total=total, text="")

        def advance(steps: int = 1, text: str = "") -> None:
            progress.update(task, advance=steps, text=text)

        yield advance
