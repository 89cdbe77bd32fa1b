"""The programs that `dp-sim bench` times, each in a process of its own: dp-sim, and DeePMD-kit where there is one."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from dp_sim.deepmd.exporting import export_model, sel_from_structures
from dp_sim.errors import InputError
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import read_metadata

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Step:
    """One timed step: energy, forces, and stress where the cell is periodic along all axes.

    Attributes
    ----------
    seconds
        Wall time.
    energy_eV
        The energy computed.
    bytes_above_imports
        Most memory that the process has held until now, less what it had held after its imports.
    """

    seconds: float
    energy_eV: float
    bytes_above_imports: int


class Program(AbstractContextManager["Program"]):
    """A process that times one step whenever it is asked to. It runs inside a `with` block.

    Parameters
    ----------
    name
        What messages call it.
    command
        Interpreter, kind and model (worker.py).
    structures
        A file with one frame for each size.

    Attributes
    ----------
    version
        Of the program, known inside the block.

    Raises
    ------
    InputError
        The program ends before it answers; the message quotes the last line that it wrote.
    """

    def __init__(self, name: str, command: tuple[str, str, str], structures: Path) -> None:
        self.name = name
        self._command = [command[0], str(WORKER), *command[1:], str(structures)]

    def __enter__(self) -> Program:
        """Start the process and wait until it has loaded the model."""
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=_environment(),
            )  # fmt: skip
        except OSError as error:
            self._errors.close()
            raise InputError(
                "program-missing",
                f"{self.name} cannot be started: {self._command[0]} ({error.strerror}); name a Python interpreter",
            ) from None
        try:
            self.version = str(self._answer()["version"])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def step(self, index: int, seed: int) -> Step:
        """Time one step of the structure `index`, its atoms moved at random."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{index} {seed}\n")
            self._process.stdin.flush()
        except OSError:  # it has ended; the answer says why
            pass
        return Step(**self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last = next(
                (line for line in reversed(self._errors.read().splitlines()) if line.strip()), "it says nothing"
            )
            raise InputError(
                "program-failed", f"{self.name} ended with status {self._process.returncode}: {last.strip()}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def _environment() -> dict[str, str]:
    """Give every program the same number of threads. Threads that wait sleep, so as not to disturb other programs."""
    threads = str(torch.get_num_threads())
    own = {"OMP_NUM_THREADS": threads, "DP_INTRA_OP_PARALLELISM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"}
    return {**os.environ, **own, "DP_INTER_OP_PARALLELISM_THREADS": "1"}


def own_program(model: Model, structures: Path, folder: Path) -> Program:
    """Make the program that runs dp-sim with this model; `folder` holds what the process reads."""
    file = folder / "model.pickle"
    file.write_bytes(pickle.dumps(model))
    return Program("dp-sim", (sys.executable, "dp-sim", str(file)), structures)


def deepmd_interpreter(deepmd: str | None) -> str | None:
    """Find the interpreter that has DeePMD-kit.

    Parameters
    ----------
    deepmd
        A Python interpreter; None: this one, if DeePMD-kit is installed here.

    Returns
    -------
    str or None
        None where there is none.

    Raises
    ------
    InputError
        There is no program of the name given.
    """
    if deepmd is None:
        spec = importlib.util.find_spec("deepmd")
        return sys.executable if spec is not None and spec.origin else None  # a mere folder of that name has no origin
    found = shutil.which(deepmd)
    if found is None:
        raise InputError(
            "program-missing", f"there is no program {deepmd}; give the Python interpreter that has deepmd-kit"
        )
    return found


def deepmd_program(python: str, model: Path, dtype: str, structures: Path, folder: Path) -> Program:
    """Make the program that runs DeePMD-kit.

    Parameters
    ----------
    python
        An interpreter that has DeePMD-kit.
    model
        One of its own files, or a model file of dp-sim, which is exported.
    dtype
        The precision of the model that it is compared with.
    structures
        A file with one frame for each size.
    folder
        Where files of the exported model go.

    Raises
    ------
    InputError
        The model has no form in DeePMD-kit, or is of another precision than `dtype`; DeePMD-kit refuses it.
    """
    if model.suffix == ".pt":
        model = _exported(python, model, dtype, structures, folder)
    return Program("DeePMD-kit", (python, "deepmd", str(model.resolve())), structures)


def _exported(python: str, model: Path, dtype: str, structures: Path, folder: Path) -> Path:
    """Export `model` to a frozen PyTorch model of DeePMD-kit, with a `sel` that fits the structures."""
    metadata = read_metadata(model)
    if metadata.dtype != dtype:
        raise InputError(
            "precision-differs",
            f"{model} has {metadata.dtype}, and {dtype} was asked for; programs are compared at equal precision: "
            f"leave dtype out",
        )
    neutral, frozen = folder / "deepmd.dp", folder / "deepmd.pth"
    imported = bool(metadata.config.get("parts"))
    export_model(model, neutral, () if imported else sel_from_structures(model, [str(structures)]))
    command = [python, "-m", "deepmd", "convert-backend", str(neutral), str(frozen)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0 or not frozen.exists():
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
        raise InputError(
            "program-failed", f"deepmd-kit of {python} cannot convert {neutral.name} to {frozen.name}: {last.strip()}"
        )
    return frozen
