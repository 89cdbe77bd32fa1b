"""Where the files of a run go, and what is said of it at its start, when it is interrupted and at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from dp_sim.errors import InputError
from dp_sim.model.committee.folder import is_committee


def output_directory(out: Path | None, source: str, command: str, *, again: bool) -> Path:
    """Return the directory of a run: `out`, or one named after what the run starts from.

    Parameters
    ----------
    out
        What `-o` said.
    source
        The file that the run starts from, FILE or FILE@INDEX.
    command
        Name of the command: `dp-sim opt water.xyz` goes to `water-opt`, then to `water-opt-2`, and so on.
    again
        Whether an earlier run is continued or replaced (`--resume`, `--overwrite`): then it is the last of them.
    """
    if out is not None:
        return out
    stem = re.sub(r"@[-\d:]*$", "", Path(source).name).split(".")[0] or command
    plain = Path(f"{stem}-{command}")
    taken = [plain] if plain.exists() else []
    while taken and (following := Path(f"{plain}-{len(taken) + 1}")).exists():
        taken.append(following)
    if again:
        return taken[-1] if taken else plain
    return Path(f"{plain}-{len(taken) + 1}") if taken else plain


def check_output(directory: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a directory that the run may not have, before anything is loaded or calculated.

    Raises
    ------
    InputError
        It holds an earlier run or foreign files, or cannot be written.
    """
    from dp_sim.recipes.results.manifest import check_directory

    check_directory(directory, overwrite=overwrite, resume=resume)


@contextmanager
def naming_output(out: Path | None, directory: Path, *, resumable: bool, quiet: bool) -> Iterator[None]:
    """Say at the start where files go if `-o` did not, and how to go on with a run that was cut short.

    Parameters
    ----------
    out
        What `-o` said.
    directory
        Directory of the run.
    resumable
        Whether it can go on half-way.
    quiet
        Say nothing at the start.
    """
    from dp_sim.recipes.run.provenance import ON_START

    def say(started: Path) -> None:
        if started == directory:  # the parts of a run are runs too
            typer.echo(f"no -o DIR given: files go to {directory}", err=True)

    token = ON_START.set(say) if out is None and not quiet else None
    try:
        yield
    except InputError:
        raise
    except (KeyboardInterrupt, Exception) as error:
        from dp_sim.recipes.results.manifest import read_manifest

        if read_manifest(directory) is not None:
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped by an error"
            how = "--resume continues it" if resumable else "--overwrite starts it again"
            typer.echo(f"{what}: the run is in {directory}; the same command with -o {directory} {how}", err=True)
        raise
    finally:
        if token is not None:
            ON_START.reset(token)


def print_paths(directory: Path) -> None:
    """Name the directory, the page and, where there is one, the model of a run that has ended."""
    typer.echo(f"files: {directory}")
    if is_committee(directory):
        typer.echo(f"committee: -m {directory}")
    for what, name in (("model", "model.pt"), ("page", "report.html")):
        if (directory / name).is_file():
            typer.echo(f"{what}: {directory / name}")
