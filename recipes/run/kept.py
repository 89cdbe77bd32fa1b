"""What a thread of a worker keeps from call to call: processes that took long to start, until their owner ends them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar


class Ends(Protocol):
    """What can be kept."""

    def stop(self) -> None:
        """Let it save its work, and end it."""

    def end(self) -> None:
        """End it at once."""


Kept = TypeVar("Kept", bound=Ends)
_of_thread = threading.local()
_lock = threading.Lock()
#: Of all threads of this process, by their owner.
_all: dict[str, list[Ends]] = {}


def kept(owner: str, make: Callable[[], Kept]) -> Kept:
    """Return what this thread keeps for an owner, made with the first call."""
    own: dict[str, Kept] = _of_thread.__dict__.setdefault("own", {})
    if owner not in own:
        own[owner] = made = make()
        with _lock:
            _all.setdefault(owner, []).append(made)
    return own[owner]


def forget(owner: str) -> None:
    """End what this thread keeps for an owner; the next call makes it anew."""
    lost = _of_thread.__dict__.setdefault("own", {}).pop(owner, None)
    if lost is not None:
        with _lock:
            _all[owner].remove(lost)
        lost.end()


def end_kept(owner: str) -> None:
    """End what all threads of this process keep for an owner, at once."""
    for one in _taken(owner):
        one.end()


def stop_kept(owner: str) -> None:
    """Let what all threads of this process keep for an owner save its work, and end it."""
    for one in _taken(owner):
        one.stop()


def _taken(owner: str) -> list[Ends]:
    with _lock:
        return _all.pop(owner, [])
