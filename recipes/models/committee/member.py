"""A process that trains one member of a committee: settings in, steps out; it ends when the process that asked does."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dp_sim.config.training import TrainConfig
from dp_sim.errors import DPSimError
from dp_sim.recipes.models.training_run import run_training
from dp_sim.recipes.run.progress import Advance

#: Seconds between words to the process that waits, at least.
_PAUSE_S = 0.2


def main() -> int:
    """Read settings, directory and keywords of `run_training`; write (step, text) again and again, and an error."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.getLogger("dp_sim").addHandler(logging.NullHandler())  # the member's own log and result have it all
    warnings.showwarning = lambda message, *where, **more: print(message, file=sys.stderr)  # its sentence alone
    settings, directory, how = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(answer: Any) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    try:
        run_training(TrainConfig.model_validate(settings), directory, bar=_Teller(tell).bar, **how)
    except KeyboardInterrupt:
        return 130
    except DPSimError as error:
        tell(error)
        return 1
    return 0


def _end_with_parent() -> None:
    """End at once, like a process that is killed, when the one that asked is gone: it may be started again any time."""
    while os.read(0, 1):  # not through sys.stdin, whose lock a thread must not hold when Python ends
        pass
    os._exit(1)


class _Teller:
    """Bars that tell another process of the steps of the training."""

    def __init__(self, tell: Callable[[tuple[int, str]], None]) -> None:
        self._tell = tell

    @contextmanager
    def bar(self, name: str, total: int | None) -> Iterator[Advance]:
        """Tell of each step but those that follow too fast; reading is not told."""
        done, told, last = 0, "", 0.0

        def advance(steps: int = 1, text: str = "") -> None:
            nonlocal done, told, last
            done += steps
            if total is not None and (text != told or done == total or time.monotonic() - last > _PAUSE_S):
                self._tell((done, text))
                told, last = text, time.monotonic()

        yield advance


if __name__ == "__main__":
    sys.exit(main())
