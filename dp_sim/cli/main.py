"""dp-sim: parse, call, print, and an exit status that a script can rely on.

0 done and converged; 3 finished, but not converged; 2 bad input, nothing written; 130 Ctrl-C and 143 SIGTERM, which
leave a resumable directory; 1 anything else.
"""

from __future__ import annotations

import gc
import logging
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from dp_sim.cli.commands import COMMANDS
from dp_sim.cli.support.on_demand import OnDemand
from dp_sim.cli.support.root_help import print_root_help
from dp_sim.errors import DPSimError, InputError
from dp_sim.recipes.run.interrupts import EXIT_STATUS, Terminated, signals_as_interrupts

#: When Python looks for garbage: after 10 000 new objects, not 700. Imports make hundreds of thousands that stay, and
#: looking through them took a sixth of the time of a short command.
GARBAGE_THRESHOLDS = (10_000, 10, 10)


class Commands(TyperGroup):
    """The commands, each imported when it is run; tells SIGTERM from Ctrl-C before typer makes one of them."""

    commands: Any  # a mapping that is read only, where typer has a dict

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.on_demand = self.commands = OnDemand(COMMANDS)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing any."""
        print_root_help(ctx, COMMANDS)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Complete the name of a command without importing any."""
        self.commands = self.on_demand.stubs()
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self.commands = self.on_demand

    def invoke(self, ctx: Any) -> Any:
        """Run the command; SIGTERM ends it with its own status."""
        try:
            return super().invoke(ctx)
        except Terminated:
            raise typer.Exit(EXIT_STATUS[signal.SIGTERM]) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        from dp_sim import __version__

        typer.echo(f"dp-sim {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Atomistic simulations with Deep Potentials: train a model, run it, and know how sure the numbers are."""


def make_app() -> typer.Typer:
    """Make the application with every command."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def status(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; errors become one sentence on standard error."""
    from dp_sim.recipes.run.provenance import COMMAND

    token = COMMAND.set(shlex.join(["dp-sim", *arguments]))
    logger, handler = logging.getLogger("dp_sim"), logging.StreamHandler()  # standard error; output is for results
    logger.addHandler(handler)
    arguments = arguments or ["--help"]
    try:
        with signals_as_interrupts(), warnings.catch_warnings():
            warnings.showwarning = _log_warning
            code = typer.main.get_command(make_app()).main(list(arguments), "dp-sim", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (InputError, typer.TyperException) as error:
        _show_traceback()
        message = error.format_message() if isinstance(error, typer.TyperException) else f"{error} [{error.code}]"
        typer.echo(f"dp-sim: {message}", err=True)
        return 2
    except DPSimError as error:  # what a run met on its way: its files are kept
        _show_traceback()
        typer.echo(f"dp-sim: {error} [{error.code}]", err=True)
        return 1
    except Exception as error:  # the last line of defence: a sentence, not a traceback, unless asked for
        shown = _show_traceback()
        advice = "" if shown else "; -vv shows where"
        calculators = any(kind.__module__ == "ase.calculators.calculator" for kind in type(error).__mro__)
        what = "the calculator failed" if calculators else f"unexpected {type(error).__name__}"
        typer.echo(f"dp-sim: {what}: {error}{advice}", err=True)
        return 1
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        COMMAND.reset(token)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning as its sentence; Python's own form shows a line of our source."""
    logging.getLogger("dp_sim").warning("dp-sim: warning: %s", message)


def _show_traceback() -> bool:
    wanted = logging.getLogger("dp_sim").isEnabledFor(logging.DEBUG)
    if wanted:
        traceback.print_exc()
    return wanted


def run() -> None:
    """Run the console script `dp-sim`."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    code = status(sys.argv[1:])
    gc.freeze()  # the process ends: looking for garbage among all that torch made would take half a second
    sys.exit(code)


if __name__ == "__main__":
    run()
