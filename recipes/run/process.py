"""A process of ours that answers messages: what raises, hangs or dies there does not take the run with it."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO

#: Seconds that a process is given to save its work.
TO_SAVE_S = 20.0


class Process:
    """A module of ours that runs `serve`. It and the programs that it starts end with this process, however that ends.

    Parameters
    ----------
    module
        Its full name.
    greeting
        What `serve` prepares its answers with.
    threads
        Of its numerical libraries; None: as here.
    directory
        In which it works; None: as here.
    """

    def __init__(self, module: str, greeting: Any, threads: int | None = None, directory: str | None = None) -> None:
        kept, self._lifeline = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(kept)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(kept,),
            cwd=directory,
            env=os.environ if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)},
            start_new_session=True,  # Ctrl-C is for the process that asks; and its children end with it
        )
        os.close(kept)
        self._ready = False
        self._send(greeting)

    def ask(self, message: Any, limit_s: float | None = None) -> Any:
        """Send a message and wait for the answer; the time to start does not count.

        Raises
        ------
        concurrent.futures.TimeoutError
            No answer within the limit.
        EOFError, OSError, pickle.UnpicklingError
            The process ended.
        """
        answers = self._process.stdout
        assert answers is not None
        if not self._ready:
            self._ready = bool(pickle.load(answers))
        self._send(message)
        if limit_s is None:
            return pickle.load(answers)
        threads = ThreadPoolExecutor(1)
        try:
            return threads.submit(pickle.load, answers).result(limit_s)
        finally:
            threads.shutdown(wait=False)

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    def status(self) -> int:
        """Wait for its end, and return its exit status."""
        return self._process.wait()

    def stop(self) -> None:
        """Let it save its work, and end it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TO_SAVE_S)
        self.end()

    def end(self) -> None:
        """End it at once, with all that it has started."""
        process = self._process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent is lost with the process
                    pipe.close()
        with suppress(OSError):
            os.close(self._lifeline)


def serve(prepare: Callable[[Any], Callable[[Any], Any]]) -> None:
    """Answer messages until there are no more: what a module does that runs as a `Process`.

    Parameters
    ----------
    prepare
        Takes the greeting, and returns what makes an answer of a message.
    """
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    answer = prepare(pickle.load(sys.stdin.buffer))
    _answer(answers, True)
    while True:
        try:
            message = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _answer(answers, answer(message))


def _answer(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _end_with_parent(lifeline: int) -> None:
    """End at once when the pipe closes that only the process that asks holds open: that process is gone.

    Programs that were started here end too: they are of the same group.
    """
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)
