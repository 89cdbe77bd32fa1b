"""Run the reactions with dp-sim, with ASE and Sella, and with pysisyphus, and write one table.

    python benchmarks/reactions/against_peers.py [NAME ...] --pysisyphus ENV/bin/python [--out FOLDER] [--table-only]

`--pysisyphus` is the interpreter of an environment of its own: `pip install pysisyphus tblite`. Without it that program
is left out. Every program starts at the same two files and solves the same equations (GFN2-xTB, tblite, accuracy as it
comes); each is one process with one thread. The saddle points are then judged alike: energy and normal modes at
accuracy 0.01, and whether the ends of the reaction path are those given, atom for atom.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read, write

from dp_sim.recipes import vibrations
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.paths.matching import same_structure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "peers.md"
PROGRAMS = {
    "dp-sim": "with_dp_sim.py",
    "ASE + Sella": "with_ase.py",
    "ASE (0.25) + Sella": "with_ase_loosely.py",
    "pysisyphus": "with_pysisyphus.py",
}
#: Two saddle points are one where their energies are that near, eV, and two ends where they lie that near, Angstrom.
SAME_EV, SAME_A = 1e-3, 0.3
FOUND, OUTCOME = "found.json", "outcome.json"


def run(program: str, folders: dict[str, Path], interpreter: str) -> None:
    """Run a program on reactions, by name with their folders; judge what it found, and keep that in the folder."""
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        for end, atoms in given(name).items():
            write(folder / f"{end}.xyz", atoms, plain=True)
    command = [os.path.abspath(interpreter), str(HERE / "peers" / PROGRAMS[program]), *map(str, folders.values())]
    subprocess.run(
        command,
        cwd=next(iter(folders.values())),  # pysisyphus begins its logs where it is imported
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    for name, folder in folders.items():
        if (folder / FOUND).is_file():
            outcome = json.loads((folder / FOUND).read_text())
            (folder / OUTCOME).write_text(json.dumps({**outcome, **judged(outcome, list(given(name).values()))}))


def given(name: str) -> dict[str, Atoms]:
    """Read reactant and product of a reaction."""
    return {end: read(HERE / name / f"{end}.extxyz") for end in ("reactant", "product")}


def judged(outcome: dict[str, Any], ends: Sequence[Atoms]) -> dict[str, Any]:
    """Judge the saddle point and the ends of an outcome.

    Returns
    -------
    dict
        `barrier` (eV, above the reactant given), `order` (imaginary modes), `joins` (the ends are those given); each
        only where there is something to judge.
    """
    verdict: dict[str, Any] = {}
    calc = calculator_from_spec("tblite:GFN2-xTB", {"accuracy": 0.01})
    if "saddle" in outcome:
        saddle = Atoms(ends[0].numbers, outcome["saddle"])
        try:
            modes = vibrations(saddle, calc, progress=False)
            verdict["order"] = modes.n_imaginary
            verdict["barrier"] = calc.get_potential_energy(saddle) - calc.get_potential_energy(ends[0])
        except Exception as error:  # a structure that the calculator cannot solve is no saddle point
            verdict["order"] = f"{type(error).__name__}: {error}"
    if "ends" in outcome:
        found = [Atoms(ends[0].numbers, positions) for positions in outcome["ends"]]
        verdict["joins"] = len(found) == 2 and any(
            all(is_same(given, end) for given, end in zip(ends, pair, strict=True)) for pair in (found, found[::-1])
        )
    return verdict


def is_same(given: Atoms, found: Atoms) -> bool:
    """Tell whether an end is the one given, atom for atom."""
    compared = same_structure(given, found, relabel=False)
    return bool(compared.same_bonds and compared.rmsd_A < SAME_A)


def names() -> list[str]:
    """List the reactions."""
    return sorted(file.parent.name for file in HERE.glob("*/reactant.extxyz"))


def evaluations(outcome: dict[str, Any], *stages: str) -> int | None:
    """Add up the evaluations of stages; None where one was not run."""
    costs = [outcome["costs"].get(stage) for stage in stages]
    return None if None in costs else sum(int(cost[0]) for cost in costs if cost is not None)


def median_of(outcomes: Sequence[dict[str, Any]], *stages: str) -> str:
    """Write the median evaluations of stages; empty where they were not run."""
    counts = [count for outcome in outcomes if (count := evaluations(outcome, *stages)) is not None]
    return f"{statistics.median(counts):.0f}" if counts else ""


def seconds(outcome: dict[str, Any], *stages: str) -> float:
    """Add up the processor time of stages, s."""
    return sum(outcome["costs"].get(stage, (0, 0.0))[1] for stage in stages)


def is_saddle(outcome: dict[str, Any]) -> bool:
    """Tell whether a first-order saddle point was found."""
    return outcome.get("order") == 1


def agree(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Tell whether two outcomes have one saddle point."""
    return is_saddle(first) and is_saddle(second) and abs(first["barrier"] - second["barrier"]) < SAME_EV


def cells(outcome: dict[str, Any], known: dict[str, Any]) -> list[str]:
    """Write what a program did: evaluations of path, saddle and reaction path, processor seconds, barrier, outcome."""
    counts = [evaluations(outcome, stage) for stage in ("path", "saddle", "irc")]
    shown = " + ".join("" if count is None else str(count) for count in counts).rstrip(" +")
    words = [] if not outcome.get("verdict") else [outcome["verdict"]]
    if "barrier" in outcome:
        barrier = f"{outcome['barrier']:.4f}"
        if not is_saddle(outcome):
            words.append(f"{outcome['order']} imaginary modes")
        elif "barrier" in known and not agree(outcome, known):
            words.append("another saddle point")
    else:
        barrier, words = "", [*words, outcome["reason"].replace("|", "/") or "no saddle point"]
    if not outcome.get("verdict") and "joins" in outcome and not outcome["joins"]:
        words.append("other ends")
    return [shown, f"{seconds(outcome, 'path', 'saddle', 'irc'):.1f}", barrier, "; ".join(words)]


def table(outcomes: dict[str, dict[str, dict[str, Any]]], commit: str, command: str) -> str:
    """Write the outcomes, by reaction and program, as a page in Markdown."""
    programs = [program for program in PROGRAMS if any(program in one for one in outcomes.values())]
    versions = {}
    for one in outcomes.values():
        for outcome in one.values():
            versions.update(outcome.get("versions", {}))
    head = ["reaction"]
    for program in programs:
        head += [f"{program}: evaluations", "CPU s", "barrier (eV)", "outcome"]
    lines = [
        "# dp-sim beside ASE with Sella, and pysisyphus", "",
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, commit {commit}, "
        + ", ".join(f"{name} {number}" for name, number in sorted(versions.items()) if name != "dp-sim") + ":",
        "", f"    {command}", "",
        "Evaluations (solutions of tblite's equations): path + saddle point + reaction path, and processor seconds of",
        "the three. The barrier is above the reactant given, at accuracy 0.01. Empty outcome: a first-order saddle",
        "point, that of dp-sim, and (pysisyphus) the ends given. dp-sim's path holds its relaxation of the ends, and",
        "is relaxed to 0.25 eV/Angstrom, as `dp-sim rate` does; ASE's band to 0.05, the force of its own examples, and",
        "once more to 0.25. One saddle point is searched: reactions of several steps, which `dp-sim rate` follows,",
        "FAIL here for that.", "",
        "| " + " | ".join(head) + " |", "|" + "---|" * len(head),
    ]  # fmt: skip
    for name, one in outcomes.items():
        row = [cell for program in programs for cell in cells(one.get(program, NOTHING), one.get("dp-sim", NOTHING))]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join([*lines, "", *summary(outcomes, programs)]) + "\n"


NOTHING: dict[str, Any] = {"costs": {}, "reason": "not run"}


def summary(outcomes: dict[str, dict[str, dict[str, Any]]], programs: Sequence[str]) -> list[str]:
    """Say what the table adds up to: medians where all found one saddle point, and where two disagree."""
    first, others = programs[0], programs[1:]
    alike = [one for one in outcomes.values() if all(agree(one.get(first, {}), one.get(name, {})) for name in programs)]
    lines = [f"All found the same saddle point in {len(alike)} of {len(outcomes)} reactions. Medians there:", ""]
    lines += ["| | path + saddle point | with the reaction path | CPU s, path + saddle point | CPU s, all |"]
    lines += ["|---|---|---|---|---|"]
    for name in programs:
        found = [one[name] for one in alike]
        whole = median_of(found, "path", "saddle", "irc")
        times = [statistics.median(seconds(outcome, *stages) for outcome in found)
                 for stages in (("path", "saddle"), ("path", "saddle", "irc"))] if found else []  # fmt: skip
        lines.append(
            f"| {name} | {median_of(found, 'path', 'saddle')} | "
            f"{whole} | {times[0]:.1f} | {f'{times[1]:.1f}' if whole else ''} |"
        )
    lines += ["", *(fewer(outcomes.values(), other) for other in others)]
    counts = {name: sum(is_saddle(one.get(name, {})) for one in outcomes.values()) for name in programs}
    lines += ["", "First-order saddle points: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + "."]
    passed = {name: one for name, one in outcomes.items() if one.get(first, {}).get("verdict") == "PASS"}
    lines += ["", f"Of the {len(passed)} that PASS in dp-sim:"]
    for other in others:
        both = {name: one for name, one in passed.items() if is_saddle(one.get(other, {}))}
        off = [name for name, one in both.items() if not agree(one[first], one[other])]
        lines.append(
            f"{other} found a saddle point in {len(both)}, the same to {1000 * SAME_EV:g} meV in {len(both) - len(off)}"
            + (f"; another one: {', '.join(off)}." if off else ".")
        )
    return lines


def fewer(outcomes: Iterable[dict[str, dict[str, Any]]], other: str) -> str:
    """Say whether dp-sim needs fewer evaluations to a saddle point than another program that finds the same one."""
    pairs = [
        [evaluations(one[name], "path", "saddle") for name in ("dp-sim", other)]
        for one in outcomes
        if agree(one.get("dp-sim", {}), one.get(other, {}))
    ]
    known = [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]
    if not known:
        return f"With {other} it shares no saddle point."
    medians = [statistics.median(column) for column in zip(*known, strict=True)]
    return (
        f"To the saddle points that dp-sim and {other} share ({len(known)}): {medians[0]:.0f} evaluations against "
        f"{medians[1]:.0f} in the median, fewer in {sum(ours < theirs for ours, theirs in known)}."
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--pysisyphus", help="interpreter of its environment")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="which to run")
    parser.add_argument("--out", type=Path, default=Path("peers"))
    parser.add_argument("--table-only", action="store_true", help="run nothing: write the table of what is in --out")
    asked = parser.parse_args()
    interpreters = dict.fromkeys(PROGRAMS, sys.executable) | {"pysisyphus": asked.pysisyphus}
    reactions = asked.names or names()
    outcomes: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in reactions}
    for program in PROGRAMS:
        folders = {name: asked.out.resolve() / name / program.replace(" + ", "-") for name in reactions}
        if not asked.table_only and program in asked.programs.split(",") and interpreters[program]:
            run(program, folders, interpreters[program])
        for name, folder in folders.items():
            if (folder / OUTCOME).is_file():
                outcomes[name][program] = json.loads((folder / OUTCOME).read_text())
    commit = subprocess.run(
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    RESULTS.write_text(
        table(outcomes, commit, "python benchmarks/reactions/against_peers.py --pysisyphus ENV/bin/python")
    )


if __name__ == "__main__":
    main()
