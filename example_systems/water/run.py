"""Water with its trained model: the molecule, its vibrations, and the liquid at constant pressure in OpenMM.

python run.py                     measure and compare with expected.json; exit status 1 if a number differs
python run.py --out npt           the same, and keep the files of the dynamics
python run.py --steps 30000       a longer run: 2000 steps show that it works, a density takes thirty thousand
python run.py --write-expected    after training again: make the numbers of this model the expected ones
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from ase.io import read

from dp_sim import load_model
from dp_sim.example_systems.expected import Number, compare, write_expected
from dp_sim.recipes import optimize, run_npt, vibrations

HERE = Path(__file__).resolve().parent
MODEL = str(HERE / "water.pt")
LIQUID = HERE / "water.extxyz"


def measure() -> dict[str, Number]:
    """Collect the numbers of expected.json: the molecule at its minimum, and one evaluation of the box."""
    relaxed = optimize(read(HERE / "water_molecule.extxyz"), MODEL, fmax=0.001, progress=False)
    modes = vibrations(relaxed.atoms, MODEL, progress=False)
    names = ("bend", "symmetric stretch", "antisymmetric stretch")
    numbers = {
        "molecule energy": Number(relaxed.energy_eV, "eV", 1e-3),
        "O-H bond": Number(relaxed.atoms.get_distance(0, 1), "Angstrom", 1e-3),
        "H-O-H angle": Number(relaxed.atoms.get_angle(1, 0, 2), "degree", 0.2),
        **{name: Number(float(value), "cm^-1", 2.0) for name, value in zip(names, modes.frequencies_cm1, strict=True)},
    }
    output = load_model(MODEL).evaluate(read(LIQUID), virial=True)
    assert output.virial is not None
    return {
        **numbers,
        "liquid energy per molecule": Number(output.energy.item() / 64, "eV", 1e-3),
        "liquid virial (trace)": Number(output.virial.diagonal(dim1=1, dim2=2).sum().item(), "eV", 0.05),
    }


def main() -> int:
    """Measure, compare with expected.json, run the liquid, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-expected", action="store_true")
    parser.add_argument("--steps", type=int, default=2000, help="of the dynamics (2 fs each); 0: none")
    parser.add_argument("--out", help="directory for the files of the dynamics")
    arguments = parser.parse_args()
    numbers = measure()
    if arguments.write_expected:
        write_expected(HERE / "expected.json", numbers)
    good = compare(HERE / "expected.json", numbers)
    if arguments.steps and importlib.util.find_spec("openmm"):
        settings = {"temperature_K": 330.0, "pressure_bar": 1.0, "steps": arguments.steps, "timestep_fs": 2.0}
        print(
            run_npt(
                read(LIQUID), MODEL, engine="openmm", hydrogen_mass_amu=4.0, out=arguments.out, **settings
            ).summary()
        )
    elif arguments.steps:
        print("\nFor the dynamics: pip install 'dp-sim[openmm]'")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
