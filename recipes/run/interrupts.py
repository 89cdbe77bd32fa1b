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


#: Signals that nobody has answered: Python drops an exception raised inside a destructor or a callback of the
#: garbage collector, and the signal must not be lost with it.
_unanswered: list[int] = []
_EXCEPTION = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
#: What stands in for a handler that the program has not set itself.
_BY_DEFAULT: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


def _interrupt(number: int, frame: FrameType | None) -> None:
    _unanswered.append(number)
    raise _EXCEPTION[signal.Signals(number)]


def answered() -> None:
    """To be called where the exception arrives; until then the next `whole_steps` raises it again."""
    _unanswered.clear()


def _in_main_thread() -> bool:
    """Python lets only the main thread set signal handlers; elsewhere the signals are left to whoever owns them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Inside the block Ctrl-C raises `KeyboardInterrupt`, SIGTERM `Terminated`, and neither is lost.

    A signal for which the program has a handler of its own is left to that.
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
    """Ctrl-C and SIGTERM inside the block wait until it ends, so that the state they leave is that of a whole step.

    A second signal does not wait: it interrupts at once, and what the block was doing is then lost.
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
