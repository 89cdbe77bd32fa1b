"""dp-sim beside DeePMD-kit and its LAMMPS pair style: the same water model, one run, in turn.

    python benchmarks/speed/against_deepmd.py --deepmd-python TORCH/bin/python --tensorflow-python TF/bin/python

TORCH and TF are virtual environments with `deepmd-kit[torch]` and `deepmd-kit[cpu,lmp]`, both with ase. Every code runs
in a process of its own (step_worker.py) with the same threads, and makes one step when its turn comes. Before that,
energies and forces must agree. Leaves a JSON file and a table. DeePMD-kit's LAMMPS runs the TensorFlow model; ours, of
this environment where it has one, `pair_style dp_sim`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import speed_report
import typer
from ase.io import write
from deepmd_models import converted
from lammps_runs import Lammps
from standard_water import standard_models, water_box

from dp_sim.errors import MissingPackageError
from dp_sim.model.kernel_export import SUFFIX, export_for_kernels
from dp_sim.plugins.lammps.building import build_plugin
from dp_sim.plugins.lammps.installed import find_lammps

HERE = Path(__file__).resolve().parent
#: PyTorch needs over 20 GB for 12 288 atoms there.
MOST_ATOMS_PYTORCH = 4000
#: Relative, of energy and forces. In float32 `dp --pt compress` leaves 2e-4 against DeePMD-kit's own float64.
AGREEMENT = {
    ("float64", "networks"): 1e-6,
    ("float64", "compressed"): 1e-6,
    ("float32", "networks"): 1e-4,
    ("float32", "compressed"): 1e-3,
}


class Stepper(Protocol):
    """Whatever makes a step at a time."""

    def step(self) -> dict[str, float]:
        """Make a step; give its seconds and processor_seconds, and peak_MB where it is known."""
        ...


@dataclass
class Row:
    """One way to make a step; `form` is networks (embedding nets as trained) or compressed."""

    atoms: int
    dtype: str
    code: str
    way: str
    form: str
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    outside_pair: list[float] = field(default_factory=list)
    peak_MB: float | None = None

    def add(self, answer: dict[str, float]) -> None:
        """Keep the times of one step."""
        self.seconds.append(answer["seconds"])
        self.processor_seconds.append(answer["processor_seconds"])
        self.peak_MB = answer.get("peak_MB")
        if "outside_pair" in answer:  # LAMMPS: seconds a step that are not the pair style's
            self.outside_pair.append(answer["outside_pair"])


class Worker:
    """A process of step_worker.py; its first answer is in `results`."""

    def __init__(
        self, python: Path, code: str, model: str | Path, structure: Path, environment: dict[str, str]
    ) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in close()
        command = [str(python), str(HERE / "step_worker.py"), code, str(model), str(structure)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        self.results = self.step()

    def step(self) -> dict[str, Any]:
        """Make a step and return its times."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            last = "\n".join(self.log.read().splitlines()[-15:])
            raise SystemExit(f"{' '.join(map(str, self.process.args))} ended:\n{last}")  # type: ignore[arg-type]
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.log.close()


@dataclass(frozen=True)
class Setup:
    """What to run: the Pythons of DeePMD-kit's environments by the suffix of their models, those that there are."""

    pythons: dict[str, Path]
    threads: int
    engine_atoms: list[int]
    folder: Path
    spin: int = 0
    plugins: Path | None = None

    def waiting(self) -> dict[str, str]:
        """Say how threads wait."""
        return {"GOMP_SPINCOUNT": str(self.spin)} if self.spin else {"OMP_WAIT_POLICY": "PASSIVE"}

    def environment(self, threads: int) -> dict[str, str]:
        """Set the number of threads for every library."""
        names = ("OMP", "MKL", "OPENBLAS")
        pools = ("DP_INTRA_OP_PARALLELISM", "TF_INTRA_OP_PARALLELISM", "OPENMM_CPU")
        single = ("DP_INTER_OP_PARALLELISM", "TF_INTER_OP_PARALLELISM")
        return {
            **os.environ,
            **{f"{name}_NUM_THREADS": str(threads) for name in names},
            **{f"{name}_THREADS": str(threads) for name in pools},
            **{f"{name}_THREADS": "1" for name in single},
            **self.waiting(),
            "CUDA_VISIBLE_DEVICES": "",
        }


def start(setup: Setup, n_atoms: int, dtype: str, stack: ExitStack) -> list[tuple[Row, Stepper]]:
    """Every code that runs this size, loaded and warm."""
    atoms = water_box(n_atoms)
    structure = setup.folder / f"{n_atoms}.extxyz"
    write(structure, atoms)
    environment = setup.environment(setup.threads)
    entrants: list[tuple[Row, Stepper]] = []

    def enter(code: str, way: str, form: str, python: Path, kind: str, model: str | Path) -> None:
        print(f"{n_atoms} atoms, {dtype}: {code} {way} {form}", file=sys.stderr, flush=True)
        worker = Worker(python, kind, model, structure, environment)
        stack.callback(worker.close)
        entrants.append((Row(n_atoms, dtype, code, way, form), worker))

    own = standard_models(setup.folder, dtype)
    enter("matrix product", "", "", Path(sys.executable), "matrix-product", dtype)
    for form, model in own.items():
        enter("dp-sim", "ASE", form, Path(sys.executable), "dp-sim", model)
        if n_atoms in setup.engine_atoms:
            enter("dp-sim", "OpenMM", form, Path(sys.executable), "openmm", model)
    if setup.plugins is not None and n_atoms in setup.engine_atoms:
        lammps = find_lammps()
        assert lammps.mpirun is not None
        for form, model in own.items():
            exported = model.with_suffix(SUFFIX)
            export_for_kernels(model, exported)
            for ranks in (1, setup.threads):
                each = setup.threads // ranks
                own_environment = {**lammps.environment(setup.plugins, each), **setup.environment(each)}
                stepper = Lammps("dp_sim", exported, atoms, lammps.program, lammps.mpirun, ranks, own_environment)
                entrants.append((Row(n_atoms, dtype, "dp-sim", _lammps_way(ranks, each), form), stepper))
    for suffix, python in setup.pythons.items():
        if suffix == ".pth" and n_atoms > MOST_ATOMS_PYTORCH:
            continue
        theirs = converted(own["networks"], suffix, python.parent, environment)
        for form, model in theirs.items():
            code = {".pth": "DeePMD-kit PyTorch", ".pb": "DeePMD-kit TensorFlow"}[suffix]
            enter(code, "ASE", form, python, "deepmd", model)
            if n_atoms in setup.engine_atoms and (python.parent / "lmp").exists() and suffix == ".pb":
                for ranks in (1, setup.threads):
                    each = setup.threads // ranks
                    programs, environment_of = python.parent, setup.environment(each)
                    stepper = Lammps(
                        "deepmd", model, atoms, programs / "lmp", programs / "mpirun", ranks, environment_of
                    )
                    entrants.append((Row(n_atoms, dtype, code, _lammps_way(ranks, each), form), stepper))
    return entrants


def _lammps_way(ranks: int, threads: int) -> str:
    return f"LAMMPS, {ranks} rank{'s' * (ranks > 1)} of {threads}"


def check_agreement(entrants: list[tuple[Row, Stepper]]) -> float:
    """Compare energy and forces of all codes; give the largest relative deviation, and end if it is too large."""
    found = [(row, stepper.results) for row, stepper in entrants if isinstance(stepper, Worker) and stepper.results]
    reference = found[0][1]
    worst = 0.0
    for row, results in found[1:]:
        for quantity in ("energy", "forces"):
            ours, theirs = np.asarray(reference[quantity]), np.asarray(results[quantity])
            deviation = float(np.abs(theirs - ours).max() / np.abs(ours).max())
            worst = max(worst, deviation)
            if deviation > AGREEMENT[row.dtype, row.form]:
                raise SystemExit(f"{row.code}, {row.form}, {row.dtype}: {quantity} deviates by {deviation:.1e}")
    return worst


def measure(setup: Setup, n_atoms: int, dtype: str, rounds: int) -> tuple[list[Row], float]:
    """Time all codes at one size, in turns; give the rows and the largest deviation between codes."""
    with ExitStack() as stack:
        entrants = start(setup, n_atoms, dtype, stack)
        deviation = check_agreement(entrants)
        for number in range(rounds):
            print(f"{n_atoms} atoms, {dtype}: round {number + 1}", file=sys.stderr, flush=True)
            for row, stepper in entrants:
                row.add(stepper.step())
    return [row for row, _ in entrants], deviation


def main(
    deepmd_python: Annotated[Path | None, typer.Option(help="Python with deepmd-kit[torch].")] = None,
    tensorflow_python: Annotated[Path | None, typer.Option(help="Python with deepmd-kit[cpu,lmp].")] = None,
    atoms: Annotated[list[int], typer.Option(help="Repeatable.")] = [192, 1536, 12288],  # noqa: B006
    dtype: Annotated[list[str], typer.Option(help="Repeatable.")] = ["float64", "float32"],  # noqa: B006
    engine_atoms: Annotated[list[int], typer.Option(help="Sizes for OpenMM and LAMMPS; repeatable.")] = [1536],  # noqa: B006
    threads: int = 2,
    rounds: int = 5,
    spin: Annotated[
        int,
        typer.Option(help="GOMP_SPINCOUNT of all codes: how long threads that wait keep their core (0: not at all)."),
    ] = 0,
    models: Annotated[Path | None, typer.Option(help="Folder for the models, used again if they are there.")] = None,
    out: Annotated[Path, typer.Option(help="Name of the results without suffix.")] = HERE / "results/against_deepmd",
) -> None:
    """Microseconds per atom and step of dp-sim and of DeePMD-kit."""
    named = {".pth": deepmd_python, ".pb": tensorflow_python}
    pythons = {suffix: python.absolute() for suffix, python in named.items() if python is not None}
    absent = [
        {".pth": "DeePMD-kit PyTorch", ".pb": "DeePMD-kit TensorFlow, LAMMPS"}[s] for s in named if s not in pythons
    ]
    if max(atoms) > MOST_ATOMS_PYTORCH and ".pth" in pythons:
        absent.append(f"DeePMD-kit PyTorch beyond {MOST_ATOMS_PYTORCH} atoms (over 20 GB)")
    report: dict[str, Any] = speed_report.circumstances(pythons)
    report |= {"threads": threads, "spin": spin, "left_out": absent, "rows": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = (models or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        plugins = None
        try:
            plugins = build_plugin(find_lammps(), folder / "plugin")
        except MissingPackageError as error:
            report["left_out"].append(f"dp-sim in LAMMPS ({error})")
        setup = Setup(pythons, threads, engine_atoms, folder, spin, plugins)
        for n_atoms in atoms:
            for precision in dtype:
                rows, deviation = measure(setup, n_atoms, precision, rounds)
                report["rows"] += [asdict(row) for row in rows]
                report["load"].append(os.getloadavg()[0])
                report["deviations"][f"{n_atoms} atoms, {precision}"] = deviation
                speed_report.save(report, out)  # what is there so far, should the rest fail
    print(speed_report.table(report))


if __name__ == "__main__":
    typer.run(main)
