"""What a thread of a worker keeps from call to call: processes that took long to start, until their owner ends them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from dp_sim.errors import DPSimError


class Ends(Protocol):
    """What can be kept."""

    def stop(self) -> None:
        """Let it save its work, and end it."""

    def end(self) -> None:
        """End it at once."""


Kept = TypeVar("Kept", bound=Ends)
_of_thread = threading.local()
_lock = threading.Lock()
#: Of all threads of this process, by their owner; of one that has ended it, None.
_all: dict[str, list[Ends] | None] = {}


def kept(owner: str, make: Callable[[], Kept]) -> Kept:
    """Return what this thread keeps for an owner, made with the first call.

    Raises
    ------
    DPSimError
        The owner has ended all: what was late to begin begins nothing any more.
    """
    own: dict[str, Kept] = _of_thread.__dict__.setdefault("own", {})
    with _lock:
        of_all = _all.setdefault(owner, [])
        if of_all is None:
            raise DPSimError("worker-stopped", "what this was begun for has ended")
        if owner not in own:
            own[owner] = make()
            of_all.append(own[owner])
    return own[owner]


def forget(owner: str) -> None:
    """End what this thread keeps for an owner; the next call makes it anew."""
    lost = _of_thread.__dict__.setdefault("own", {}).pop(owner, None)
    if lost is not None:
        with _lock:
            of_all = _all.get(owner)
            if of_all is not None:
                of_all.remove(lost)
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
        taken, _all[owner] = _all.get(owner), None
    return taken or []
