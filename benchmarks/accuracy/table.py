"""Train and test DeepPot-SE and DeePMD's local frames on published data, and print the table beside the papers'.

    python benchmarks/accuracy/table.py [--budget 0.1] [--only water] [--runs DIR]

Each row is a training input of this folder (its data, loss and schedule) with one of two descriptors. A row that is
finished is kept in results/ROW.json and not trained again at the same budget; one that was interrupted goes on from its
checkpoint in --runs. The table goes to results/table.md.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config, read_config
from dp_sim.files import write_text
from dp_sim.recipes.models.train import TrainResult, train
from dp_sim.training.accuracy import SystemErrors, pool, system_errors

HERE = Path(__file__).parent
RESULTS = HERE / "results"
LOCAL_FRAME = "local-frame"
PAPER = "Zhang et al., NeurIPS 2018"


class System(NamedTuple):
    """A training input and what the papers report.

    frames      keys of the local-frame descriptor: neighbours of each species, axes
    published   descriptor -> energy and forces as printed, with what they are
    separate    whether the errors of each composition have a line of their own
    """

    name: str
    file: str
    frames: dict[str, Any]
    published: dict[str, str]
    separate: bool = False


ORGANIC = {"angular_neighbors": {"H": 8, "C": 5, "O": 2}, "radial_neighbors": 0, "species": ["H", "C", "O"]}
METAL = {"angular_neighbors": 18, "radial_neighbors": 40}
SYSTEMS = (
    System(
        "ethanol",
        "ethanol.yaml",
        {"angular_neighbors": {"H": 6, "C": 2, "O": 1}, "radial_neighbors": 0, "species": ["H", "C", "O"]},
        {
            "deeppot-se": "MAE 2.2 meV a molecule (0.24 an atom), 3.1 meV/Å; "
            f"one model for seven molecules 3.1 (0.34), 7.7 ({PAPER}, table 1)",
            LOCAL_FRAME: f"MAE 2.4 meV a molecule (0.27 an atom), 8.3 meV/Å ({PAPER}, table 1)",
        },
    ),
    System("acetylacetone", "acetylacetone.yaml", ORGANIC, {}),
    System("ethanol + acetylacetone", "cho.yaml", ORGANIC, {}, separate=True),
    System(
        "water",
        "water.yaml",
        {
            "angular_neighbors": {"O": 16, "H": 32},
            "radial_neighbors": {"O": 20, "H": 40},
            "axes": {"O": ["H", "H"], "H": ["O", "H"]},
        },
        {},
    ),
    System(
        "silicon",
        "si.yaml",
        METAL,
        {
            "deeppot-se": f"RMSE 0.24 meV/atom, 36 meV/Å ({PAPER}, table 2)",
            LOCAL_FRAME: f"RMSE 0.51 meV/atom, 31 meV/Å ({PAPER}, table 2)",
        },
    ),
    System(
        "copper",
        "cu.yaml",
        METAL,
        {
            "deeppot-se": f"RMSE 0.18 meV/atom, 90 meV/Å ({PAPER}, table 2)",
            LOCAL_FRAME: f"RMSE 0.25 meV/atom, 90 meV/Å ({PAPER}, table 2)",
        },
    ),
    System("molybdenum", "mo.yaml", METAL, {}),
    System(
        "titania",
        "tio2.yaml",
        {"angular_neighbors": {"O": 16, "Ti": 8}, "radial_neighbors": {"O": 32, "Ti": 16}},
        {
            "deeppot-se": f"RMSE 0.59-1.78 meV/atom, 94-181 meV/Å, three phases ({PAPER}, table 2)",
            LOCAL_FRAME: f"RMSE 1.97-3.37 meV/atom, 109-216 meV/Å, three phases ({PAPER}, table 2)",
        },
    ),
)

ROWS = [(system, descriptor) for system in SYSTEMS for descriptor in ("deeppot-se", LOCAL_FRAME)]


def settings(system: System, descriptor: str, budget: float) -> TrainConfig:
    """Read the training input; put in the descriptor in question, and multiply its steps by `budget`."""
    config = read_config(HERE / system.file)
    sections = config.model_dump(mode="json")
    if descriptor == LOCAL_FRAME:
        shared = {key: sections["model"][key] for key in ("species", "cutoff", "precision")}
        sections["model"] = {"descriptor": LOCAL_FRAME, **shared, **system.frames}
    steps = max(20, round(budget * config.training.steps))
    sections["training"] |= {"steps": steps, "report_every": max(10, steps // 10), "save_every": max(10, steps // 10)}
    return parse_config(sections, system.file)


def trained(config: TrainConfig, folder: Path) -> tuple[TrainResult, float]:
    """Train, or go on where a run stopped; also the CPU seconds of this call."""
    start = time.process_time()
    started = (folder / "checkpoint.pt").exists()
    result = train(config, out=folder, resume=started, overwrite=not started, progress=True)
    return result, time.process_time() - start


def errors(result: TrainResult, separate: bool) -> dict[str, SystemErrors]:
    """Held-out errors; of each composition where they are reported separately."""
    if separate:
        return {parity.system: system_errors(parity) for parity in result.parities}
    return {"all": system_errors(pool(result.parities))}


def row(system: System, descriptor: str, budget: float, runs: Path) -> dict[str, Any]:
    """Train and test one model; what results/ROW.json holds."""
    config = settings(system, descriptor, budget)
    label = row_name(system, descriptor)
    result, cpu_seconds = trained(config, runs / f"{label}-{budget:g}")
    return {
        "system": system.name,
        "input": system.file,
        "descriptor": descriptor,
        "budget": budget,
        "steps": config.training.steps,
        "batch_size": config.training.batch_size,
        "training_frames": result.frames,
        "model": result.model.metadata.config,
        "held_out": {name: _numbers(found) for name, found in errors(result, system.separate).items()},
        "seconds": round(result.curve[-1].seconds, 1),
        "cpu_seconds_of_last_call": round(cpu_seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}",
        "commit": _commit(),
        "versions": result.provenance.get("versions", {}),
    }


def _numbers(found: SystemErrors) -> dict[str, Any]:
    """meV/atom and meV/Angstrom."""
    return {
        "frames": found.frames,
        **{
            f"{label}_{kind}": None if (value := getattr(getattr(found, label), kind)) is None else 1000 * value
            for label in ("energy", "forces")
            for kind in ("mae", "rmse")
        },
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _commit() -> str:
    """Name the commit of the code; "-dirty" where anything but the results differs from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    name = git("rev-parse", "--short=10", "HEAD")
    changed = git("status", "--porcelain", "--", ":/", f":(exclude,top){RESULTS.relative_to(HERE.parents[1])}")
    return f"{name}-dirty" if changed else name or "unknown"


def row_name(system: System, descriptor: str) -> str:
    """Name a row of the table, and its file."""
    return f"{Path(system.file).stem}-{descriptor}"


def finished() -> list[dict[str, Any]]:
    """Read the rows that results/ holds, in the order of the table."""
    paths = [RESULTS / f"{row_name(system, descriptor)}.json" for system, descriptor in ROWS]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown; energies in meV/atom, forces in meV/Angstrom."""
    head = "| data | descriptor | held out | energy MAE / RMSE | forces MAE / RMSE | budget | published |"
    lines = [head, "|" + "---|" * 7]
    published = {(system.name, key): text for system in SYSTEMS for key, text in system.published.items()}
    for found in rows:
        name, descriptor = found["system"], found["descriptor"]
        budget = f"{found['steps']} steps of {found['batch_size']}, {found['seconds']:.0f} s"
        for part, numbers in found["held_out"].items():
            energy, forces = (
                f"{numbers[f'{label}_mae']:.3g} / {numbers[f'{label}_rmse']:.3g}" for label in ("energy", "forces")
            )
            data = name if part == "all" else f"{name}: {part}"
            frames = f"{numbers['frames']} ({found['training_frames']} trained on)"
            cells = [data, descriptor, frames, energy, forces, budget, published.get((name, descriptor), "")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(
    budget: Annotated[float, typer.Option(min=1e-4, help="Share of the steps that the training inputs ask for.")] = 0.1,
    only: Annotated[list[str] | None, typer.Option(help="Training inputs (water, si, ...); all without.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the training runs.")] = HERE / "runs",
) -> None:
    """Fill results/ row by row and print the table of all rows that are there."""
    stems = [Path(system.file).stem for system in SYSTEMS]
    unknown = set(only or ()) - set(stems)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is no input of this folder; known: {', '.join(stems)}")
    runs.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    for system, descriptor in ROWS:
        path = RESULTS / f"{row_name(system, descriptor)}.json"
        kept = json.loads(path.read_text()) if path.exists() else None
        wanted = not only or Path(system.file).stem in only
        if wanted and (kept is None or kept["budget"] != budget):
            write_text(path, json.dumps(row(system, descriptor, budget, runs), indent=1) + "\n")
    write_text(RESULTS / "table.md", table(finished()))
    typer.echo(table(finished()))


if __name__ == "__main__":
    typer.run(main)
