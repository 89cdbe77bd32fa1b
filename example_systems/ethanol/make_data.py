"""Ethanol, one molecule: training data from GFN2-xTB.

    python example_systems/ethanol/make_data.py --out DIR --seed 0

Writes train, valid and test.extxyz.gz and both relaxed conformers into DIR, in a few minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for labelled_parts, the module beside the systems
from labelled_parts import Part, errors_end_the_script, labelled, make_folder, write_data, write_frames, xtb

METHOD = "GFN2-xTB"
#: Atoms of ase.build.molecule("CH3CH2OH"): C C O, then hydroxyl H, two methylene H, three methyl H.
METHYL_C, METHYLENE_C, OXYGEN, HYDROXYL_H = 0, 1, 2, 3
METHYL_H = (6, 7, 8)
HYDROXYL_ANGLE = {"anti": 180.0, "gauche": 60.0}  # dihedral H-O-C-C, degrees
TEMPERATURES_K = (300.0, 600.0, 1000.0)
TIMESTEP_FS = 0.5
MODE_ENERGIES_EV = (0.02, 0.08, 0.25)  # along one normal mode, in the harmonic approximation
MAX_DISPLACEMENT_A = 0.3  # of any atom along a soft mode, where a straight line is no torsion
THERMAL_K = (30.0, 300.0)  # all modes at once


@dataclass(frozen=True)
class Size:
    """How much is sampled. Trajectories of valid and test are runs of their own."""

    train_frames: int = 170  # for each temperature and conformer
    held_out_frames: int = 34
    steps_between: int = 120  # 60 fs: some five C-H periods
    equilibration_steps: int = 600
    thermal_frames: int = 30
    torsion_steps: int = 24


FULL = Size()
QUICK = Size(
    train_frames=2, held_out_frames=1, steps_between=10, equilibration_steps=20, thermal_frames=2, torsion_steps=6
)


def relaxed(conformer: str) -> Atoms:
    """Relax one conformer ("anti" or "gauche") to 1e-4 eV/Angstrom."""
    atoms = molecule("CH3CH2OH")
    atoms.set_dihedral(HYDROXYL_H, OXYGEN, METHYLENE_C, METHYL_C, HYDROXYL_ANGLE[conformer], indices=[HYDROXYL_H])
    atoms.calc = xtb(METHOD)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=500)
    return atoms


def normal_modes(atoms: Atoms, step_A: float = 0.005) -> tuple[np.ndarray, np.ndarray]:
    """Vibrations at a minimum from central differences of the forces.

    Returns
    -------
    force constants (3N-6,), eV/(Angstrom^2 amu), and Cartesian displacements per unit of the mass-weighted
    coordinate (3N-6, N, 3), amu^-1/2; the six translations and rotations are left out.
    """
    probe = atoms.copy()
    probe.calc = xtb(METHOD)
    hessian = np.empty((3 * len(atoms),) * 2)
    for row, (atom, axis) in enumerate(np.ndindex(len(atoms), 3)):
        gradients = []
        for sign in (1, -1):
            probe.positions = atoms.positions
            probe.positions[atom, axis] += sign * step_A
            gradients.append(-probe.get_forces().ravel())
        hessian[row] = (gradients[0] - gradients[1]) / (2 * step_A)
    per_root_mass = np.repeat(atoms.get_masses() ** -0.5, 3)
    weighted = per_root_mass[:, None] * (hessian + hessian.T) / 2 * per_root_mass
    constants, vectors = np.linalg.eigh(weighted)
    modes = (per_root_mass[:, None] * vectors).T.reshape(-1, len(atoms), 3)
    return constants[6:], modes[6:]


def trajectory(
    rng: np.random.Generator, *, start: Atoms, temperature_K: float, frames: int, size: Size
) -> Iterator[Atoms]:
    """Langevin dynamics from a relaxed conformer; at 600 K and above it visits both conformers."""
    atoms = start.copy()
    atoms.calc = xtb(METHOD)
    thermalize_momenta(atoms, temperature_K=temperature_K, rng=rng)
    dynamics = Langevin(
        atoms, TIMESTEP_FS * units.fs, temperature_K=temperature_K, friction=0.01 / units.fs, rng=rng, fixcm=False
    )
    dynamics.run(size.equilibration_steps)
    for _ in range(frames):
        dynamics.run(size.steps_between)
        yield atoms


def mode_scan(rng: np.random.Generator, *, start: Atoms) -> Iterator[Atoms]:
    """Yield the minimum, and both directions along each normal mode up to given harmonic energies."""
    yield displaced(start, np.zeros((len(start), 3)))
    for constant, mode in zip(*normal_modes(start), strict=True):
        for energy in MODE_ENERGIES_EV:
            step = np.sqrt(2 * energy / constant) * mode
            step *= min(1.0, MAX_DISPLACEMENT_A / np.linalg.norm(step, axis=1).max())
            yield displaced(start, step)
            yield displaced(start, -step)


def thermal_modes(rng: np.random.Generator, *, start: Atoms, frames: int) -> Iterator[Atoms]:
    """Yield harmonic Boltzmann samples: each mode's coordinate has the variance kT / constant."""
    constants, modes = normal_modes(start)
    for temperature_K in THERMAL_K:
        for _ in range(frames):
            coordinates = rng.normal(size=len(constants)) * np.sqrt(units.kB * temperature_K / constants)
            step = np.einsum("m,mac->ac", coordinates, modes)
            yield displaced(start, step * min(1.0, MAX_DISPLACEMENT_A / np.linalg.norm(step, axis=1).max()))


def torsion_scan(rng: np.random.Generator, *, start: Atoms, steps: int, methyl_turn: float) -> Iterator[Atoms]:
    """Yield a turn of the hydroxyl for one turn of the methyl (degrees); each also with 0.03 Angstrom of noise."""
    for angle in np.arange(steps) * 360.0 / steps:
        turned = start.copy()
        turned.rotate_dihedral(METHYL_H[0], METHYL_C, METHYLENE_C, OXYGEN, -methyl_turn, indices=list(METHYL_H))
        turned.set_dihedral(HYDROXYL_H, OXYGEN, METHYLENE_C, METHYL_C, angle, indices=[HYDROXYL_H])
        yield displaced(turned, np.zeros((len(start), 3)))
        yield displaced(turned, rng.normal(scale=0.03, size=(len(start), 3)))


def displaced(atoms: Atoms, step: np.ndarray) -> Atoms:
    """Copy a structure, moved by `step` (N, 3), Angstrom, with the calculator that labels it."""
    moved = Atoms(atoms.numbers, atoms.positions + step)
    moved.calc = xtb(METHOD)
    return moved


def all_parts(minima: dict[str, Atoms], size: Size) -> list[Part]:
    """List the parts: trajectories in all three splits, scans about the minima in train only."""
    parts = []
    for split, frames in (
        ("train", size.train_frames),
        ("valid", size.held_out_frames),
        ("test", size.held_out_frames),
    ):
        for name, start in minima.items():
            for temperature_K in TEMPERATURES_K:
                sample = partial(trajectory, start=start, temperature_K=temperature_K, frames=frames, size=size)
                parts.append(Part(f"{split}-md-{name}-{temperature_K:.0f}K", split, frames, sample))
    for name, start in minima.items():
        count = 1 + 2 * len(MODE_ENERGIES_EV) * (3 * len(start) - 6)
        parts.append(Part(f"modes-{name}", "train", count, partial(mode_scan, start=start)))
        sample = partial(thermal_modes, start=start, frames=size.thermal_frames)
        parts.append(Part(f"thermal-{name}", "train", len(THERMAL_K) * size.thermal_frames, sample))
    for methyl_turn in (0.0, 30.0, 60.0):
        sample = partial(torsion_scan, start=minima["anti"], steps=size.torsion_steps, methyl_turn=methyl_turn)
        parts.append(Part(f"torsion-methyl-{methyl_turn:.0f}", "train", 2 * size.torsion_steps, sample))
    return parts


def main(
    out: Annotated[Path, typer.Option(help="Folder for the data; it is made if needed.")],
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny set, to try the script.")] = False,
) -> None:
    """Sample ethanol and label it with GFN2-xTB."""
    with errors_end_the_script():
        make_folder(out)
        minima = {name: relaxed(name) for name in HYDROXYL_ANGLE}
        counts = write_data(all_parts(minima, QUICK if quick else FULL), out, seed, "quick" if quick else "full")
        write_frames(out / "ethanol.extxyz", [labelled(minima["anti"], "relaxed")])
        write_frames(out / "ethanol_gauche.extxyz", [labelled(minima["gauche"], "relaxed")])
    print(", ".join(f"{split}: {count} frames" for split, count in counts.items()))


if __name__ == "__main__":
    typer.run(main)
