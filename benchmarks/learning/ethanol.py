"""Labels to reach a force error where dynamics goes: learning on the fly against random frames of a trajectory.

    python benchmarks/learning/ethanol.py --out DIR

Ethanol at 500 K, GFN2-xTB. Both ways begin with the same members, made of the same first labels, and train alike. On
the fly: `dp-sim learn`, one label at a pause. Random: frames of a trajectory at the reference, drawn in an order that
the seed fixes, members trained on after each batch. Both are measured on the same frames: of another trajectory at the
reference, at 500 K too. The table has the labels and the RMSE of force components there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import thermalize_momenta

from dp_sim.datasets.frames import Frame
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes import learn
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.learning.labels import frame
from dp_sim.recipes.learning.retraining import force_rmse, network_of, recipe_of_members, train_member

REFERENCE, TEMPERATURE_K, TIMESTEP_FS = "tblite:GFN2-xTB", 500.0, 0.5
#: Members that learn in a minute: what is compared is the choice of frames.
TRAINING = {
    "model": {"cutoff": 5.0, "switch_start": 1.0, "embedding": [8, 16, 32], "axis_width": 4, "fitting": [64, 64]},
    "loss": {"energy": [1, 10], "forces": [1000, 300]},
    "training": {"optimizer": "soap", "learning_rate": 1e-2, "learning_rate_end": 1e-4, "batch_size": 4},
}


def reference_frames(atoms: Atoms, calculator: Calculator, count: int, every: int, seed: int) -> list[Frame]:
    """Run dynamics at the reference, and keep frames `every` steps apart after as many as 20 of them take."""
    atoms = atoms.copy()
    atoms.calc = calculator
    rng = np.random.default_rng(seed)
    thermalize_momenta(atoms, TEMPERATURE_K, rng=rng)
    dynamics = LangevinBAOAB(atoms, TIMESTEP_FS * units.fs, temperature_K=TEMPERATURE_K, T_tau=200 * units.fs, rng=rng)
    dynamics.run(20 * every)
    frames = []
    for number in range(count):
        dynamics.run(every)
        label = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": None}
        frames.append(frame(f"frame {number} of seed {seed}", atoms.copy(), label))
    return frames


def on_the_fly(
    out: Path, settings: Path, atoms: Atoms, test: list[Frame], **options: Any
) -> Iterator[tuple[int, float]]:
    """Yield labels and error after each training; the members of each are measured before older ones are removed."""
    from dp_sim.recipes.learning import learner

    found: list[tuple[int, float]] = []
    publish = learner.Learner._publish

    def measured(self: Any) -> None:
        publish(self)
        if self._journal.trained and (not found or found[-1][0] < self._journal.trained[-1]["labels"]):
            error = force_rmse(load_model(out), test)
            assert error is not None
            found.append((self._journal.trained[-1]["labels"], error))

    learner.Learner._publish = measured  # type: ignore[method-assign]
    learn(
        atoms, None, REFERENCE, temperature_K=TEMPERATURE_K, timestep_fs=TIMESTEP_FS, train=settings, out=out, **options
    )
    learner.Learner._publish = publish  # type: ignore[method-assign]
    yield from found


def at_random(
    model: Model,
    first: list[Frame],
    frames: list[Frame],
    test: list[Frame],
    out: Path,
    *,
    steps: int,
    batch: int,
    seed: int,
) -> Iterator[tuple[int, float]]:
    """Yield labels and error after each batch of random frames, trained as a run on the fly trains."""
    recipe = recipe_of_members(model, steps=steps, learning_rate=None, seed=seed)
    order = np.random.default_rng(seed).permutation(len(frames))
    out.mkdir(parents=True)
    for training, end in enumerate(range(batch, len(frames) + 1, batch), start=1):
        known = [*first, *(frames[i] for i in order[:end])]
        files = []
        for number, member in enumerate(model.members):
            config = recipe.config(number, training, member.config)
            files.append(out / f"training-{training}-member-{number}.pt")
            own, start = recipe.settings[number], network_of(model, number)
            quiet: dict[str, Any] = {"whole_steps": nullcontext, "on_step": lambda step: None}
            train_member(config, own, known, start, files[-1], out / "state.pt", **quiet)
        model = load_model(files)
        error = force_rmse(model, test)
        assert error is not None
        yield len(known), error


def main(
    out: Annotated[Path, typer.Option(help="Directory to make.")],
    labels: Annotated[int, typer.Option(help="Labels of each way, the first included.")] = 60,
    first: Annotated[int, typer.Option(help="First labels.")] = 10,
    steps: Annotated[int, typer.Option(help="Steps of dynamics on the fly.")] = 20000,
    first_steps: Annotated[int, typer.Option(help="Steps of the first training.")] = 1500,
    train_steps: Annotated[int, typer.Option(help="Steps of a retraining.")] = 300,
    threshold: Annotated[float, typer.Option(help="eV/Angstrom.")] = 0.3,
    test_frames: Annotated[int, typer.Option(help="Frames to measure on.")] = 100,
    every: Annotated[int, typer.Option(help="Steps of reference dynamics between two frames.")] = 100,
    seed: int = 0,
) -> None:
    """Run both ways and write the table."""
    from dp_sim.recipes.learning.journal import Journal
    from dp_sim.recipes.learning.labels import structure_of

    out.mkdir(parents=True)
    atoms, calculator = molecule("CH3CH2OH"), calculator_from_spec(REFERENCE)
    test = reference_frames(atoms, calculator, test_frames, every, seed=1000)
    settings = out / "train.yaml"
    training = {**TRAINING["training"], "steps": first_steps}
    settings.write_text(yaml.safe_dump({**TRAINING, "training": training}))
    shared = {"first": first, "members": 3, "train_steps": train_steps, "seed": seed, "threshold": threshold}
    begun = learn(
        atoms, None, REFERENCE, temperature_K=TEMPERATURE_K, steps=1, look_every=1, timestep_fs=TIMESTEP_FS,
        train=settings, out=out / "first", max_labels=first + 1, **{**shared, "threshold": 1e6},
    )  # fmt: skip
    journal = Journal(out / "first" / "journal.jsonl")
    picked = journal.picked()
    known = [frame(key, structure_of(picked[key]), label) for key, label in journal.labels.items()]
    fly = list(on_the_fly(out / "fly", settings, atoms, test, steps=steps, max_labels=labels, **shared))
    pool = reference_frames(atoms, calculator, labels - first, every, seed=2000)
    random = list(at_random(begun.model, known, pool, test, out / "random", steps=train_steps, batch=5, seed=seed))
    rows = ["| labels | on the fly, eV/Å | labels | random, eV/Å |", "|---|---|---|---|"]
    for number in range(max(len(fly), len(random))):
        cells = [f"{one[number][0]} | {one[number][1]:.4f}" if number < len(one) else " | " for one in (fly, random)]
        rows.append("| " + " | ".join(cells) + " |")
    (out / "table.md").write_text("\n".join(rows) + "\n")
    (out / "table.json").write_text(json.dumps({"on_the_fly": fly, "random": random}, indent=1) + "\n")
    print((out / "table.md").read_text())


if __name__ == "__main__":
    typer.run(main)
