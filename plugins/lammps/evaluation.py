"""One evaluation in LAMMPS: energy, forces and virial of a structure, to compare with dp-sim's own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import DPSimError, InputError
from dp_sim.plugins.lammps.box import LammpsBox
from dp_sim.plugins.lammps.installed import Lammps

#: LAMMPS's own factor between pressures (bar) and energies per volume (eV/Angstrom^3) in units metal.
BAR_PER_EV_A3 = 1.6021765e6
_SCRIPT = """\
units metal
boundary {boundary}
atom_style atomic
box tilt large
{before}
read_data structure.lmp
pair_style dp_sim {models}
pair_coeff * * {species}
neighbor 1.0 bin
compute energies all pe/atom
compute virial all pressure NULL virial
thermo_style custom step pe c_virial[1] c_virial[2] c_virial[3] c_virial[4] c_virial[5] c_virial[6]
run 0
print "energy $(pe:%.17g) eV"
print "volume $(vol:%.17g)"
print "virial $(c_virial[1]:%.17g) $(c_virial[2]:%.17g) $(c_virial[3]:%.17g) \
$(c_virial[4]:%.17g) $(c_virial[5]:%.17g) $(c_virial[6]:%.17g)"
write_dump all custom forces.txt id fx fy fz c_energies modify sort id format float %.17g
"""


class Evaluation(NamedTuple):
    """What LAMMPS computed, in the structure's own orientation.

    Attributes
    ----------
    energy
        eV.
    forces
        (N, 3) eV/Angstrom.
    virial
        (3, 3) eV.
    atomic_energies
        (N,) eV.
    """

    energy: float
    forces: NDArray[np.float64]
    virial: NDArray[np.float64]
    atomic_energies: NDArray[np.float64]


def run_lammps(lammps: Lammps, plugins: Path, script: str, folder: Path, *, ranks: int = 1, threads: int = 1) -> str:
    """Run an input of LAMMPS.

    Parameters
    ----------
    lammps
        The program.
    plugins
        Folder of the plugin.
    script
        Content of the input.
    folder
        Where it runs; the files `in.lammps` and `log.lammps` stay there.
    ranks, threads
        Processes, and threads in each.

    Returns
    -------
    str
        What it printed.

    Raises
    ------
    DPSimError
        It ended with an error, which the message quotes.
    """
    (folder / "in.lammps").write_text(script)
    if ranks > 1 and lammps.mpirun is None:
        raise InputError("mpirun-missing", f"there is no mpirun to start {ranks} ranks of {lammps.program} with")
    launcher = [str(lammps.mpirun), "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, str(lammps.program), "-in", "in.lammps"]
    environment = lammps.environment(plugins, threads)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        errors = [line for line in lines if "ERROR" in line] or lines[-3:]
        raise DPSimError("lammps-failed", f"{lammps.program} ended with {done.returncode}: {' '.join(errors[:2])}")
    return done.stdout


def evaluate_in_lammps(
    lammps: Lammps,
    plugins: Path,
    models: Sequence[Path],
    atoms: Atoms,
    folder: Path,
    *,
    ranks: int = 1,
    threads: int = 1,
    before: str = "",
) -> Evaluation:
    """Evaluate a structure in LAMMPS.

    Parameters
    ----------
    models
        Files that `export_for_kernels` wrote; several are a committee.
    atoms
        The structure.
    before
        Lines of the input before the structure is read, such as a grid of processors.
    lammps, plugins, folder, ranks, threads
        As for `run_lammps`.
    """
    species = sorted(set(atoms.get_chemical_symbols()))
    box = LammpsBox(atoms)
    box.write(folder / "structure.lmp", atoms, species)
    named = " ".join(str(model.resolve()) for model in models)
    script = _SCRIPT.format(boundary=box.boundary, before=before, models=named, species=" ".join(species))
    printed = run_lammps(lammps, plugins, script, folder, ranks=ranks, threads=threads)
    found = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line[:7] in _PRINTED}
    xx, yy, zz, xy, xz, yz = (float(word) for word in found["virial"])
    pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    rows = np.loadtxt(folder / "forces.txt", skiprows=9, ndmin=2)
    return Evaluation(
        float(found["energy"][0]),
        box.from_lammps(rows[:, 1:4]),
        box.tensor_from_lammps(pressure) * float(found["volume"][0]) / BAR_PER_EV_A3,
        rows[:, 4],
    )


_PRINTED = ("energy ", "volume ", "virial ")
