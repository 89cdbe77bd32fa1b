"""The flaw of local frames beside DeepPot-SE: energy and force along paths on which neighbours leave or change places.

    python benchmarks/smoothness/smoothness.py [--steps 1000]

Trains both on the water of example_systems (kept in runs/), moves one molecule past the cutoff of another, then two
molecules past each other, and writes smoothness.png and smoothness.json: the jumps at the known crossings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from ase import Atoms
from ase.build import molecule

from dp_sim.files import atomic_path, write_text
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes.models.train import train
from dp_sim.recipes.results.figures import COLOURS, new_panels

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "example_systems" / "water"
CUTOFF = 4.5
MODELS: dict[str, dict[str, Any]] = {
    "deeppot-se": {"embedding": [8, 16, 32], "axis_width": 4, "fitting": [64, 64]},
    "local-frame": {
        "angular_neighbors": {"O": 8, "H": 16},
        "radial_neighbors": {"O": 8, "H": 16},
        "axes": {"O": ["H", "H"], "H": ["O", "H"]},
    },
}
#: How near to a crossing its two sides are taken, Angstrom.
BESIDE = 1e-5


class PathOfWater(NamedTuple):
    """Molecules along one coordinate (Angstrom): O-O distance of the molecule that moves."""

    title: str
    start: float
    end: float
    crossing: float
    third: bool

    def structure(self, distance: float) -> Atoms:
        """One molecule at the origin, one at `distance`; where wanted a third that stays at the crossing."""
        water = molecule("H2O")
        water.positions -= water.positions[0]
        atoms = water.copy()
        for number, length in enumerate([distance, self.crossing] if self.third else [distance]):
            other = water.copy()
            other.rotate(70.0 + 40.0 * number, (1.0, 2.0, 3.0))
            angle = np.radians(20.0 + 105.0 * number)
            other.positions += length * np.array([0.0, np.sin(angle), np.cos(angle)])
            atoms += other
        return atoms


PATHS = (
    PathOfWater("a molecule leaves the cutoff (O-O at 4.5 Å)", 3.2, 6.6, CUTOFF, third=False),
    PathOfWater("two molecules change places (at 3 Å)", 2.7, 3.3, 3.0, third=True),
)


def trained(descriptor: str, steps: int) -> Model:
    """Load the model in runs/, or train a new one."""
    folder = HERE / "runs" / f"{descriptor}-{steps}"
    if not (folder / "result.json").exists():
        folder.parent.mkdir(exist_ok=True)
        model = {"descriptor": descriptor, "species": ["O", "H"], "cutoff": CUTOFF, **MODELS[descriptor]}
        schedule = {"optimizer": "soap", "learning_rate": 1e-2, "learning_rate_end": 1e-4, "average": 0.99}
        training = {**schedule, "steps": steps, "batch_size": 2, "report_every": max(1, steps // 5)}
        data = {"train": [str(DATA / "train.extxyz.gz")], "valid": [str(DATA / "valid.extxyz.gz")]}
        train({"model": model, "data": data, "training": training}, out=folder, overwrite=True)
    return load_model(folder / "model.pt", dtype="float64")


def along(model: Model, path: PathOfWater, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy (eV) and force (eV/Angstrom) on the molecule that moves, along its direction of motion."""
    direction = path.structure(1.0).positions[3] - path.structure(0.0).positions[3]
    output = [model.evaluate(path.structure(d)) for d in distances]
    forces = [o.forces[3:6].sum(dim=0).numpy() @ direction for o in output if o.forces is not None]
    return np.array([o.energy.item() for o in output]), np.array(forces)


def main(steps: Annotated[int, typer.Option(min=1, help="Training steps of each model.")] = 1000) -> None:
    """Train, follow both paths, draw and print."""
    figure, panels = new_panels([("O-O distance (Å)", "energy (meV)"), ("O-O distance (Å)", "force (eV/Å)")] * 2)
    jumps: dict[str, Any] = {"steps": steps, "jumps": {}}
    for colour, descriptor in zip(COLOURS, MODELS, strict=False):
        model = trained(descriptor, steps)
        for number, path in enumerate(PATHS):
            distances = np.linspace(path.start, path.end, 401)
            energy, force = along(model, path, distances)
            upper, lower = panels[2 * number : 2 * number + 2]
            upper.plot(distances, 1000 * (energy - energy[-1]), ".", ms=1.8, color=colour, label=descriptor)
            lower.plot(distances, force, ".", ms=1.8, color=colour)
            both = along(model, path, path.crossing + BESIDE * np.array([-1.0, 1.0]))
            found = {
                "energy_meV": 1000 * abs(float(np.diff(both[0])[0])),
                "force_eV_A": abs(float(np.diff(both[1])[0])),
            }
            jumps["jumps"].setdefault(path.title, {})[descriptor] = found
            typer.echo(f"{path.title}: {descriptor}: {found['energy_meV']:.3g} meV, {found['force_eV_A']:.3g} eV/Å")
    for number, path in enumerate(PATHS):
        panels[2 * number].set_title(path.title, fontsize=9, loc="left")
        for panel in panels[2 * number : 2 * number + 2]:
            panel.axvline(path.crossing, color="gray", lw=0.7, ls="--")
    panels[0].legend(fontsize=8, markerscale=5)
    with atomic_path(HERE / "smoothness.png") as target:
        figure.savefig(target, dpi=80)
    write_text(HERE / "smoothness.json", json.dumps(jumps, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    typer.run(main)
