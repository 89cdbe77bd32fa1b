"""How fast a model runs on this machine: microseconds per atom and step, beside the machine's own arithmetic rate."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.export import Model
from dp_sim.recipes.calculators import loaded_model
from dp_sim.recipes.progress import progress_bar
from dp_sim.recipes.results import Estimate, Quantity, Result
from dp_sim.recipes.run_directory import RunDirectory
from dp_sim.recipes.structures import prepare_atoms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Edge of the matrices whose product measures the machine.
MATRIX = 2048


@dataclass(frozen=True)
class Timing:
    """One size: seconds a step (energy, forces, virial) in each round, and in the neighbour list alone."""

    atoms: int
    seconds: tuple[float, ...]
    neighbor_seconds: tuple[float, ...]

    @property
    def microseconds_per_atom(self) -> float:
        return 1e6 * float(np.median(self.seconds)) / self.atoms

    @property
    def neighbor_share(self) -> float:
        return float(np.median(self.neighbor_seconds) / np.median(self.seconds))


@dataclass(frozen=True, kw_only=True)
class SpeedResult(Result):
    """Timings of a model; medians over rounds. `gflops` is the rate of a matrix product in the model's precision."""

    recipe: ClassVar[str] = "bench"
    title: ClassVar[str] = "Speed of a model on this machine"

    timings: tuple[Timing, ...]
    timestep_fs: float
    threads: int
    device: str
    dtype: str
    gflops: float

    def quantities(self) -> dict[str, Quantity | Estimate]:
        quantities: dict[str, Quantity | Estimate] = {
            "device": Quantity(self.device),
            "precision": Quantity(self.dtype),
            "threads": Quantity(self.threads),
            "matrix_product": Quantity(self.gflops, "GFLOP/s"),
        }
        for timing in self.timings:
            name = f"{timing.atoms}_atoms"
            step = float(np.median(timing.seconds))
            quantities[f"{name}_time_per_atom_and_step"] = Quantity(timing.microseconds_per_atom, "us")
            quantities[f"{name}_neighbor_share"] = Quantity(100 * timing.neighbor_share, "%")
            quantities[f"{name}_ns_per_day"] = Quantity(86400 / step * self.timestep_fs * 1e-6, "ns/day")
        return quantities

    def figures(self) -> dict[str, Figure]:
        from dp_sim.recipes.figures import COLOURS, new_figure

        figure, axes = new_figure("atoms", "µs per atom and step")
        axes.loglog(
            [t.atoms for t in self.timings], [t.microseconds_per_atom for t in self.timings], "o-", color=COLOURS[0]
        )
        return {"speed": figure}

    def write_data(self, path: Callable[[str], Path]) -> None:
        """Nothing beside result.json and the plot."""


def measure_speed(
    atoms: Atoms,
    calc: Any,
    *,
    repeat: Sequence[int] = (1,),
    rounds: int = 7,
    timestep_fs: float = 0.5,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> SpeedResult:
    """Time energy, forces and virial as an MD step asks for them: every round moves the atoms and searches neighbours.

    atoms         a structure; periodic ones are repeated `n` times along each periodic axis for every n of `repeat`
    calc          model file, list of them, or DPCalculator
    rounds        timed steps of each size, after two that are not counted (TorchScript optimises during them)
    timestep_fs   for the conversion to ns/day

    Raises
    ------
    InputError
        No model of ours, or a setting out of range.
    """
    if rounds < 1 or min(repeat, default=0) < 1:
        raise InputError(f"rounds and every entry of repeat must be at least 1, got {rounds} and {list(repeat)}")
    if max(repeat) > 1 and not atoms.pbc.any():
        raise InputError("repeat needs a periodic structure; leave it out for a molecule")
    atoms = prepare_atoms(atoms, calc)
    model = loaded_model(atoms.calc)
    if model is None:
        raise InputError(f"speed is measured for dp-sim models, got {type(atoms.calc).__name__}; give a model file")
    settings = {"repeat": list(repeat), "rounds": rounds, "timestep_fs": timestep_fs}
    with (
        RunDirectory(
            "bench", out, settings=settings, structures=[atoms], calculator=atoms.calc, seed=seed,
            overwrite=overwrite, resume=resume, resumable=False,
        ) as run,
        progress_bar("bench", total=len(repeat) * (rounds + 2), show=progress) as advance,
    ):  # fmt: skip
        timings = [time_steps(model, _repeated(atoms, n), rounds, seed, advance) for n in repeat]
        return run.finish(
            SpeedResult(
                converged=True,
                timings=tuple(timings),
                timestep_fs=timestep_fs,
                threads=torch.get_num_threads(),
                device=_device_name(model.device),
                dtype=model.metadata.dtype,
                gflops=matrix_product_rate(model),
            )
        )


def _repeated(atoms: Atoms, n: int) -> Atoms:
    return atoms.repeat([n if periodic else 1 for periodic in atoms.pbc])


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def time_steps(model: Model, atoms: Atoms, rounds: int, seed: int, advance: Callable[..., None]) -> Timing:
    """Seconds of each round; positions shake by 0.01 Angstrom, so that no round repeats another."""
    random = np.random.default_rng(seed)
    start = atoms.positions.copy()
    seconds, neighbor_seconds = [], []
    for _ in range(rounds + 2):
        atoms.positions = start + random.normal(scale=0.01, size=start.shape)
        begin = time.perf_counter()
        model.prepare(atoms)
        between = time.perf_counter()
        output = model.evaluate(atoms, virial=True)
        output.energy.cpu()  # waits for an accelerator
        seconds.append(time.perf_counter() - between)
        neighbor_seconds.append(between - begin)
        advance(1, f"{len(atoms)} atoms")
    return Timing(len(atoms), tuple(seconds[2:]), tuple(neighbor_seconds[2:]))


def matrix_product_rate(model: Model, rounds: int = 5) -> float:
    """GFLOP/s of a square matrix product in the model's precision and place: what the machine can do today."""
    dtype = torch.float32 if model.metadata.dtype == "float32" else torch.float64
    a = torch.randn(MATRIX, MATRIX, dtype=dtype, device=model.device)
    seconds = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        float((a @ a)[0, 0])
        seconds.append(time.perf_counter() - begin)
    return 2 * MATRIX**3 / float(np.median(seconds[1:])) * 1e-9
