"""A box of liquid water as a model has it: constant pressure from the classical start, 330 K and 1 bar, in OpenMM.

python example_systems/water/equilibrate.py --model water.pt --start DIR/classical.extxyz --out water.extxyz
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from ase import Atoms
from ase.io import read

from dp_sim.recipes import run_npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for labelled_parts, the module beside the systems
from labelled_parts import errors_end_the_script, write_frames


def main(
    model: Annotated[str, typer.Option(help="Model file.")],
    start: Annotated[Path, typer.Option(help="Structure to start from: classical.extxyz of make_data.py.")],
    out: Annotated[Path, typer.Option(help="File for the last structure.")],
    steps: Annotated[int, typer.Option(help="Steps of 2 fs.")] = 20_000,
) -> None:
    """Run the liquid until it has its own density and keep the last structure."""
    with errors_end_the_script():
        result = run_npt(
            read(start), model, engine="openmm", temperature_K=330.0, pressure_bar=1.0, steps=steps,
            timestep_fs=2.0, hydrogen_mass_amu=4.0,
        )  # fmt: skip
        last = Atoms(result.atoms.numbers, result.atoms.positions, cell=result.atoms.cell, pbc=True)
        last.wrap()
        write_frames(out, [last])
    print(result.summary())


if __name__ == "__main__":
    typer.run(main)
