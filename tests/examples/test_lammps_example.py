"""The input for LAMMPS that ships runs as its first lines say, and begins with the model's own energy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ase.io import read
from lammps_here import lammps_or_skip

from dp_sim.plugins.ase_calculator import DPCalculator

WATER = Path(__file__).resolve().parents[2] / "example_systems" / "water"


def test_the_example_of_water_runs_on_two_ranks(tmp_path: Path) -> None:
    """As its first lines say, but the plugin goes to a folder of the test: the environment stays as it is."""
    lammps = lammps_or_skip()
    folder = shutil.copytree(WATER, tmp_path / "water") / "lammps"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}

    def run(*command: object) -> str:
        done = subprocess.run(
            list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("dp-sim", "lammps", "--export", "../water.pt", "-o", folder / "plugin")
    environment.update(lammps.environment(folder / "plugin", 1), PATH=path)
    printed = run(lammps.mpirun, "-n", 2, lammps.program, "-in", "in.water", "-var", "steps", 20)
    rows = [line.split() for line in printed.splitlines()]
    table = {int(row[0]): row for row in rows if len(row) == 6 and row[0].isdigit()}
    atoms = read(WATER / "water.extxyz")
    atoms.calc = DPCalculator(WATER / "water.pt")
    assert float(table[0][2]) == pytest.approx(atoms.get_potential_energy(), rel=1e-7)
    assert float(table[0][5]) == pytest.approx(1.3146, abs=1e-3), "g/cm^3"
    assert set(table) == {0, 20}
    assert (folder / "water.restart").is_file()
    assert len(read(folder / "water.lammpstrj", ":", format="lammps-dump-text")) == 2
