"""Water, liquid and clusters: training data from GFN1-xTB.

    python example_systems/water/make_data.py --out DIR --seed 0

Writes train, valid and test.extxyz.gz, a liquid box and the relaxed molecule into DIR, in about half an hour
on one core. GFN1-xTB, because a periodic call takes a sixth of the time of GFN2-xTB.
"""

from __future__ import annotations

import itertools
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
from ase.calculators.calculator import CalculationFailed, Calculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS, FIRE
from classical_water import classical_liquid, turned_molecule

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for labelled_parts, the module beside the systems
from labelled_parts import Part, errors_end_the_script, labelled, make_folder, write_data, write_frames, xtb

METHOD = "GFN1-xTB"
# Where atoms go does not depend on their masses, how fast they get there does: heavier hydrogens allow twice the step.
SAMPLING_MASSES_AMU = {1: 4.0, 8: 10.0}
TIMESTEP_FS = 2.0
STRETCHES_A = (0.84, 0.88, 0.92, 0.96, 1.00, 1.05, 1.12, 1.20, 1.30)
ANGLES_DEG = (85.0, 98.0, 107.0, 116.0, 130.0)
MOLECULE_LIMIT_EV = 2.5  # above the minimum: what a hot liquid never visits is left out
DIMER_LIMIT_EV = 1.5  # above two relaxed molecules
DIMER_DISTANCES_A = (2.3, 7.0)
BOX_MOLECULES, BOX_DENSITY_G_CM3 = 64, 1.15  # GFN1-xTB at 330 K and no pressure: about 1.15


@dataclass(frozen=True)
class Liquid:
    """One trajectory at constant volume: frames are kept every `steps_between` steps of 2 fs after `settling_steps`."""

    molecules: int
    density_g_cm3: float
    temperature_K: float
    frames: int
    settling_steps: int
    steps_between: int


@dataclass(frozen=True)
class Size:
    """How much is sampled."""

    train: tuple[Liquid, ...]
    valid: tuple[Liquid, ...]
    test: tuple[Liquid, ...]
    classical_ps: float = 4.0
    dimers: int = 250
    cluster_sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8)
    cluster_frames: int = 24
    molecule_frames: int = 40
    stretches: tuple[float, ...] = STRETCHES_A


def _short(density_g_cm3: float, temperature_K: float) -> Liquid:
    return Liquid(32, density_g_cm3, temperature_K, frames=4, settling_steps=12, steps_between=4)


def _long(density_g_cm3: float, temperature_K: float) -> Liquid:
    return Liquid(16, density_g_cm3, temperature_K, frames=14, settling_steps=20, steps_between=5)


# Short runs of 32 molecules, and longer runs of 16, which cost a third a step and so come closer to xTB's own liquid.
# Densities lie on both sides of 1.15 g/cm3, where the pressure vanishes, further than a barostat goes.
FULL = Size(
    train=(
        *itertools.starmap(_short, ((0.90, 330), (1.00, 300), (1.05, 330), (1.10, 300), (1.10, 400), (1.15, 300))),
        *itertools.starmap(_short, ((1.15, 330), (1.15, 500), (1.20, 330), (1.25, 330))),
        *itertools.starmap(_long, ((1.15, 400), (0.95, 400))),
    ),
    valid=(_short(1.20, 300), _long(1.15, 330)),
    test=(_short(1.15, 330), _long(1.10, 300)),
)
_TINY = Liquid(8, 1.0, 330, frames=1, settling_steps=2, steps_between=2)
QUICK = Size(
    train=(_TINY,),
    valid=(_TINY,),
    test=(_TINY,),
    classical_ps=0.2,
    dimers=10,
    cluster_sizes=(1, 3),
    cluster_frames=5,
    molecule_frames=5,
    stretches=(0.92, 1.00),
)


def relaxed_molecule() -> Atoms:
    """Relax one molecule to 1e-4 eV/Angstrom."""
    atoms = molecule("H2O")
    atoms.calc = xtb(METHOD)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=200)
    return atoms


def dynamics(
    rng: np.random.Generator,
    atoms: Atoms,
    temperature_K: float,
    *,
    calculator: Calculator,
    frames: int,
    settling_steps: int,
    steps_between: int,
) -> Iterator[Atoms]:
    """Run Langevin dynamics with sampling masses and yield `frames` structures."""
    atoms.set_masses([SAMPLING_MASSES_AMU[number] for number in atoms.numbers])
    atoms.calc = calculator
    thermalize_momenta(atoms, temperature_K=temperature_K, rng=rng)
    run = Langevin(
        atoms, TIMESTEP_FS * units.fs, temperature_K=temperature_K, friction=0.02 / units.fs, rng=rng, fixcm=False
    )
    run.run(settling_steps)
    for _ in range(frames):
        run.run(steps_between)
        yield atoms


def liquid(rng: np.random.Generator, *, state: Liquid, classical_ps: float) -> Iterator[Atoms]:
    """Yield xTB dynamics from a classical configuration, to which it gives the bonds and contacts of xTB."""
    box = classical_liquid(state.molecules, state.density_g_cm3, state.temperature_K, rng, classical_ps)
    return dynamics(
        rng,
        box,
        state.temperature_K,
        calculator=xtb(METHOD),
        frames=state.frames,
        settling_steps=state.settling_steps,
        steps_between=state.steps_between,
    )


def molecule_grid(rng: np.random.Generator, *, relaxed: Atoms, stretches: tuple[float, ...]) -> Iterator[Atoms]:
    """Yield the relaxed molecule, then both bonds and the angle on a grid."""
    yield relaxed
    limit = relaxed.get_potential_energy() + MOLECULE_LIMIT_EV
    for (first, second), angle in itertools.product(
        itertools.combinations_with_replacement(stretches, 2), np.radians(ANGLES_DEG)
    ):
        positions = [[0, 0, 0], [first, 0, 0], [second * np.cos(angle), second * np.sin(angle), 0]]
        atoms = Atoms("OHH", positions, calculator=xtb(METHOD))
        if atoms.get_potential_energy() < limit:
            yield atoms


def dimers(rng: np.random.Generator, *, relaxed: Atoms, frames: int) -> Iterator[Atoms]:
    """Yield two distorted molecules, randomly oriented, at uniform O-O distances; the highest energies are refused."""
    limit = 2 * relaxed.get_potential_energy() + DIMER_LIMIT_EV
    found = 0
    while found < frames:
        distance = rng.uniform(*DIMER_DISTANCES_A)
        atoms = turned_molecule(rng, np.zeros(3)) + turned_molecule(rng, np.array([distance, 0.0, 0.0]))
        atoms.positions += rng.normal(scale=0.03, size=(6, 3))
        atoms.calc = xtb(METHOD)
        try:
            energy = atoms.get_potential_energy()
        except CalculationFailed:  # self-consistency can fail where nuclei almost touch
            continue
        if energy < limit:
            found += 1
            yield atoms


def cluster(rng: np.random.Generator, *, molecules: int, temperature_K: float, frames: int) -> Iterator[Atoms]:
    """Yield dynamics of molecules put on a 2.9 Angstrom grid in random orientations and briefly relaxed."""
    sites = np.indices((2, 2, 2)).reshape(3, -1).T * 2.9
    atoms = Atoms()
    for site in sites[:molecules]:
        atoms += turned_molecule(rng, site)
    atoms.calc = xtb(METHOD)
    FIRE(atoms, logfile=None).run(fmax=0.5, steps=40)
    return dynamics(
        rng, atoms, temperature_K, calculator=atoms.calc, frames=frames, settling_steps=50, steps_between=25
    )


def all_parts(relaxed: Atoms, size: Size) -> list[Part]:
    """List clusters, then the liquid. The molecule's grid is in train only; the rest is in all three splits."""
    grid = len(size.stretches) * (len(size.stretches) + 1) // 2 * len(ANGLES_DEG)
    sample = partial(molecule_grid, relaxed=relaxed, stretches=size.stretches)
    parts = [Part("train-molecule-grid", "train", 1 + grid, sample)]
    liquids = []
    for split, states, share in (("valid", size.valid, 5), ("test", size.test, 5), ("train", size.train, 1)):
        parts += cluster_parts(relaxed, size, split, share)
        for state in states:
            name = f"{split}-liquid-{state.molecules}-{state.density_g_cm3:.2f}-{state.temperature_K:.0f}K"
            sample = partial(liquid, state=state, classical_ps=size.classical_ps)
            liquids.append(Part(name, split, state.frames, sample))
    return parts + liquids


def cluster_parts(relaxed: Atoms, size: Size, split: str, share: int) -> list[Part]:
    """List one molecule, small clusters and pairs, at 300 and 600 K: one part in `share` of the full number."""
    parts = []
    for temperature_K, molecules in itertools.product((300.0, 600.0), size.cluster_sizes):
        frames = (size.molecule_frames if molecules == 1 else size.cluster_frames) // share
        sample = partial(cluster, molecules=molecules, temperature_K=temperature_K, frames=frames)
        parts.append(Part(f"{split}-cluster-{molecules}-{temperature_K:.0f}K", split, frames, sample))
    frames = size.dimers // share
    return [*parts, Part(f"{split}-dimers", split, frames, partial(dimers, relaxed=relaxed, frames=frames))]


def starting_box(seed: int, classical_ps: float) -> Atoms:
    """Make a liquid to start equilibrate.py from; it is classical, so a model needs picoseconds to equilibrate it."""
    return classical_liquid(BOX_MOLECULES, BOX_DENSITY_G_CM3, 330.0, np.random.default_rng(seed), classical_ps)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the data; it is made if needed.")],
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny set, to try the script.")] = False,
) -> None:
    """Sample liquid water and water clusters and label them with GFN1-xTB."""
    size = QUICK if quick else FULL
    with errors_end_the_script():
        make_folder(out)
        relaxed = relaxed_molecule()
        counts = write_data(all_parts(relaxed, size), out, seed, "quick" if quick else "full")
        write_frames(out / "classical.extxyz", [starting_box(seed, 5 * size.classical_ps)])
        write_frames(out / "water_molecule.extxyz", [labelled(relaxed, "relaxed")])
    print(", ".join(f"{split}: {count} frames" for split, count in counts.items()))


if __name__ == "__main__":
    typer.run(main)
