"""Four atoms of copper, labelled by EMT, and settings of a training that is over in a moment."""

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT

from dp_sim.datasets.frames import Frame

SETTINGS: dict[str, Any] = {
    "model": {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8], "precision": "float64"},
    "training": {"steps": 30, "report_every": 30, "knots": 16, "learning_rate": 0.01, "learning_rate_end": 0.001},
}


def cluster() -> Atoms:
    return Atoms("Cu4", positions=2.4 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))


def labelled_frames(count: int, scale: float) -> list[Frame]:
    rng, frames = np.random.default_rng(0), []
    for number in range(count):
        atoms = cluster()
        atoms.positions += rng.normal(scale=scale, size=(4, 3))
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        geometry = (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        frames.append(Frame(f"copper {number}", *geometry, energy=energy, forces=forces))
    return frames
