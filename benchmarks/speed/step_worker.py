"""One code in a process of its own, which makes one step whenever it is asked; against_deepmd.py starts it.

    python step_worker.py CODE MODEL STRUCTURE

CODE is dp-sim, openmm, deepmd (run by the Python of DeePMD-kit; only numpy and ase are needed beside it) or
matrix-product (MODEL is the precision then). Every line on stdin is answered by one on stdout, in JSON: the first,
after three steps to warm up, by energy and forces of STRUCTURE, the others by the seconds of a step, wall and processor
(of all threads together), and the peak of the resident memory so far, MB above that after the imports. Linux only.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

WARM_UP = 3
#: Edge of the matrices of matrix-product.
EDGE = 2048
#: What a code imports whatever the model: its memory is not counted. DeePMD-kit: by the suffix of the model.
IMPORTS = {
    "dp-sim": ["dp_sim.plugins.ase_calculator"],
    "openmm": ["openmm_steps", "openmmtorch"],
    ".pth": ["deepmd.calculator", "deepmd.pt.infer.deep_eval"],
    ".pb": ["deepmd.calculator", "deepmd.tf.infer.deep_eval"],
    "matrix-product": ["torch"],
}


def memory_MB(field: str) -> float:
    """Read a field of /proc/self/status, MB."""
    with open("/proc/self/status") as status:
        return next(float(line.split()[1]) for line in status if line.startswith(field)) / 1024


def calculator_step(calculator: Any, structure: Atoms) -> Callable[[], None]:
    """Make a step through ASE: energy, forces and virial after every atom moved by 0.01 Angstrom."""
    rng = np.random.default_rng(0)
    atoms = structure.copy()
    atoms.calc = calculator

    def step() -> None:
        atoms.positions = structure.positions + rng.normal(scale=0.01, size=structure.positions.shape)
        atoms.get_forces()
        atoms.get_stress()

    return step


def openmm_step(model: str, atoms: Atoms) -> Callable[[], Any]:
    """Make a Verlet step with a TorchForce on the platform CPU."""
    import openmm_steps

    from dp_sim.plugins.openmm_force import create_force

    force = create_force(model, species=atoms.get_chemical_symbols(), periodic=True, backend="torchscript")
    integrator = openmm_steps.openmm_stepper(atoms, force, "CPU")
    return lambda: integrator.step(1)


def product_step(dtype: str) -> Callable[[], Any]:
    """Make a step that is one matrix product."""
    import torch

    a = torch.randn(EDGE, EDGE, dtype=getattr(torch, dtype))
    return lambda: a @ a


def prepare(code: str, model: str, atoms: Atoms) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Return the function that makes a step, and energy and forces where they come through ASE."""
    if code == "openmm":
        return openmm_step(model, atoms), {}
    if code == "matrix-product":
        return product_step(model), {}
    if code == "dp-sim":
        from dp_sim.plugins.ase_calculator import DPCalculator as Calculator
    else:
        from deepmd.calculator import DP as Calculator
    calculator = Calculator(model)
    atoms.calc = calculator
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist()}
    return calculator_step(calculator, atoms), results


def main() -> None:
    """Answer each line of standard input with the times of one step."""
    code, model, structure = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the codes print is no answer
    for module in IMPORTS[code if code in IMPORTS else os.path.splitext(model)[1]]:
        importlib.import_module(module)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak starts anew
    before = memory_MB("VmRSS")
    sys.stdin.readline()
    step, answer = prepare(code, model, read(structure))
    for _ in range(WARM_UP):
        step()
    print(json.dumps(answer), file=answers, flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        step()
        answer = {"seconds": time.perf_counter() - wall, "processor_seconds": time.process_time() - processor}
        print(json.dumps(answer | {"peak_MB": memory_MB("VmHWM") - before}), file=answers, flush=True)


if __name__ == "__main__":
    main()
