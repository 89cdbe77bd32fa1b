"""Ctrl-C and SIGTERM: both become an exception that a run can answer, and neither cuts a step in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Exit status of the command line after each signal (128 + its number, as shells report it).
EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Terminated(KeyboardInterrupt):
    """SIGTERM (a batch system's way to end a job), treated as Ctrl-C is."""


#: SIGTERMs that nobody has answered: Python drops an exception raised inside a destructor or a callback of the
#: garbage collector, and the signal must not be lost with it.
_unanswered: list[int] = []


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    _unanswered.append(number)
    raise Terminated


def answered() -> None:
    """To be called where `Terminated` arrives; until then the next `whole_steps` raises it again."""
    _unanswered.clear()


def _in_main_thread() -> bool:
    """Python lets only the main thread set signal handlers; elsewhere the signals are left to whoever owns them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM raises `Terminated` inside the block, unless the program has a handler of its own."""
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
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
        raise Terminated
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
