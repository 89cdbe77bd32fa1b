"""The speed of a model on this machine: the time of a step, its parts, and the machine's own rate beside it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.model.evaluator import Model
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.figures import COLOURS, new_figure, set_legend
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar
from dp_sim.recipes.speed.programs import Program, Step, deepmd_interpreter, deepmd_program, own_program
from dp_sim.recipes.speed.settings import BenchSettings
from dp_sim.recipes.speed.shares import PARTS, measure_shares, path_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Edge of the matrices whose product measures the machine.
MATRIX = 2048
#: Steps of each size that are not counted: TorchScript optimises during them.
WARM_UP = 3


@dataclass(frozen=True)
class Timing:
    """The timed steps of one program at one size."""

    atoms: int
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """Median over the steps."""
        return float(np.median([step.seconds for step in self.steps]))

    @property
    def microseconds_per_atom(self) -> float:
        """Median time per atom and step."""
        return 1e6 * self.seconds / self.atoms

    @property
    def megabytes_above_imports(self) -> float:
        """Peak memory of the process until the last step, less that after its imports."""
        return 1e-6 * self.steps[-1].bytes_above_imports

    @property
    def energy_eV_per_atom(self) -> float:
        """Energy at the last step."""
        return self.steps[-1].energy_eV / self.atoms


@dataclass(frozen=True, kw_only=True)
class SpeedResult(Result):
    """Speed of a model; times are medians over rounds.

    In result.json, for each size N (number of atoms):

    N_atoms_time_per_atom_and_step   us, energy, forces and stress through DPCalculator, wall time
    N_atoms_ns_per_day               ns/day, at the time step given
    N_atoms_memory_above_imports     MB, peak of the process less its peak after the imports; not on a GPU's own memory
    N_atoms_share_PART               %, of neighbor_list, descriptor, fitting_net, derivative (speed_shares says how)
    N_atoms_deepmd_...               the same of DeePMD-kit, where it is compared with; deepmd_time_ratio: its time over
                                     ours; deepmd_energy_difference, eV per atom: whether both compute the same

    and for all: device, precision, threads, path ("compiled": compiled operators, "TorchScript", "GPU"),
    matrix_product (GFLOP/s in the model's precision, median of one product a round), deepmd (its version, or why not).
    """

    recipe: ClassVar[str] = "bench"
    title: ClassVar[str] = "Speed of a model on this machine"

    timings: tuple[Timing, ...]
    shares: tuple[dict[str, float], ...]
    timestep_fs: float
    threads: int
    device: str
    dtype: str
    path: str
    gflops: float
    deepmd: Quantity
    deepmd_timings: tuple[Timing, ...] = ()

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        quantities: dict[str, Quantity | Estimate] = {
            "device": Quantity(self.device),
            "precision": Quantity(self.dtype),
            "path": Quantity(self.path),
            "threads": Quantity(self.threads),
            "matrix_product": Quantity(self.gflops, "GFLOP/s"),
            "deepmd": self.deepmd,
        }
        for timing, shares in zip(self.timings, self.shares, strict=True):
            name = f"{timing.atoms}_atoms"
            quantities[f"{name}_time_per_atom_and_step"] = Quantity(timing.microseconds_per_atom, "us")
            quantities[f"{name}_ns_per_day"] = Quantity(86400 / timing.seconds * self.timestep_fs * 1e-6, "ns/day")
            quantities[f"{name}_memory_above_imports"] = Quantity(timing.megabytes_above_imports, "MB")
            for part, share in shares.items():
                quantities[f"{name}_share_{part}"] = Quantity(100 * share, "%")
        for own, other in zip(self.timings, self.deepmd_timings, strict=False):  # all, or none
            name = f"{own.atoms}_atoms_deepmd"
            quantities[f"{name}_time_per_atom_and_step"] = Quantity(other.microseconds_per_atom, "us")
            quantities[f"{name}_memory_above_imports"] = Quantity(other.megabytes_above_imports, "MB")
            quantities[f"{name}_time_ratio"] = Quantity(other.seconds / own.seconds)
            difference = abs(own.energy_eV_per_atom - other.energy_eV_per_atom)
            quantities[f"{name}_energy_difference"] = Quantity(difference, "eV")
        return quantities

    @property
    @override
    def outcome(self) -> str:
        last = self.timings[-1]
        return f"{last.microseconds_per_atom:.3g} µs per atom and step at {last.atoms} atoms"

    @property
    @override
    def basis(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"medians over {len(self.timings[-1].steps)} rounds, {threads}, {self.dtype}, {self.path}"

    @override
    def headline(self) -> tuple[str, ...]:
        last = f"{self.timings[-1].atoms}_atoms"
        return (f"{last}_time_per_atom_and_step", f"{last}_ns_per_day", f"{last}_deepmd_time_ratio")

    @override
    def captions(self) -> dict[str, str]:
        return {
            "speed": "Time for an atom and a step over the size of the system: flat where nothing is wasted.",
            "shares": "What a step spends its time on.",
        }

    @override
    def figures(self) -> dict[str, Figure]:
        speed, axes = new_figure("atoms", "µs per atom and step")
        programs = {"dp-sim": self.timings} | ({"DeePMD-kit": self.deepmd_timings} if self.deepmd_timings else {})
        for colour, (program, timings) in zip(COLOURS, programs.items(), strict=False):
            axes.loglog(
                [t.atoms for t in timings],
                [t.microseconds_per_atom for t in timings],
                "o-",
                color=colour,
                label=program,
            )
        set_legend(axes)
        shares, axes = new_figure("share of a step (%)", "atoms")
        rows = [str(timing.atoms) for timing in self.timings]
        left = np.zeros(len(rows))
        for colour, part in zip(COLOURS, PARTS, strict=False):
            width = np.array([100 * share[part] for share in self.shares])
            axes.barh(rows, width, left=left, color=colour, label=part.replace("_", " "), height=0.5)
            left += width
        axes.set_xlim(0, 100)
        shares.legend(loc="outside upper center", ncols=len(PARTS), frameon=False)
        return {"speed": speed, "shares": shares}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        """Write timings.csv: every step that was counted."""
        programs = {"dp-sim": self.timings, "deepmd-kit": self.deepmd_timings}
        rows = [
            (program, timing.atoms, number, step.seconds)
            for program, timings in programs.items()
            for timing in timings
            for number, step in enumerate(timing.steps)
        ]
        write_text(path("timings.csv"), csv_text(["program", "atoms", "round", "seconds"], rows))


@documented(BenchSettings)
def measure_speed(
    atoms: Atoms,
    calc: Any,
    *,
    repeat: Sequence[int] = (1,),
    rounds: int = 7,
    timestep_fs: float = 0.5,
    deepmd: str | None = None,
    deepmd_model: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> SpeedResult:
    """Time energy, forces and stress as an MD step asks for them: every round moves the atoms and searches neighbours.

    Every program runs in a process of its own, so that its memory is its own; the programs take turns in each round.

    Parameters
    ----------
    atoms : ase.Atoms
        A structure; a periodic one is repeated along each periodic axis.
    calc : path, sequence of paths or DPCalculator
        A model file, a list of them, or a DPCalculator.

    Returns
    -------
    SpeedResult
        Times (microseconds per atom and step), memory (MB) and the shares of the parts of a step.

    Raises
    ------
    InputError
        No dp-sim model, a setting out of range, or a comparison asked for that cannot be made.
    """
    settings = BenchSettings.taken_from(locals())
    _check_inputs(atoms, settings)
    atoms = prepare_atoms(atoms, calc)
    model = _model_of(atoms)
    sizes = _sizes(atoms, settings.repeat)
    with (
        RunDirectory.of(
            settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
        ) as run,
        progress_bar("bench", total=len(sizes) * (settings.rounds + WARM_UP), show=progress) as advance,
        ExitStack() as stack,
    ):  # fmt: skip
        programs, deepmd_version = _start_programs(stack, model, settings, sizes)
        timings, gflops = time_programs(
            programs, [len(one) for one in sizes], settings.rounds, settings.seed, model, advance
        )
        return run.finish(
            SpeedResult(
                converged=True,
                timings=timings[0],
                shares=tuple(measure_shares(model, one, min(settings.rounds, 5)) for one in sizes),
                timestep_fs=settings.timestep_fs,
                threads=torch.get_num_threads(),
                device=_device_name(model.device),
                dtype=model.metadata.dtype,
                path=path_of(model),
                gflops=gflops,
                deepmd=deepmd_version,
                deepmd_timings=timings[1] if len(timings) > 1 else (),
            )
        )


def _check_inputs(atoms: Atoms, settings: BenchSettings) -> None:
    if max(settings.repeat) > 1 and not atoms.pbc.any():
        raise InputError("repeat-needs-cell", "repeat needs a periodic structure; leave it out for a molecule")
    if settings.deepmd_model is not None and not Path(settings.deepmd_model).is_file():
        raise InputError("file-missing", f"there is no model file {settings.deepmd_model}; check the path")


def _model_of(atoms: Atoms) -> Model:
    """Return the model behind the calculator of a structure."""
    model = loaded_model(atoms.calc)
    if model is None:
        raise InputError(
            "calculator-kind",
            f"speed is measured for dp-sim models, got {type(atoms.calc).__name__}; give a model file",
        )
    return model


def _sizes(atoms: Atoms, repeat: Sequence[int]) -> list[Atoms]:
    """Repeat a structure along its periodic axes; sizes grow, because a process has one peak of memory."""
    return [atoms.repeat([n if periodic else 1 for periodic in atoms.pbc]) for n in sorted(set(repeat))]


def _start_programs(
    stack: ExitStack, model: Model, settings: BenchSettings, sizes: Sequence[Atoms]
) -> tuple[list[Program], Quantity]:
    """Start the programs to be timed; they and their files end with `stack`.

    Returns
    -------
    programs
        dp-sim and, where it is compared with, DeePMD-kit.
    deepmd
        Version of DeePMD-kit; without a value, and with the cause, where it does not run.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    structures = folder / "sizes.extxyz"
    write_frames(structures, sizes)
    other, cause = _deepmd_program(model, settings, structures, folder)
    programs = [stack.enter_context(own_program(model, structures, folder))]
    if other is None:
        return programs, Quantity(None, cause=cause)
    programs.append(stack.enter_context(other))
    return programs, Quantity(f"deepmd-kit {other.version}")


def _deepmd_program(
    model: Model,
    settings: BenchSettings,
    structures: Path,
    folder: Path,
) -> tuple[Program | None, str]:
    """Make the program that runs DeePMD-kit; or none, and why. Why is an error where the comparison was asked for."""
    python, deepmd_model = deepmd_interpreter(settings.deepmd), settings.deepmd_model
    asked = settings.deepmd is not None or deepmd_model is not None
    try:
        if python is None:
            raise InputError(
                "deepmd-not-installed",
                "deepmd-kit is not installed here; name an interpreter that has it (--deepmd PYTHON)",
            )
        files = [deepmd_model] if deepmd_model is not None else list(model.files)
        if len(files) != 1:
            raise InputError(
                "deepmd-models-too-many",
                f"DeePMD-kit is compared with one model file, got {len(files)}; name what runs there (--deepmd-model)",
            )
        return deepmd_program(python, Path(files[0]), model.metadata.dtype, structures, folder), ""
    except InputError as error:
        if asked:
            raise
        return None, str(error)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def time_programs(
    programs: Sequence[Program], sizes: Sequence[int], rounds: int, seed: int, model: Model, advance: Advance
) -> tuple[list[tuple[Timing, ...]], float]:
    """Time the programs, which take turns in every round.

    Parameters
    ----------
    programs
        Running programs.
    sizes
        Number of atoms of each structure that they hold.
    rounds
        Steps that count, of each size.
    seed
        Of the random displacements.
    model
        Whose precision and device the matrix product has.
    advance
        Moves the progress bar.

    Returns
    -------
    timings
        Of each program, one for each size.
    rate
        GFLOP/s of a matrix product, the median over the rounds.
    """
    timings: list[list[Timing]] = [[] for _ in programs]
    rates = []
    for index, n_atoms in enumerate(sizes):
        steps: list[list[Step]] = [[] for _ in programs]
        for turn in range(WARM_UP + rounds):
            for own, program in zip(steps, programs, strict=True):
                own.append(program.step(index, seed + turn))
            rates.append(matrix_product_rate(model))
            advance(1, f"{n_atoms} atoms")
        for one, own in zip(timings, steps, strict=True):
            one.append(Timing(n_atoms, tuple(own[WARM_UP:])))
    return [tuple(one) for one in timings], float(np.median(rates[1:]))


def matrix_product_rate(model: Model) -> float:
    """Measure GFLOP/s of a square matrix product in the model's precision and on its device, now."""
    dtype = torch.float32 if model.metadata.dtype == "float32" else torch.float64
    a = torch.randn(MATRIX, MATRIX, dtype=dtype, device=model.device)
    float(a[0, 0])  # an accelerator has made the numbers
    begin = time.perf_counter()
    float((a @ a)[0, 0])
    return 2e-9 * MATRIX**3 / (time.perf_counter() - begin)
