"""The standard water model in DeePMD-kit: exported, converted and compressed there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import h5py
import numpy as np
from standard_water import water_box

from dp_sim.deepmd.exporting import export_model

#: Neighbours H, O that DeePMD-kit's own example of water has slots for.
SEL = (92, 46)


def run(command: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run a program; end with its last lines if it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{last}")
    return done.stdout


def converted(file: Path, suffix: str, programs: Path, environment: dict[str, str]) -> dict[str, Path]:
    """Convert a model of ours to DeePMD-kit's `.pth` or `.pb`, plain and compressed; keep files that are there."""
    folder, name = file.parent, file.stem
    plain, compressed = folder / f"{name}{suffix}", folder / f"{name}-compressed{suffix}"
    if not compressed.exists():
        exported = folder / f"{name}.dp"
        if not exported.exists():
            export_model(file, exported, SEL)
        run([programs / "dp", "convert-backend", exported, plain], folder, environment)
        backend = {".pth": "--pt", ".pb": "--tf"}[suffix]
        script = training_script(exported)
        run([programs / "dp", backend, "compress", "-i", plain, "-o", compressed, "-t", script], folder, environment)
    return {"networks": plain, "compressed": compressed}


def training_script(exported: Path) -> Path:
    """Write an input of `dp train` with one structure: `dp compress` takes the shortest distance from there."""
    folder = exported.parent
    with h5py.File(exported) as file:
        definition = json.loads(file.attrs["json"])["model_def_script"]
    water = water_box(192)
    part = folder / "data" / "set.000"
    part.mkdir(parents=True, exist_ok=True)
    np.save(part / "coord.npy", water.positions.reshape(1, -1))
    np.save(part / "box.npy", water.cell[:].reshape(1, 9))
    np.save(part / "energy.npy", np.zeros((1, 1)))
    np.save(part / "force.npy", np.zeros((1, 3 * len(water))))
    (folder / "data" / "type_map.raw").write_text("\n".join(definition["type_map"]))
    types = [str(definition["type_map"].index(symbol)) for symbol in water.get_chemical_symbols()]
    (folder / "data" / "type.raw").write_text("\n".join(types))
    script = exported.with_suffix(".json")
    script.write_text(
        json.dumps(
            {
                "model": definition,
                "learning_rate": {"start_lr": 1e-3, "stop_lr": 1e-8},
                "loss": {},
                "training": {"numb_steps": 1, "training_data": {"systems": [str(folder / "data")], "batch_size": 1}},
            }
        )
    )
    return script
