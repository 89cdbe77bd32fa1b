"""HCN and HNC, one molecule: training data from GFN2-xTB for the isomerisation.

    python example_systems/hydrogen_cyanide/make_data.py --out DIR --seed 0

Writes train, valid and test.extxyz.gz and both relaxed isomers into DIR, in a few minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for labelled_parts, the module beside the systems
from labelled_parts import Part, errors_end_the_script, labelled, make_folder, write_data, write_frames, xtb

from dp_sim.recipes import find_path

METHOD = "GFN2-xTB"
#: Where the hydrogen starts, Angstrom: the carbon is at 0 and the nitrogen at 1.15 on the same line.
HYDROGEN_AT = {"hcn": -1.07, "hnc": 2.15}
TEMPERATURES_K = (300.0, 1000.0, 2500.0)
TIMESTEP_FS = 0.25
NOISES_A = (0.01, 0.03, 0.06)  # about the path
HELD_OUT_NOISE_A = 0.04
CROSSING_FRAMES = 8


@dataclass(frozen=True)
class Size:
    """How much is sampled. Trajectories of valid and test are runs of their own."""

    train_frames: int = 100  # for each temperature and isomer
    held_out_frames: int = 20
    steps_between: int = 80  # 20 fs
    equilibration_steps: int = 1200
    images: int = 15  # of the path
    between: int = 3  # structures between two images
    noisy: int = 5  # structures about each of them and noise
    crossings: int = 12  # trajectories from the barrier


FULL = Size()
QUICK = Size(
    train_frames=2,
    held_out_frames=1,
    steps_between=10,
    equilibration_steps=20,
    images=5,
    between=1,
    noisy=1,
    crossings=1,
)


def relaxed(isomer: str) -> Atoms:
    """Relax one isomer to 1e-4 eV/Angstrom, without its place on the line to help."""
    atoms = Atoms("HCN", positions=[[HYDROGEN_AT[isomer], 0, 0], [0, 0, 0], [1.15, 0, 0]])
    atoms.calc = xtb(METHOD)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=500)
    return atoms


def along(path: Sequence[Atoms], place: float) -> Atoms:
    """Make the structure at a place of a path, image k at k, by linear interpolation between two images."""
    first = min(int(place), len(path) - 2)
    share = place - first
    atoms = path[first].copy()
    atoms.positions = (1 - share) * path[first].positions + share * path[first + 1].positions
    return atoms


def about_the_path(rng: np.random.Generator, *, path: Sequence[Atoms], size: Size) -> Iterator[Atoms]:
    """Yield the images and structures between them, each also with noise of all widths."""
    for place in np.linspace(0, len(path) - 1, structures_along(size)):
        start = along(path, place)
        yield displaced(start, np.zeros((3, 3)))
        for noise in NOISES_A:
            for _ in range(size.noisy):
                yield displaced(start, rng.normal(scale=noise, size=(3, 3)))


def structures_along(size: Size) -> int:
    """Count the images and the structures between them."""
    return (size.images - 1) * (size.between + 1) + 1


def anywhere_near_the_path(rng: np.random.Generator, *, path: Sequence[Atoms], frames: int) -> Iterator[Atoms]:
    """Yield structures with noise about random places of the path."""
    for place in rng.uniform(0, len(path) - 1, frames):
        yield displaced(along(path, place), rng.normal(scale=HELD_OUT_NOISE_A, size=(3, 3)))


def trajectory(
    rng: np.random.Generator, *, start: Atoms, temperature_K: float, frames: int, size: Size
) -> Iterator[Atoms]:
    """Langevin dynamics from an isomer."""
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


def crossings(rng: np.random.Generator, *, path: Sequence[Atoms], count: int, first: int) -> Iterator[Atoms]:
    """Run dynamics at 1000 K that start near the barrier and fall to either side: a frame every 3 fs.

    Parameters
    ----------
    rng
        Random numbers of this part.
    path
        Images of the band; a trajectory starts at one of the middle third.
    count
        Number of trajectories.
    first
        Number of the first frame that is kept. Frame 0 is an image of the band, which is in train.
    """
    for _ in range(count):
        atoms = displaced(path[int(rng.integers(len(path) // 3, 1 + 2 * len(path) // 3))], np.zeros((3, 3)))
        thermalize_momenta(atoms, temperature_K=1000.0, rng=rng)
        dynamics = Langevin(
            atoms, TIMESTEP_FS * units.fs, temperature_K=1000.0, friction=0.001 / units.fs, rng=rng, fixcm=False
        )
        for number in range(CROSSING_FRAMES):
            if number >= first:
                yield atoms
            dynamics.run(12)


def displaced(atoms: Atoms, step: np.ndarray) -> Atoms:
    """Copy a structure, moved by `step` (N, 3), Angstrom, with the calculator that labels it."""
    moved = Atoms(atoms.numbers, atoms.positions + step)
    moved.calc = xtb(METHOD)
    return moved


def all_parts(minima: dict[str, Atoms], path: Sequence[Atoms], size: Size) -> list[Part]:
    """List the parts: trajectories and the path in all three splits, the images themselves in train only."""
    parts = []
    for split, frames, share in (
        ("train", size.train_frames, size.crossings),
        ("valid", size.held_out_frames, max(1, size.crossings // 4)),
        ("test", size.held_out_frames, max(1, size.crossings // 4)),
    ):
        for name, start in minima.items():
            for temperature_K in TEMPERATURES_K:
                sample = partial(trajectory, start=start, temperature_K=temperature_K, frames=frames, size=size)
                parts.append(Part(f"{split}-md-{name}-{temperature_K:.0f}K", split, frames, sample))
        first = 0 if split == "train" else 1
        across = partial(crossings, path=path, count=share, first=first)
        parts.append(Part(f"{split}-crossings", split, (CROSSING_FRAMES - first) * share, across))
    count = structures_along(size) * (1 + len(NOISES_A) * size.noisy)
    parts.append(Part("train-path", "train", count, partial(about_the_path, path=path, size=size)))
    for split in ("valid", "test"):
        near = partial(anywhere_near_the_path, path=path, frames=2 * size.held_out_frames)
        parts.append(Part(f"{split}-path", split, 2 * size.held_out_frames, near))
    return parts


def main(
    out: Annotated[Path, typer.Option(help="Folder for the data; it is made if needed.")],
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny set, to try the script.")] = False,
) -> None:
    """Sample HCN, HNC and what lies between, and label it with GFN2-xTB."""
    with errors_end_the_script():
        make_folder(out)
        minima = {name: relaxed(name) for name in HYDROGEN_AT}
        size = QUICK if quick else FULL
        band = find_path(minima["hcn"], minima["hnc"], xtb(METHOD), images=size.images, progress=False)
        counts = write_data(all_parts(minima, band.images, size), out, seed, "quick" if quick else "full")
        for name, atoms in minima.items():
            write_frames(out / f"{name}.extxyz", [labelled(atoms, "relaxed")])
    print(", ".join(f"{split}: {count} frames" for split, count in counts.items()))


if __name__ == "__main__":
    typer.run(main)
