"""Liquid water equilibrated with a trained model: the second round of training data, labelled by GFN1-xTB.

    python example_systems/water/relaxed_liquid.py --model water.pt --out DIR --seed 0

The liquid needs picoseconds to forget its classical start, which is too expensive for xTB: the model of the first round
moves the atoms, and xTB labels the frames. Writes train, valid and test.extxyz.gz into DIR.
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
from ase import Atoms
from classical_water import classical_liquid
from make_data import METHOD, dynamics

from dp_sim.plugins.ase_calculator import DPCalculator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for labelled_parts, the module beside the systems
from labelled_parts import Part, errors_end_the_script, make_folder, write_data, xtb


@dataclass(frozen=True)
class Size:
    """Sampled states (density in g/cm3, temperature in K), molecules, and steps of 2 fs before and between frames."""

    train: tuple[tuple[float, float], ...]
    valid: tuple[tuple[float, float], ...]
    test: tuple[tuple[float, float], ...]
    frames: int = 8
    settling_steps: int = 2500
    steps_between: int = 250
    molecules: int = 32
    classical_ps: float = 2.0


# Around the density that the liquid takes at 1 bar, further on both sides than a barostat goes.
FULL = Size(
    train=(
        *itertools.product((1.15, 1.25, 1.30, 1.35, 1.40, 1.45, 1.52), (330.0,)),
        *itertools.product((1.30, 1.40), (300.0, 400.0)),
    ),
    valid=((1.28, 330.0), (1.42, 330.0)),
    test=((1.33, 330.0), (1.38, 330.0)),
)
QUICK = Size(
    train=((1.3, 330.0),),
    valid=((1.3, 330.0),),
    test=((1.3, 330.0),),
    frames=1,
    settling_steps=2,
    steps_between=1,
    molecules=8,
    classical_ps=0.2,
)


def relaxed_liquid(
    rng: np.random.Generator, *, model: str, density_g_cm3: float, temperature_K: float, size: Size
) -> Iterator[Atoms]:
    """Yield dynamics with the model from a classical configuration; the frames carry an xTB calculator."""
    box = classical_liquid(size.molecules, density_g_cm3, temperature_K, rng, size.classical_ps)
    for atoms in dynamics(
        rng,
        box,
        temperature_K,
        calculator=DPCalculator(model),
        frames=size.frames,
        settling_steps=size.settling_steps,
        steps_between=size.steps_between,
    ):
        frame = atoms.copy()
        frame.calc = xtb(METHOD)
        yield frame


def all_parts(model: str, size: Size) -> list[Part]:
    """List one trajectory for each state; a trajectory belongs to one split as a whole."""
    return [
        Part(
            f"{split}-relaxed-{density:.2f}-{temperature:.0f}K",
            split,
            size.frames,
            partial(relaxed_liquid, model=model, density_g_cm3=density, temperature_K=temperature, size=size),
        )
        for split, states in (("valid", size.valid), ("test", size.test), ("train", size.train))
        for density, temperature in states
    ]


def main(
    model: Annotated[str, typer.Option(help="Model file of the first round; it moves the atoms.")],
    out: Annotated[Path, typer.Option(help="Folder for the data; it is made if needed.")],
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="A tiny set, to try the script.")] = False,
) -> None:
    """Sample liquid water with a trained model and label it with GFN1-xTB."""
    with errors_end_the_script():
        make_folder(out)
        counts = write_data(all_parts(model, QUICK if quick else FULL), out, seed, "quick" if quick else "relaxed")
    print(", ".join(f"{split}: {count} frames" for split, count in counts.items()))


if __name__ == "__main__":
    typer.run(main)
