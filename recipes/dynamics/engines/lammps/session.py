"""A LAMMPS that waits for commands: one process, or MPI ranks, at the other end of a pipe.

Not its Python library: an error on one of several ranks ends the process, which must not be ours; and the OpenMP and
MPI of LAMMPS would share this process with torch's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dp_sim.errors import DPSimError, InputError
from dp_sim.plugins.lammps.installed import Lammps

#: What the session prints when its commands are done.
DONE = "dp-sim: done"


class LammpsError(DPSimError):
    """LAMMPS ended; the message is its own."""


class Session:
    """A LAMMPS that waits for commands.

    Parameters
    ----------
    lammps, plugins
        The program, and the folder of the plugin.
    folder
        Where it runs.
    ranks, threads
        Processes, and threads in each.

    Raises
    ------
    InputError
        Several ranks, and no mpirun to start them.
    """

    def __init__(self, lammps: Lammps, plugins: Path, folder: Path, ranks: int, threads: int) -> None:
        if ranks > 1 and lammps.mpirun is None:
            raise InputError("mpirun-missing", f"there is no mpirun to start {ranks} ranks of {lammps.program} with")
        launcher = [str(lammps.mpirun), "-n", str(ranks)] if ranks > 1 else []
        self.folder = folder
        self._process = subprocess.Popen(
            [*launcher, str(lammps.program), "-log", "log.lammps", "-echo", "none", "-nonbuf"],
            cwd=folder,
            env=lammps.environment(plugins, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run, which saves a checkpoint first
        )

    def do(self, commands: Sequence[str]) -> list[str]:
        """Carry out commands, and return what LAMMPS printed.

        Raises
        ------
        LammpsError
            LAMMPS ended with an error.
        """
        pipe = self._pipe(self._process.stdin)
        printed: list[str] = []
        try:
            pipe.write("\n".join([*commands, f'print "{DONE}"', ""]))
            pipe.flush()
        except BrokenPipeError:  # it ended before; what it said is still there
            pass
        for line in self._pipe(self._process.stdout):
            if line.startswith(DONE):
                return printed
            printed.append(line.rstrip("\n"))
        errors = [line for line in printed if "ERROR" in line] or printed[-1:]
        raise LammpsError("lammps-failed", f"LAMMPS ended: {errors[0] if errors else 'without a word'}")

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe

    def close(self) -> None:
        """End the process."""
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()
