"""Run `neb`, `ts` and `irc` on the reactions with GFN2-xTB and write one table.

    python benchmarks/reactions/run.py [NAME ...] [--stages neb,ts,irc] [--out FOLDER] [--seconds S]

Each reaction is a process of its own, with settings left as they are, and gets `--seconds` at most. In the table: force
calls and seconds of each stage, the barrier of the band and of the saddle point (eV), what the band's highest image is
off by, and the verdict: PASS where all stages converged, the path's ends are the two structures given (atom for atom),
and the saddle point is that of `saddle.extxyz`, where there is one; else the first reason.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read, write

from dp_sim.recipes import find_path, follow_irc, refine_ts
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.paths.matching import same_structure

HERE = Path(__file__).parent
STAGES = ("neb", "ts", "irc")
COLUMNS = (
    "reaction", "atoms", "neb_calls", "neb_s", "ts_calls", "ts_s", "irc_calls", "irc_s",
    "neb_barrier_eV", "ts_barrier_eV", "reference_eV", "imaginary_cm1", "verdict",
)  # fmt: skip
#: A saddle point is the one known where its energy is that near, eV.
SAME_EV = 2e-3


def counted(calculator: Any) -> tuple[Any, list[int]]:
    """Make a calculator count its evaluations in the list returned beside it."""
    calls, inner = [0], calculator.calculate

    def calculate(*arguments: Any, **keywords: Any) -> None:
        calls[0] += 1
        inner(*arguments, **keywords)

    calculator.calculate = calculate
    return calculator, calls


class Reaction:
    """The stages on one reaction, and the row of the table that they fill."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.ends = [read(HERE / name / f"{end}.extxyz") for end in ("reactant", "product")]
        self.calculator, self.calls = counted(calculator_from_spec("tblite:GFN2-xTB"))
        self.row: dict[str, Any] = {"reaction": name, "atoms": len(self.ends[0])}
        self.reasons: list[str] = []

    def run(self, stages: list[str]) -> dict[str, Any]:
        """Run the stages, each on what the last one found."""
        found: Any = None
        for stage in stages:
            found = self._stage(stage, found)
            if found is None:
                break
        self.row["verdict"] = "; ".join(self.reasons) if self.reasons else "PASS"
        return self.row

    def _stage(self, stage: str, found: Any) -> Any:
        start, before = time.monotonic(), self.calls[0]
        options = {"out": self.folder / self.name / stage, "overwrite": True, "progress": False}
        try:
            if stage == "neb":
                result: Any = find_path(*self.ends, self.calculator, **options)
            elif stage == "ts":
                guess = read(self.folder / self.name / "neb/highest.extxyz") if found is None else found.highest
                result = refine_ts(guess, self.calculator, **options)
            else:
                saddle = read(self.folder / self.name / "ts/ts.extxyz") if found is None else found
                result = follow_irc(saddle, self.calculator, **options)
        except Exception as error:  # the table holds what went wrong
            self.reasons.append(f"{stage}: {type(error).__name__}: {error}")
            return None
        finally:
            self.row[f"{stage}_s"] = round(time.monotonic() - start, 1)
            self.row[f"{stage}_calls"] = self.calls[0] - before
        if not result.converged:
            self.reasons.append(f"{stage}: {result.cause}")
        getattr(self, f"_after_{stage}")(result)
        return result

    def _energy(self, atoms: Atoms) -> float:
        return float(self.calculator.get_potential_energy(atoms))

    def _after_neb(self, path: Any) -> None:
        self.row["neb_barrier_eV"] = round(path.barrier_eV, 4)

    def _after_ts(self, ts: Any) -> None:
        reactant = self._energy(self.ends[0])
        self.row["ts_barrier_eV"] = round(ts.energy_eV - reactant, 4)
        if ts.frequencies_cm1 is not None:
            self.row["imaginary_cm1"] = round(float(ts.frequencies_cm1[0]), 1)
        reference = HERE / self.name / "saddle.extxyz"
        if reference.exists():
            known = self._energy(read(reference)) - reactant
            self.row["reference_eV"] = round(known, 4)
            if abs(ts.energy_eV - reactant - known) > SAME_EV:
                self.reasons.append(
                    f"another saddle point, {ts.energy_eV - reactant - known:+.3f} eV from the known one"
                )

    def _after_irc(self, irc: Any) -> None:
        found = (irc.reactant, irc.product)
        offs = []
        for pair in (found, found[::-1]):
            compared = [same_structure(given, end) for given, end in zip(self.ends, pair, strict=True)]
            offs.append(max((0.0 if one.same_bonds else 100.0) + one.rmsd_A for one in compared))
        if min(offs) > 100:
            self.reasons.append("irc: its ends have other bonds than those given")
        elif min(offs) > 0.3:
            self.reasons.append(f"irc: its ends are other conformers (RMSD {min(offs):.2f} Angstrom)")


def names() -> list[str]:
    """List the reactions."""
    return sorted(file.parent.name for file in HERE.glob("*/reactant.extxyz"))


def table(rows: list[dict[str, Any]]) -> str:
    """Write the rows as a table in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row.get(column, "")) for column in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--out", type=Path, default=Path("reactions"))
    parser.add_argument("--seconds", type=float, default=300.0, help="for each reaction")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep-saddles", action="store_true", help="write saddle.extxyz where the verdict is PASS")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(Reaction(asked.names[0], asked.out).run(asked.stages.split(","))))
        return
    rows = []
    for name in asked.names or names():
        command = [sys.executable, __file__, name, "--one", "--stages", asked.stages, "--out", str(asked.out)]
        try:
            done = subprocess.run(command, timeout=asked.seconds, capture_output=True, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            row = {"reaction": name, "verdict": f"not done within {asked.seconds:g} s"}
        except subprocess.CalledProcessError as error:
            row = {"reaction": name, "verdict": f"failed: {(error.stderr or '').strip().splitlines()[-1]}"}
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        if asked.keep_saddles and row["verdict"] == "PASS":
            write(HERE / name / "saddle.extxyz", read(asked.out / name / "ts/ts.extxyz"))
        rows.append(row)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "table.md").write_text(table(rows))
    with (asked.out / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    passed = sum(row["verdict"] == "PASS" for row in rows)
    print(f"{passed} of {len(rows)} PASS; {asked.out / 'table.md'}")


if __name__ == "__main__":
    main()
