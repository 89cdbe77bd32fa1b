"""HCN to HNC with a trained committee: barrier and rate constant with error bars, beside GFN2-xTB.

python run.py                     measure and compare with expected.json; exit status 1 if a number differs, or on FAIL
python run.py --write-expected    after training again: make the numbers of these models the expected ones
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ase.io import read

from dp_sim.example_systems.expected import Number, compare, write_expected
from dp_sim.recipes import reaction_rate
from dp_sim.recipes.paths.rates.rate import RateResult

HERE = Path(__file__).resolve().parent
#: How far each may be off on another machine, in its unit.
TOLERANCES = {"barrier": 0.002, "reaction_energy": 0.002, "imaginary_frequency": 5.0, "log10_rate_constant": 0.05}


def measured_rate() -> RateResult:
    """Find the rate constant from the one isomer to the other."""
    reactant, product = (read(HERE / f"{name}.extxyz") for name in ("hcn", "hnc"))
    return reaction_rate(reactant, product, str(HERE / "committee"), temperature_K=300.0, progress=False)


def numbers(rate: RateResult) -> dict[str, Number]:
    """Collect the numbers of expected.json."""
    values = rate.to_dict()["values"]
    return {name: Number(values[name]["value"], values[name]["unit"], off) for name, off in TOLERANCES.items()}


def print_beside_reference(rate: RateResult) -> None:
    """Print the numbers with the error that the members give them, and those of GFN2-xTB."""
    reference = json.loads((HERE / "reference.json").read_text(encoding="utf-8"))
    values = rate.to_dict()["values"]
    print("\nThe committee, with what its members' spread says of its error, beside GFN2-xTB:")
    for name in TOLERANCES:
        found = values[name]
        spread = found["model_error"]
        print(f"{name:22} {found['value']:10.4f} ± {spread:.4f}  {reference[name]['value']:10.4f} {found['unit']}")
    print(f"forces on the path spread by {rate.force_spread_eV_A:.3f} eV/Angstrom at most; verdict {rate.verdict}")
    for reason in rate.reasons:
        print(reason)


def main() -> int:
    """Measure, compare with expected.json, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-expected", action="store_true")
    arguments = parser.parse_args()
    rate = measured_rate()
    if arguments.write_expected:
        write_expected(HERE / "expected.json", numbers(rate))
    good = compare(HERE / "expected.json", numbers(rate))
    print_beside_reference(rate)
    return 0 if good and rate.verdict == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main())
