"""Ethanol with its trained model: both conformers, their vibrations, and how near that is to GFN2-xTB.

python run.py                     measure and compare with expected.json; exit status 1 if a number differs
python run.py --write-expected    after training again: make the numbers of this model the expected ones
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
from ase.io import read

from dp_sim.example_systems.expected import Number, compare, write_expected
from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.vib import VibResult

HERE = Path(__file__).resolve().parent
MODEL = HERE / "ethanol.pt"


def relaxed_modes(calc: object) -> dict[str, tuple[float, VibResult]]:
    """Relax both conformers; give the energy at the minimum (eV) and the vibrations there, by name."""
    found = {}
    for name, file in (("anti", "ethanol.extxyz"), ("gauche", "ethanol_gauche.extxyz")):
        relaxed = optimize(read(HERE / file), calc, fmax=0.002, progress=False)
        found[name] = relaxed.energy_eV, vibrations(relaxed.atoms, calc, progress=False)
    return found


def measure(model: dict[str, tuple[float, VibResult]]) -> dict[str, Number]:
    """Collect the numbers of expected.json."""
    numbers = {}
    for name, (energy, modes) in model.items():
        numbers[f"{name} energy"] = Number(energy, "eV", 1e-3)
        numbers[f"{name} zero-point energy"] = Number(modes.zero_point_energy_eV, "eV", 1e-3)
        numbers[f"{name} lowest frequency"] = Number(float(modes.frequencies_cm1[0]), "cm^-1", 5.0)
        numbers[f"{name} highest frequency"] = Number(float(modes.frequencies_cm1[-1]), "cm^-1", 2.0)
    return numbers


def print_beside_xtb(model: dict[str, tuple[float, VibResult]]) -> None:
    """Run the same recipes with the method that labelled the training data, and print both."""
    from tblite.ase import TBLite

    reference = relaxed_modes(TBLite(method="GFN2-xTB", accuracy=0.1, verbosity=0))
    print("\nThe model beside GFN2-xTB:")
    for name, (energy, modes) in model.items():
        off = modes.frequencies_cm1 - reference[name][1].frequencies_cm1
        print(
            f"{name:8} energy {1000 * (energy - reference[name][0]):+6.1f} meV, frequencies "
            f"{np.abs(off).mean():.1f} cm^-1 off in the mean, {np.abs(off).max():.1f} at most"
        )
    gaps = [1000 * (found["gauche"][0] - found["anti"][0]) for found in (model, reference)]
    print(f"gauche - anti: {gaps[0]:.1f} meV, GFN2-xTB {gaps[1]:.1f} meV")


def main() -> int:
    """Measure, compare with expected.json, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-expected", action="store_true")
    arguments = parser.parse_args()
    model = relaxed_modes(str(MODEL))
    if arguments.write_expected:
        write_expected(HERE / "expected.json", measure(model))
    good = compare(HERE / "expected.json", measure(model))
    if importlib.util.find_spec("tblite"):
        print_beside_xtb(model)
    else:
        print("\nFor the comparison with GFN2-xTB: pip install tblite")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
