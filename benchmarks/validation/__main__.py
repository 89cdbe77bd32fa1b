"""`make validate`: run the proofs, print their table, and keep it under benchmarks/validation/results/.

Parts can be run one by one (`make validate ARGS="--part lennard-jones"`): the table keeps the others, and each says
when, at which commit and on what it was made.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

logging.getLogger("pymbar").setLevel(logging.ERROR)  # its banner about JAX, printed at import

from dp_sim.files import write_text  # noqa: E402
from dp_sim.recipes.run.provenance import package_versions  # noqa: E402
from validation import (  # noqa: E402
    analysis,
    barostats,
    conservation,
    dynamics,
    elasticity,
    ensembles,
    equilibration,
    intervals,
    lennard_jones,
    quantum,
    transport,
    wells,
)
from validation.check import Check  # noqa: E402

ROOT = Path(__file__).parents[2]


class Part(NamedTuple):
    """Proofs that run together: a headline, and what makes the checks from the length of the runs."""

    title: str
    checks: Callable[[float], Iterator[Check]]


PARTS = {
    "intervals": Part("Intervals on synthetic series", intervals.checks),
    "equilibration": Part("Equilibration on synthetic series", equilibration.checks),
    "dynamics": Part("Dynamics with known averages", dynamics.checks),
    "ensembles": Part("Distributions", ensembles.checks),
    "barostats": Part("Thermostats and barostats", barostats.checks),
    "conservation": Part("Constant energy", conservation.checks),
    "wells": Part("Double wells and a harmonic crystal", wells.checks),
    "lennard-jones": Part("Lennard-Jones liquid against NIST's tables", lennard_jones.checks),
    "analysis": Part("Intervals of analyse", analysis.checks),
    "quantum": Part("Quantum heat capacity of a crystal", quantum.checks),
    "elasticity": Part("Elastic constants of copper at 300 K", elasticity.checks),
    "transport": Part("Lennard-Jones liquid: diffusion and viscosity", transport.checks),
}
#: The checks of a part, and with what they were made: its entry in results.json.
Made = dict[str, Any]


def main() -> int:
    """Run all checks, write the table, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make validate", description=__doc__)
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="length of every run; a number that a short one withholds counts as failed (default 1)",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "validation" / "results", help="folder of the results"
    )
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="run this part alone (repeat it for several; default all)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in options.part or PARTS:
        made = run_part(name, options.scale)
        failed += sum(check["passed"] is False for check in made["checks"])
        keep(options.out, name, made)
    print(f"{failed} failed; table in {options.out / 'results.md'}")
    return 1 if failed else 0


def run_part(name: str, scale: float) -> Made:
    """Run one part, and print its checks as they come."""
    print(PARTS[name].title, flush=True)
    start, checks = time.monotonic(), []
    for check in PARTS[name].checks(scale):
        checks.append({**asdict(check), "passed": check.passed})
        print(" ", " | ".join(cells(check)), flush=True)
    return {**origin(), "scale": scale, "wall_s": round(time.monotonic() - start), "checks": checks}


def keep(folder: Path, name: str, made: Made) -> None:
    """Write the results of one part beside those of the others, in the order of PARTS."""
    file = folder / "results.json"
    earlier = json.loads(file.read_text(encoding="utf-8"))["parts"] if file.is_file() else {}
    parts = {one: content for one in PARTS if (content := made if one == name else earlier.get(one))}
    write_text(file, json.dumps({"parts": parts}, indent=1, default=float) + "\n")
    write_text(folder / "results.md", table(parts))


def origin() -> dict[str, Any]:
    """When, where and with what."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = (
        " with changes"
        if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/validation/results")
        else ""
    )
    versions = {**package_versions(), "physical_validation": metadata.version("physical-validation")}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "HEAD") + changed,
        "processor": processor(),
        "cores": os.cpu_count(),
        "versions": versions,
    }


def processor() -> str:
    """Read the name of the processor from the kernel."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def cells(check: Check) -> tuple[str, str, str, str, str, str]:
    """Write one line of the table."""
    found = "withheld" if check.found is None else f"{check.found:.5g}"
    allowed = "" if check.passed is None else f"{check.low:.5g} to {check.high:.5g}"
    verdict = {True: "yes", False: "**no**", None: "told only"}[check.passed]
    return (
        check.subject,
        f"{check.quantity} ({check.unit})".removesuffix(" ()"),
        found,
        f"{check.expected:.5g}",
        allowed,
        verdict,
    )


def table(parts: Mapping[str, Made]) -> str:
    """Write the page of results as Markdown."""
    lines = ["# Validation", "", "`make validate`. An estimate may be 4 of its own standard errors off."]
    for name, made in parts.items():
        checks = [Check(**{key: value for key, value in one.items() if key != "passed"}) for one in made["checks"]]
        lines += [
            "",
            f"## {PARTS[name].title}",
            "",
            f"Part `{name}`, {made['date']}, commit {made['commit']}, on {made['processor']} ({made['cores']} cores), "
            f"{made['wall_s']} s. Length of the runs: {made['scale']:g} of the usual.",
            "",
            "| what | quantity | found | exact | allowed | passed |",
            "|---|---|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(cells(check))} |" for check in checks]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
