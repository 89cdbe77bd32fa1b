"""Do 95 % intervals hold exact frequencies? A molecule learnt here at GFN2-xTB by a small, calibrated committee.

    python benchmarks/calibration/frequencies.py --out DIR [--molecule H2CO] [--members 4] [--steps 4000]

Frames are thermal displacements along the normal modes of the minimum, x = sum_i sqrt(k_B T / lambda_i) xi_i u_i with T
drawn from 200 to 1500 K, labelled by tblite; each is independent of the others. One part trains the members, each on
draws of its own with replacement, another calibrates their spread. `vib` of each then starts at a minimum of its own.
The exact frequencies are those of GFN2-xTB at its minimum, by central differences. Prints a table, which
results.md holds, and draws frequencies.png beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import ase.io
import numpy as np
import typer
from ase import Atoms
from ase.build import molecule as molecule_named
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import kB
from tblite.ase import TBLite

from dp_sim import train
from dp_sim.recipes import calibrate, optimize, vibrations
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.static.vib_result import VibResult

HERE = Path(__file__).parent
#: Frames to train on, and to calibrate on.
PARTS = {"train": 300, "calibrate": 200}
#: eV/Angstrom^2/amu of a wavenumber of 1 cm^-1, squared root: 521.4709 cm^-1 for 1 eV/Angstrom^2/amu.
CM1 = 521.4709


def exact(name: str) -> VibResult:
    """Minimum and frequencies of GFN2-xTB."""
    calculator = TBLite(method="GFN2-xTB", accuracy=0.01, verbosity=0)
    relaxed = optimize(molecule_named(name), calculator, fmax=1e-4, progress=False).atoms
    return vibrations(relaxed, calculator, fmax=1e-3, progress=False)


def displaced(known: VibResult, count: int, random: np.random.Generator) -> list[Atoms]:
    """Draw frames, and label them."""
    calculator = TBLite(method="GFN2-xTB", verbosity=0)
    stiffness = (known.frequencies_cm1 / CM1) ** 2  # lambda of mass-weighted displacements, eV/Angstrom^2/amu
    along = known.modes / np.sqrt(known.reduced_masses_amu)[:, None, None]
    frames = []
    for _ in range(count):
        widths = np.sqrt(kB * random.uniform(200, 1500) / stiffness)
        atoms = known.atoms.copy()
        atoms.positions += np.tensordot(widths * random.normal(size=len(widths)), along, axes=1)
        atoms.calc = calculator
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


def settings(folder: Path, steps: int, species: list[str]) -> dict[str, Any]:
    """Give the settings of the training: a small network."""
    return {
        "model": {
            "species": species, "cutoff": 5.0, "switch_start": 1.0, "embedding": [16, 32], "axis_width": 4,
            "angular_weight": 2.0, "one_side": False, "fitting": [64, 64],
        },
        "data": {"train": [str(folder / "train.extxyz")], "valid": [], "valid_fraction": 0.0, "bootstrap": True},
        "loss": {"energy": [1, 10], "forces": [1000, 300]},
        "training": {
            "optimizer": "soap", "steps": steps, "batch_size": 16, "learning_rate": 1e-2, "learning_rate_end": 2e-5,
            "average": 0.995, "report_every": steps // 4, "seed": 1,
        },
    }  # fmt: skip


def table(name: str, known: VibResult, found: VibResult) -> list[str]:
    """Compare mode by mode: those of the committee with the exact ones that they overlap with most."""
    from scipy.optimize import linear_sum_assignment

    first, second = (_unit(one) for one in (found, known))
    rows, columns = linear_sum_assignment((first @ second.T) ** 2, maximize=True)
    errors = found.quantities()["frequencies"]
    low, high = errors.total_ci95.T
    lines, held = [], 0
    for mode, other in zip(rows, columns, strict=True):
        exact_cm1, value = known.frequencies_cm1[other], found.frequencies_cm1[mode]
        inside = low[mode] <= exact_cm1 <= high[mode]
        held += int(inside)
        lines.append(
            f"| {name} | {mode + 1} | {exact_cm1:.1f} | {value:.1f} | {value - exact_cm1:+.1f} | "
            f"{errors.model_error[mode]:.1f} | {low[mode]:.1f} to {high[mode]:.1f} | {'yes' if inside else 'no'} |"
        )
    return [*lines, f"{name}: {held} of {len(rows)} within the 95 % interval; {errors_from(found)}"]


def errors_from(found: VibResult) -> str:
    """Where the errors come from, as the page says."""
    return str(found.quantities()["model_errors_from"].value)


def _unit(one: VibResult) -> np.ndarray:
    weighted = (one.modes * np.sqrt(one.atoms.get_masses())[:, None]).reshape(len(one.modes), -1)
    return np.asarray(weighted / np.linalg.norm(weighted, axis=1, keepdims=True))


def draw(results: dict[str, tuple[VibResult, VibResult]], file: Path) -> None:
    """Draw error and 95 % interval of each mode."""
    figure, axes = new_figure("exact wavenumber (cm⁻¹)", "error, 95 % interval (cm⁻¹)")
    for number, (name, (known, found)) in enumerate(results.items()):
        low, high = found.quantities()["frequencies"].total_ci95.T
        value = found.frequencies_cm1
        bars = np.array([value - low, high - value])
        axes.errorbar(
            known.frequencies_cm1, value - known.frequencies_cm1, yerr=bars, fmt="o", ms=3, lw=0.8, capsize=2,
            color=COLOURS[number], label=name,
        )  # fmt: skip
    axes.axhline(0, color="gray", linewidth=0.8, zorder=0)
    axes.legend(loc="upper center")
    figure.savefig(file)


def main(
    out: Annotated[Path, typer.Option(help="Folder for frames and members.")],
    molecule: Annotated[list[str], typer.Option(help="Names of ASE; repeat it.")] = ["H2CO"],  # noqa: B006
    members: Annotated[int, typer.Option(help="Members of the committee.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps of each training.")] = 4000,
) -> None:
    """Label, train and calibrate what is missing; compare."""
    results = {}
    for name in molecule:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        known, random = exact(name), np.random.default_rng(5)
        for part, count in PARTS.items():
            if not (folder / f"{part}.extxyz").exists():
                ase.io.write(folder / f"{part}.extxyz", displaced(known, count, random))
        run = folder / f"committee-{steps}"
        if not (run / "committee.json").exists():
            species = sorted(set(known.atoms.get_chemical_symbols()))
            train(settings(folder, steps, species), out=run, members=members, progress=False, resume=run.exists())
        print(calibrate(run, folder / "calibrate.extxyz", progress=False).outcome)
        relaxed = optimize(known.atoms, run, fmax=1e-4, progress=False).atoms
        results[name] = (known, vibrations(relaxed, run, fmax=1e-3, progress=False))
    print("| molecule | mode | exact | committee | off by | model error | 95 % interval | held |")
    print("|---" * 8 + "|")
    for name, (known, found) in results.items():
        print("\n".join(table(name, known, found)))
    draw(results, HERE / "frequencies.png")


if __name__ == "__main__":
    typer.run(main)
