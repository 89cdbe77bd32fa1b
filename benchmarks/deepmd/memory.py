"""Memory of pair_style deepmd for each atom: peak of every MPI rank, for a box repeated to several sizes.

    python benchmarks/deepmd/memory.py MODEL STRUCTURE --deepmd ENVIRONMENT [--backend pb] [--repeat 1 2 3]

ENVIRONMENT is the folder of a virtual environment with deepmd-kit, as for validate.py; STRUCTURE is periodic, its cell
along x, y, z. Prints the largest peak of the resident memory of a rank, and per atom of a rank the growth from the
first size.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ase.io import read, write
from validate import run

from dp_sim.deepmd.exporting import export_model, sel_from_structures
from dp_sim.model.model_file import load_model

LAMMPS = """
units metal
atom_style atomic
read_data structure.lmp
replicate {repeat} {repeat} {repeat}
pair_style deepmd {model}
pair_coeff * * {species}
velocity all create 300 1
timestep 0.0005
fix nve all nve
run 3
"""

#: What each rank runs: LAMMPS, and a file with its peak in kB.
PEAK = """
import os, resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, close_fds=False)  # MPI hands its connection on to LAMMPS
kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(f"peak-{os.getpid()}", "w").write(str(kilobytes))
"""


def peak_megabytes(environment: Path, folder: Path, ranks: int) -> float:
    """Largest peak among the ranks of one run of in.lmp."""
    for old in folder.glob("peak-*"):
        old.unlink()
    programs = environment / "bin"
    rank = [str(programs / "python"), "peak.py", str(programs / "lmp"), "-in", "in.lmp"]
    run([str(programs / "mpirun"), "-n", str(ranks), *rank], folder)
    peaks = [int(path.read_text()) for path in folder.glob("peak-*")]
    assert len(peaks) == ranks
    return max(peaks) / 1024


def main() -> None:
    """Convert the model, run LAMMPS at each size and number of ranks, and print the memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("structure", type=Path)
    parser.add_argument("--deepmd", type=Path, required=True, help="folder of a virtual environment with deepmd-kit")
    parser.add_argument("--backend", choices=("pth", "pb"), default="pb")
    parser.add_argument("--repeat", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    species, atoms = load_model(options.model).metadata.species, read(options.structure)
    environment = options.deepmd.absolute()
    with tempfile.TemporaryDirectory() as name:
        folder, converted = Path(name), f"model.{options.backend}"
        sel = sel_from_structures(options.model, [str(options.structure)])
        export_model(options.model, folder / "model.dp", sel)
        run([str(environment / "bin" / "dp"), "convert-backend", "model.dp", converted], folder)
        write(folder / "structure.lmp", atoms, format="lammps-data", specorder=list(species), masses=True)
        (folder / "peak.py").write_text(PEAK)
        print(f"sel {list(sel)} for {' '.join(species)}")
        for ranks in options.ranks:
            first: tuple[int, float] | None = None
            for repeat in options.repeat:
                text = LAMMPS.format(repeat=repeat, model=converted, species=" ".join(species))
                (folder / "in.lmp").write_text(text)
                peak, total = peak_megabytes(environment, folder, ranks), len(atoms) * repeat**3
                first = first or (total, peak)
                growth = f"{(peak - first[1]) * ranks / (total - first[0]):.3f} MB" if total > first[0] else "-"
                print(f"{ranks} ranks  {total:6d} atoms  {peak:7.0f} MB  per atom of a rank {growth}", flush=True)


if __name__ == "__main__":
    main()
