"""Ctrl-C and SIGTERM: both become an exception that a run can answer, and neither cuts a step in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: Exit status of the command line after each signal (128 + its number, as shells report it).
EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Terminated(KeyboardInterrupt):
    """SIGTERM (a batch system's way to end a job), treated as Ctrl-C is."""


#: Signals whose exception has not arrived yet: Python drops an exception that is raised inside a destructor or a
#: callback of the garbage collector, and the signal must not be lost with it.
_unanswered: list[int] = []
_EXCEPTION = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
#: What stands in for a handler that the program has not set itself.
_BY_DEFAULT: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


def _interrupt(number: int, frame: FrameType | None) -> None:
    _unanswered.append(number)
    raise _EXCEPTION[signal.Signals(number)]


def answered() -> None:
    """Forget the signal, where its exception has arrived; until then the next `whole_steps` raises it again."""
    _unanswered.clear()


def _in_main_thread() -> bool:
    """Tell whether this is the main thread: only that may set signal handlers."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` and SIGTERM `Terminated` inside the block, without losing either.

    A signal for which the program has its own handler keeps that. So do all signals outside the main thread.
    """
    if not _in_main_thread():
        yield
        return
    taken = [number for number, handler in _BY_DEFAULT.items() if signal.getsignal(number) is handler]
    for number in taken:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, _BY_DEFAULT[number])
        if taken:
            answered()


@contextmanager
def whole_steps() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block, so that they leave the state of a whole step.

    A second signal does not wait: it interrupts at once, and the work of the block is lost.
    """
    if not _in_main_thread():
        yield
        return
    if _unanswered:
        raise _EXCEPTION[signal.Signals(_unanswered[-1])]
    caught: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, remember) for number in EXIT_STATUS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if caught:
        signal.raise_signal(caught[0])
