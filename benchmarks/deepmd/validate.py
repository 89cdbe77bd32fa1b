"""A model of dp-sim, exported and run by DeePMD-kit itself: in Python, and in LAMMPS on two ranks.

    python benchmarks/deepmd/validate.py MODEL STRUCTURE --deepmd ENVIRONMENT [--backend pb]

ENVIRONMENT is the folder of a virtual environment with deepmd-kit (its dp, python, lmp and mpirun). Backend
`pth` needs `deepmd-kit[torch,lmp]`, `pb` `deepmd-kit[cpu,lmp]`. Prints largest deviations of energy, forces and virial;
status 1 where one is over the tolerance.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from dp_sim.deepmd.exporting import export_model, sel_from_structures
from dp_sim.model.model_file import load_model

EVALUATE = """
import sys
import numpy as np
from deepmd.infer import DeepPot
data = np.load("structure.npz")
box = data["cell"] if data["periodic"] else None
energy, forces, virial = DeepPot(sys.argv[1]).eval(data["positions"], box, data["species"])[:3]
np.savez("deepmd.npz", energy=energy.ravel(), forces=forces[0], virial=virial[0])
"""

LAMMPS = """
units metal
atom_style atomic
boundary {boundary}
read_data structure.lmp
pair_style deepmd {model}
pair_coeff * * {species}
thermo_style custom step pe
thermo_modify format float %.15g
dump forces all custom 1 forces.txt id fx fy fz
dump_modify forces sort id format float %.15g
run 0
"""


def run(command: list[str], folder: Path) -> str:
    """Output of a command with one thread a process; its last lines and an end of this program where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DP_INTRA_OP_PARALLELISM_THREADS": "1"}
    environment |= {"DP_INTER_OP_PARALLELISM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-15:]))
    return done.stdout


def in_python(environment: Path, model: str, folder: Path) -> dict[str, np.ndarray]:
    """Energy, forces and virial from DeePMD-kit's own DeepPot."""
    (folder / "evaluate.py").write_text(EVALUATE)
    run([str(environment / "bin" / "python"), "evaluate.py", model], folder)
    with np.load(folder / "deepmd.npz") as found:
        return dict(found)


def in_lammps(
    environment: Path, model: str, atoms: Atoms, species: tuple[str, ...], folder: Path
) -> dict[str, np.ndarray]:
    """Energy and forces from pair_style deepmd on two MPI ranks, each with half of the box."""
    write(folder / "structure.lmp", atoms, format="lammps-data", specorder=list(species), masses=True)
    boundary = " ".join("p" if periodic else "s" for periodic in atoms.pbc)
    (folder / "in.lmp").write_text(LAMMPS.format(boundary=boundary, model=model, species=" ".join(species)))
    programs = environment / "bin"
    output = run([str(programs / "mpirun"), "-n", "2", str(programs / "lmp"), "-in", "in.lmp"], folder)
    lines = output.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split() == ["Step", "PotEng"])
    return {
        "energy": np.array([float(lines[start + 1].split()[1])]),
        "forces": np.loadtxt(folder / "forces.txt", skiprows=9)[:, 1:],
    }


def main() -> None:
    """Compare energy, forces and virial with those of DeePMD-kit."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("structure", type=Path)
    parser.add_argument("--deepmd", type=Path, required=True, help="folder of a virtual environment with deepmd-kit")
    parser.add_argument("--backend", choices=("pth", "pb"), default="pth")
    options = parser.parse_args()
    model, atoms = load_model(options.model), read(options.structure)
    own = model.evaluate(atoms, virial=True)
    assert own.forces is not None
    assert own.virial is not None
    ours = {"energy": own.energy.numpy(), "forces": own.forces.numpy(), "virial": own.virial.numpy().ravel()}
    tolerance = 1e-10 if model.metadata.dtype == "float64" else 1e-5
    environment = options.deepmd.absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_model(options.model, folder / "model.dp", sel_from_structures(options.model, [str(options.structure)]))
        converted = f"model.{options.backend}"
        run([str(environment / "bin" / "dp"), "convert-backend", "model.dp", converted], folder)
        np.savez(
            folder / "structure.npz",
            positions=atoms.positions.reshape(1, -1),
            cell=np.asarray(atoms.cell).reshape(1, 9),
            periodic=atoms.pbc.any(),
            species=model.species_index(atoms.numbers).numpy(),
        )
        found = {"DeepPot": in_python(environment, converted, folder)}
        if not (environment / "bin" / "lmp").exists():
            print("no lmp in that environment: LAMMPS is left out")
        elif np.any(np.asarray(atoms.cell) - np.diag(np.diag(atoms.cell))):
            print("the cell is not along x, y, z, LAMMPS would turn it: left out")
        else:
            found["LAMMPS, 2 ranks"] = in_lammps(environment, converted, atoms, model.metadata.species, folder)
    good = True
    for program, numbers in found.items():
        for quantity, value in numbers.items():
            deviation = np.abs(value - ours[quantity]).max() / np.abs(ours[quantity]).max()
            good &= bool(deviation < tolerance)
            print(f"{program:16s} {quantity:8s} relative deviation {deviation:.1e} (allowed {tolerance:.0e})")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
