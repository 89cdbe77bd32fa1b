"""The process of the label calculator: structures in, labels or reasons out; it ends with the process that asks."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from typing import Any, BinaryIO

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from dp_sim.errors import first_line
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.inputs.charges import accept_state
from dp_sim.recipes.inputs.failed_evaluations import check_converged


def main() -> None:
    """Read the recipe of the calculator and say so; then answer each structure with a label, or why there is none."""
    # What the calculator prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(int(sys.argv[1]),), daemon=True).start()
    kind, recipe = pickle.load(sys.stdin.buffer)
    calculator = calculator_from_spec(*recipe) if kind == "spec" else pickle.loads(recipe)
    _send(answers, True)
    while True:
        try:
            atoms = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, labelled(atoms, calculator))


def _send(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _end_with_parent(lifeline: int) -> None:
    """End at once when the pipe closes that only the process that asks holds open: that process is gone.

    Programs that the calculator has started end too: they are of the same group.
    """
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def labelled(atoms: Atoms, calculator: Any) -> tuple[dict[str, Any] | None, str]:
    """Evaluate a structure: (label, "") or (None, why there is none).

    A foreign calculator may raise anything, and what is not finite is no label.
    """
    try:
        atoms.calc = calculator
        accept_state(atoms, calculator)
        energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces())
        stress = _stress(atoms)
        check_converged(calculator)
    except Exception as error:
        return None, f"{type(error).__name__}: {first_line(error)}"
    numbers = [np.array(energy), forces] if stress is None else [np.array(energy), forces, stress]
    if not all(np.isfinite(one).all() for one in numbers):
        return None, "energy, forces or stress are not finite"
    return {"energy": energy, "forces": forces.tolist(), "stress": None if stress is None else stress.tolist()}, ""


def _stress(atoms: Atoms) -> Any:
    if not atoms.pbc.all():
        return None
    try:
        return np.array(atoms.get_stress())
    except (PropertyNotImplementedError, NotImplementedError):
        return None


if __name__ == "__main__":
    main()
