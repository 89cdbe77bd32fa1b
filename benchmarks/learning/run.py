"""Labels to reach a force error where dynamics goes: learning on the fly against random frames of a trajectory.

    python benchmarks/learning/run.py ethanol --out DIR --seed 0
    python benchmarks/learning/run.py malonaldehyde --out DIR
    python benchmarks/learning/run.py table --out DIR

GFN2-xTB, 500 K. `dp-sim learn` chooses structures from nothing but one (malonaldehyde: from the two ends of its proton
transfer); random ones are frames of a trajectory at the reference, drawn in an order that the seed fixes. Both begin
with the same first labels. Then members with random weights are trained on the first n labels of either, all alike, and
measured on frames of another trajectory at the reference (malonaldehyde: and on the path of the reference). What is
compared is the choice of structures alone. Every part stays in DIR, and a run that was cut goes on.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import ase.io
import numpy as np
import typer
import yaml
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.velocitydistribution import thermalize_momenta

from dp_sim.config.training_input import parse_config
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.reading import read_frames
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes import find_path, learn
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.learning.members.retraining import train_member

REFERENCE, TEMPERATURE_K, TIMESTEP_FS = "tblite:GFN2-xTB", 500.0, 0.5
REACTIONS = Path(__file__).parents[1] / "reactions"
SYSTEMS = ("ethanol", "malonaldehyde")
#: Members that are trained in a quarter of a minute: what is compared is the choice of structures.
SETTINGS: dict[str, Any] = {
    "model": {
        "cutoff": 4.0, "switch_start": 1.0, "embedding": [8, 16], "axis_width": 4,
        "one_side": False, "angular_weight": 2, "fitting": [32, 32],
    },
    "loss": {"energy": [1, 10], "forces": [1000, 300]},
    "training": {
        "optimizer": "soap", "learning_rate": 1e-2, "learning_rate_end": 1e-4, "batch_size": 4, "average": 0.99,
        "report_every": 10000,
    },
}  # fmt: skip
SIZES = (20, 40, 60)
#: Members that choose, and those whose mean is measured.
MEMBERS, MEASURED = 3, 2
#: Labels more than are measured, in place of some that are left out of the data.
SPARE = 5
#: Steps of reference dynamics between two frames, and frames to measure on.
EVERY, TESTS = {"ethanol": 100, "malonaldehyde": 40}, {"ethanol": 100, "malonaldehyde": 60}


def start_of(system: str) -> list[Atoms]:
    """Return the structure, or the two ends."""
    if system == "ethanol":
        return [molecule("CH3CH2OH")]
    return [ase.io.read(REACTIONS / system / f"{end}.extxyz") for end in ("reactant", "product")]


def labelled(atoms: Atoms) -> Atoms:
    """Copy a structure with its energy and forces."""
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return copy


def trajectory(file: Path, atoms: Atoms, calculator: Calculator, count: int, every: int, seed: int) -> list[Frame]:
    """Run dynamics at the reference, and keep frames after as many steps as 20 of them take."""
    if not file.exists():
        atoms = atoms.copy()
        atoms.calc = calculator
        rng = np.random.default_rng(seed)
        thermalize_momenta(atoms, TEMPERATURE_K, rng=rng)
        bath = {"temperature_K": TEMPERATURE_K, "T_tau": 200 * units.fs, "rng": rng}
        dynamics = LangevinBAOAB(atoms, TIMESTEP_FS * units.fs, **bath)
        dynamics.run(20 * every)
        frames = []
        for _ in range(count):
            dynamics.run(every)
            frames.append(labelled(atoms))
        ase.io.write(file, frames)
    return read_frames(file)


def path(file: Path, ends: list[Atoms], calculator: Calculator) -> list[Frame]:
    """Find the path at the reference."""
    if not file.exists():
        found = find_path(*ends, calculator, images=11, progress=False)
        ase.io.write(file, [labelled(image) for image in found.images])
    return read_frames(file)


def on_the_fly(out: Path, starts: list[Atoms], settings: Path, labels: int, seed: int, **options: Any) -> list[Frame]:
    """Let `learn` choose; return its labels in their order."""
    if not (out / "result.json").exists():
        learn(
            starts[0] if len(starts) == 1 else starts,
            None,
            REFERENCE,
            train=settings,
            members=MEMBERS,
            max_labels=labels + SPARE,
            seed=seed,
            out=out,
            resume=True,
            progress=False,
            **options,
        )
    return read_frames(out / "labels.extxyz")


def errors_of(model: Model, frames: list[Frame]) -> dict[str, float]:
    """Return the RMSE of force components, and what 99 % of the atoms' errors stay under (eV/Angstrom)."""
    outputs = model.evaluate_each(frames)
    error = np.concatenate([out.forces.numpy() - frame.forces for out, frame in zip(outputs, frames, strict=True)])
    return {"rmse": np.sqrt(np.mean(error**2)), "99 %": np.quantile(np.linalg.norm(error, axis=1), 0.99)}


def measured(
    out: Path, frames: list[Frame], tests: dict[str, list[Frame]], steps: int, seed: int
) -> dict[str, dict[str, float]]:
    """Train members with random weights on frames; return the errors of their mean on each test."""
    kept = out / "errors.json"
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)
        files = []
        for number in range(MEASURED):
            files.append(out / f"member-{number}.pt")
            training = {**SETTINGS["training"], "steps": steps, "seed": 100 * seed + number}
            config = parse_config({**SETTINGS, "training": training, "data": {"train": []}})
            own = {"loss": SETTINGS["loss"], "training": training}
            quiet: dict[str, Any] = {"whole_steps": nullcontext, "on_step": lambda step: None}
            train_member(config, own, frames, None, files[-1], out / "state.pt", **quiet)
        model = load_model(files)
        kept.write_text(json.dumps({name: errors_of(model, test) for name, test in tests.items()}) + "\n")
    found: dict[str, dict[str, float]] = json.loads(kept.read_text())
    return found


def table(out: Path) -> str:
    """Collect all errors, as one table."""
    rows = [
        "| system | seed | measured on | labels | on the fly: RMSE, 99 % (meV/Å) | random: RMSE, 99 % (meV/Å) |",
        "|---|---|---|---|---|---|",
    ]
    for file in sorted(out.glob("*/seed-*/errors.json")):
        for name, sizes in json.loads(file.read_text()).items():
            for size, errors in sizes.items():
                both = [[1000 * one for one in errors.get(way, {}).values()] for way in ("fly", "random")]
                numbers = " | ".join(", ".join(f"{one:.0f}" for one in way) for way in both)
                rows.append(f"| {file.parts[-3]} | {file.parts[-2][5:]} | {name} | {size} | {numbers} |")
    return "\n".join(rows) + "\n"


def picture(out: Path) -> None:
    """Plot the errors against the labels, a panel for each test."""
    from matplotlib.figure import Figure

    found: dict[tuple[str, str], list[dict[str, dict[str, dict[str, float]]]]] = {}
    for file in sorted(out.glob("*/seed-*/errors.json")):
        for name, sizes in json.loads(file.read_text()).items():
            found.setdefault((file.parts[-3], name), []).append(sizes)
    figure = Figure(figsize=(4 * len(found), 3.4), layout="constrained")
    for axes, ((system, name), runs) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        for way, colour, words in (("fly", "C0", "on the fly"), ("random", "C1", "random frames")):
            for number, sizes in enumerate(runs):
                points = [(int(size), 1000 * errors[way]["rmse"]) for size, errors in sizes.items() if way in errors]
                axes.plot(*np.array(points).T, "o-", ms=3, color=colour, label=words if not number else None)
        axes.set(
            title=f"{system}, {name}",
            xlabel="labels",
            ylabel="RMSE of forces (meV/Å)",
            xticks=sorted({int(n) for run in runs for n in run}),
        )
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=8)
    figure.savefig(out / "labels.png", dpi=120)


def main(
    what: Annotated[str, typer.Argument(help="ethanol, malonaldehyde, or table: of what is there.")],
    out: Annotated[Path, typer.Option(help="Directory of all runs.")],
    labels: Annotated[int, typer.Option(help="Labels of each way, the first included.")] = 60,
    first: Annotated[int, typer.Option(help="First labels.")] = 10,
    steps: Annotated[int, typer.Option(help="Steps of each training that is measured; of the first one half.")] = 4000,
    train_steps: Annotated[int, typer.Option(help="Steps of a retraining on the fly.")] = 500,
    threshold: Annotated[float, typer.Option(help="eV/Angstrom.")] = 0.5,
    apart: Annotated[float, typer.Option(help="Least time between two labels on the fly (fs).")] = 150.0,
    seed: int = 0,
) -> None:
    """Run what is missing of a system, or write the table and the picture."""
    if what in SYSTEMS:
        run(what, out / what, labels, first, steps, train_steps, threshold, apart, seed)
    picture(out)
    (out / "table.md").write_text(table(out))
    print((out / "table.md").read_text())


def run(
    system: str, out: Path, labels: int, first: int, steps: int, train_steps: int, threshold: float, apart: float,
    seed: int,
) -> None:  # fmt: skip
    """Run both ways for one system and one seed."""
    folder = out / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    starts, calculator = start_of(system), calculator_from_spec(REFERENCE)
    tests = {
        "dynamics": trajectory(out / "test.extxyz", starts[0], calculator, TESTS[system], EVERY[system], seed=1000)
    }
    if len(starts) == 2:
        tests["path"] = path(out / "path.extxyz", starts, calculator)
    pool = trajectory(folder / "pool.extxyz", starts[0], calculator, labels, EVERY[system], seed=2000 + seed)
    settings = folder / "train.yaml"
    training = {**SETTINGS["training"], "steps": steps // 2}
    settings.write_text(yaml.safe_dump({**SETTINGS, "training": training}))
    options: dict[str, Any] = {
        "first": first,
        "train_steps": train_steps,
        "threshold": threshold,
        "learning_rate": 5e-3,
        "picks": 5,
    }
    if len(starts) == 2:
        options |= {"along": "neb"}
    else:
        options |= {"steps": 100_000, "temperature_K": TEMPERATURE_K, "timestep_fs": TIMESTEP_FS, "apart_fs": apart}
    chosen = on_the_fly(folder / "learn", starts, settings, labels, seed, **options)
    order = np.random.default_rng(seed).permutation(len(pool))
    ways = {"fly": chosen, "random": [*chosen[:first], *(pool[i] for i in order[: labels - first])]}
    found: dict[str, dict[int, dict[str, dict[str, float]]]] = {name: {} for name in tests}
    for size in SIZES:
        for way, frames in ways.items():
            if size > len(frames):
                continue
            errors = measured(folder / f"{way}-{size}", frames[:size], tests, steps, seed)
            for name, error in errors.items():
                found[name].setdefault(size, {})[way] = error
            (folder / "errors.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
