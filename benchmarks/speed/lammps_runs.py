"""Steps of the standard water model in LAMMPS, by `pair_style deepmd` or by `pair_style dp_sim`."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from deepmd_models import run

from dp_sim.plugins.lammps.box import LammpsBox

STEPS = 20
SCRIPT = """
units metal
boundary p p p
atom_style atomic
neighbor 2.0 bin
neigh_modify every 10 delay 0 check no
read_data structure.lmp
pair_style {style} {model}
pair_coeff * * H O
velocity all create 300 1
fix integrate all nve
timestep 0.0005
thermo 100
run 3
run {steps}
"""


@dataclass(frozen=True)
class Lammps:
    """A way to run LAMMPS: every step is the mean of a run of its own, of which LAMMPS's clock counts.

    Attributes
    ----------
    style
        "deepmd" or "dp_sim".
    model
        What stands behind it.
    atoms
        The structure.
    program, mpirun
        Executables.
    ranks
        Processes.
    environment
        Of these.
    """

    style: str
    model: Path
    atoms: Atoms
    program: Path
    mpirun: Path
    ranks: int
    environment: dict[str, str]

    def step(self) -> dict[str, float]:
        """Return seconds a step: wall, outside the pair style, and processor (all ranks, without the kernel's part)."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            LammpsBox(self.atoms).write(folder / "structure.lmp", self.atoms, ["H", "O"])
            (folder / "in.lmp").write_text(SCRIPT.format(style=self.style, model=self.model.resolve(), steps=STEPS))
            command = [self.mpirun, "-n", str(self.ranks), self.program, "-in", "in.lmp"]
            output = run(command, folder, self.environment)
        wall = float(re.findall(r"Loop time of (\S+)", output)[-1]) / STEPS
        use = float(re.findall(r"(\S+)% CPU use", output)[-1]) / 100  # the mean of the ranks
        pair = float(re.findall(r"Pair +\|[^|]+\| (\S+) ", output)[-1]) / STEPS  # the mean of the ranks
        return {"seconds": wall, "processor_seconds": wall * use * self.ranks, "outside_pair": wall - pair}
