"""Scaling of `pair_style dp_sim` over MPI ranks: the same box on more ranks, and a box that grows with them.

    OMP_NUM_THREADS=1 python benchmarks/speed/lammps_scaling.py

Prints microseconds a step and atom of one rank, the efficiency against one rank, and what lies outside the pair style
(communication, neighbour lists, integration, waiting), by LAMMPS's clocks; medians of rounds in turns.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from lammps_runs import Lammps
from standard_water import standard_models, water_box

from dp_sim.model.kernel_export import SUFFIX, export_for_kernels
from dp_sim.plugins.lammps.building import build_plugin
from dp_sim.plugins.lammps.installed import find_lammps


def main(
    atoms: Annotated[list[int], typer.Option(help="Atoms of the box on one rank; repeatable.")] = [1536],  # noqa: B006
    ranks: Annotated[list[int], typer.Option(help="Repeatable.")] = [1, 2],  # noqa: B006
    dtype: str = "float64",
    form: Annotated[str, typer.Option(help="networks or compressed.")] = "compressed",
    rounds: int = 5,
) -> None:
    """Strong and weak scaling."""
    lammps = find_lammps()
    assert lammps.mpirun is not None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plugins = build_plugin(lammps, folder / "plugin")
        model = standard_models(folder, dtype)[form]
        export_for_kernels(model, model.with_suffix(SUFFIX))
        environment = {**lammps.environment(plugins, 1), "OMP_WAIT_POLICY": "PASSIVE"}

        def way(n_atoms: int, n_ranks: int) -> Lammps:
            file = model.with_suffix(SUFFIX)
            return Lammps("dp_sim", file, water_box(n_atoms), lammps.program, lammps.mpirun, n_ranks, environment)

        ways = {}
        for n_atoms in atoms:
            ways |= {(kind, n_atoms, n): way(n_atoms * (n if kind == "weak" else 1), n)
                     for kind in ("strong", "weak") for n in ranks}  # fmt: skip
        times: dict[tuple[str, int, int], list[dict[str, float]]] = {key: [] for key in ways}
        for _ in range(rounds):
            for key, one in ways.items():
                times[key].append(one.step())
    print(f"{dtype}, {form}, one thread a rank, load {os.getloadavg()[0]:.1f}\n")
    print("| | atoms | ranks | µs a step and atom of a rank | efficiency | outside the pair style |")
    print("|---|---|---|---|---|---|")
    for (kind, n_atoms, n), found in times.items():
        own = n_atoms if kind == "weak" else n_atoms / n
        wall, outside = (1e6 * np.median([row[clock] for row in found]) for clock in ("seconds", "outside_pair"))
        single = 1e6 * np.median([row["seconds"] for row in times[kind, n_atoms, min(ranks)]]) / n_atoms * min(ranks)
        total = n_atoms * (n if kind == "weak" else 1)
        print(f"| {kind} | {total} | {n} | {wall / own:.1f} | {single / (wall / own):.0%} | {outside / wall:.0%} |")


if __name__ == "__main__":
    typer.run(main)
