"""Run `dp-sim rate` on the reactions with GFN2-xTB, as a user's first command, and write one table.

    python benchmarks/reactions/rates.py [NAME ...] [--out FOLDER] [--seconds S] [--keep-saddles] [--table-only]

Each reaction is one command with settings left as they are, one after the other, and gets `--seconds` at most. The
table goes to `results/rates.md`, with date, commit and command: verdict and reasons, barrier, imaginary frequency,
log10 of the rate constant at 300 K, and what each stage cost. `--table-only` writes it from runs that are in `--out`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase.io import read, write

HERE = Path(__file__).parent
RESULTS = HERE / "results"
STAGES = ("neb", "ts", "irc", "stationary points")
COMMAND = "dp-sim rate reactant.extxyz product.extxyz --calculator tblite:GFN2-xTB"
COLUMNS = ("reaction", "atoms", "verdict", "steps", "barrier (eV)", "imaginary (cm^-1)", "log10 k(300 K)",
           *STAGES, "seconds", "reason")  # fmt: skip
#: How a run ended is kept in its folder under this name.
OUTCOME = "outcome.json"


def names() -> list[str]:
    """List the reactions."""
    return sorted(file.parent.name for file in HERE.glob("*/reactant.extxyz"))


def run(name: str, folder: Path, seconds: float) -> None:
    """Run the command on a reaction, and keep how it ended.

    Parameters
    ----------
    name, folder
        Of the reaction, and where its run goes.
    seconds
        Limit on its time.
    """
    program = [str(Path(sys.executable).parent / "dp-sim"), *COMMAND.split()[1:]]
    program = [str(HERE / name / word) if word.endswith(".extxyz") else word for word in program]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start, outcome = time.monotonic(), {"status": None, "words": f"not done within {seconds:g} s"}
    try:
        done = subprocess.run(
            [*program, "--out", str(folder), "--overwrite"],
            timeout=seconds, capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        outcome = {"status": done.returncode, "words": "".join(last)}
    except subprocess.TimeoutExpired:
        pass
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OUTCOME).write_text(json.dumps({**outcome, "seconds": time.monotonic() - start}))


def row(name: str, folder: Path) -> dict[str, str]:
    """Make the row of a reaction from its run.

    Parameters
    ----------
    name, folder
        Of the reaction, and where its run is.

    Returns
    -------
    dict
        Text by `COLUMNS`; status 0 and 3 have numbers, anything else only the reason.
    """
    outcome = json.loads((folder / OUTCOME).read_text())
    atoms = len(read(HERE / name / "reactant.extxyz"))
    cells = {"reaction": name, "atoms": str(atoms), "seconds": f"{outcome['seconds']:.0f}"}
    if outcome["status"] not in (0, 3):
        ended = "" if outcome["status"] is None else f" (status {outcome['status']})"
        return {**cells, "verdict": "none", "reason": outcome["words"] + ended}
    result = json.loads((folder / "result.json").read_text())
    return cells | numbers(result["values"]) | {
        "verdict": "PASS" if outcome["status"] == 0 else "FAIL",
        "reason": str(result["cause"]).removeprefix("FAIL: ").replace("|", "/").replace(f" in {folder}", ""),
    }  # fmt: skip


def numbers(quantities: dict[str, Any]) -> dict[str, str]:
    """Take the figures of a row from a result; what is not known is left empty."""

    def shown(name: str, digits: int) -> str:
        value = quantities.get(name, {}).get("value")
        return "" if value is None else f"{value:.{digits}f}"

    def listed(name: str) -> Sequence[Any]:
        return quantities[name]["value"]

    costs: dict[str, list[float]] = {}
    for name, *cost in zip(
        listed("stages"), listed("force_calls"), listed("hessian_calls"), listed("stage_times"), strict=True
    ):  # fmt: skip
        stage = re.split("/|: ", name)[-1]  # of search-2/neb, and of step-1: stationary points
        costs[stage] = [sum(pair) for pair in zip(costs.get(stage, (0, 0, 0.0)), cost, strict=True)]
    one_step = "1" if quantities["verdict"]["value"] == "PASS" else ""
    return {
        "steps": shown("elementary_steps", 0) or one_step,
        "barrier (eV)": shown("barrier", 4),
        "imaginary (cm^-1)": shown("imaginary_frequency", 0),
        "log10 k(300 K)": shown("log10_rate_constant", 2),
        **{stage: f"{forces} + {hessians}, {seconds:.1f} s" for stage, (forces, hessians, seconds) in costs.items()},
    }


def table(rows: Sequence[dict[str, str]], commit: str) -> str:
    """Write the rows as a page in Markdown, with date, commit and command."""
    passed = sum(one["verdict"] == "PASS" for one in rows)
    lines = [
        "# `dp-sim rate` on the reactions at GFN2-xTB",
        "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, commit {commit}: {passed} of {len(rows)} PASS by",
        f"`{COMMAND}`",
        "(settings as they are, OMP_NUM_THREADS=1, a machine that others used too: take the seconds as upper bounds).",
        "Steps: elementary ones, of which barrier and frequency are those of the step that controls the rate.",
        "Under each stage, over all searches together: energies with forces + exact Hessians, and its time. Hessians",
        "of this calculator are differences of forces, which are among the former. Seconds: of the whole command.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    lines += ["| " + " | ".join(one.get(column, "") for column in COLUMNS) + " |" for one in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("rates"))
    parser.add_argument("--seconds", type=float, default=300.0, help="for each reaction")
    parser.add_argument("--keep-saddles", action="store_true", help="write saddle.extxyz where the verdict is PASS")
    parser.add_argument("--table-only", action="store_true", help="run nothing")
    parser.add_argument("--no-table", action="store_true", help="write none")
    asked = parser.parse_args()
    for name in () if asked.table_only else asked.names or names():
        run(name, asked.out / name, asked.seconds)
        print(" ".join(f"{key}={value}" for key, value in row(name, asked.out / name).items()), flush=True)
    finished = [name for name in asked.names or names() if (asked.out / name / OUTCOME).is_file()]
    rows = [row(name, asked.out / name) for name in finished]
    for one in rows:
        if asked.keep_saddles and one["verdict"] == "PASS":
            name = one["reaction"]
            write(HERE / name / "saddle.extxyz", read(asked.out / name / "ts.extxyz"))
    if asked.no_table:
        return
    commit = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "rates.md").write_text(table(rows, commit))
    print(f"{sum(one['verdict'] == 'PASS' for one in rows)} of {len(rows)} PASS; {RESULTS / 'rates.md'}")


if __name__ == "__main__":
    main()
