"""A process that times energy, forces and stress of one program through its ASE calculator, a step at a time.

    PYTHON worker.py dp-sim|deepmd MODEL STRUCTURES

A script, so that DeePMD-kit can run it in an environment without dp-sim. MODEL: a pickled `Model`, which
the parent process wrote, or a model of DeePMD-kit. Each line `INDEX SEED` on standard input asks for one step of the
structure INDEX, moved by 0.01 Angstrom at random. Answers are lines of JSON; the first one names the program.
"""

import json
import os
import pickle
import resource
import sys
import time
from importlib.metadata import version

import ase.io
import numpy as np


def peak_bytes() -> int:
    """Return the most memory that this process has held, bytes."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    # Not ru_maxrss: it starts from the peak of the process that started this one.
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main() -> None:
    """Answer requests for timed steps until standard input ends."""
    kind, model, structures = sys.argv[1:]
    # What libraries print goes to standard error; the answers have the pipe for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**content: object) -> None:
        print(json.dumps(content), file=answers, flush=True)

    if kind == "dp-sim":
        from dp_sim.plugins.ase_calculator import DPCalculator

        imported = peak_bytes()
        with open(model, "rb") as file:
            calculator = DPCalculator(pickle.load(file))
        answer(version=version("dp-sim"))
    else:
        import deepmd
        from deepmd.calculator import DP

        imported = peak_bytes()
        calculator = DP(model=model)
        answer(version=deepmd.__version__)
    frames = ase.io.read(structures, index=":")
    for line in sys.stdin:
        index, seed = map(int, line.split())
        atoms = frames[index].copy()
        atoms.positions += np.random.default_rng(seed).normal(scale=0.01, size=atoms.positions.shape)
        atoms.calc = calculator
        begin = time.perf_counter()
        calculator.calculate(atoms, ["energy", "forces", "stress"] if atoms.pbc.all() else ["energy", "forces"])
        answer(
            seconds=time.perf_counter() - begin,
            energy_eV=float(calculator.results["energy"]),
            bytes_above_imports=peak_bytes() - imported,
        )


if __name__ == "__main__":
    main()
