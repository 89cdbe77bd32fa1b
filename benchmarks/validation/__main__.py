"""`make validate`: run every proof, print its table, and keep it under benchmarks/validation/results/."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

logging.getLogger("pymbar").setLevel(logging.ERROR)  # its banner about JAX, printed at import

from dp_sim.files import write_text  # noqa: E402
from dp_sim.recipes.run.provenance import package_versions  # noqa: E402
from validation import barostats, conservation, dynamics, ensembles, equilibration, intervals  # noqa: E402
from validation.check import Check  # noqa: E402

ROOT = Path(__file__).parents[2]
GROUPS = {
    "Intervals on synthetic series": intervals.checks,
    "Equilibration on synthetic series": equilibration.checks,
    "Dynamics with known averages": dynamics.checks,
    "Distributions": ensembles.checks,
    "Thermostats and barostats in ASE": barostats.checks,
    "Constant energy": conservation.checks,
}


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
    options = parser.parse_args()
    start = time.monotonic()
    groups: dict[str, list[Check]] = {}
    for name, checks in GROUPS.items():
        print(name, flush=True)
        groups[name] = []
        for check in checks(options.scale):
            groups[name].append(check)
            print(" ", " | ".join(cells(check)), flush=True)
    content = {**origin(), "scale": options.scale, "wall_s": round(time.monotonic() - start)}
    options.out.mkdir(parents=True, exist_ok=True)
    lists = {name: [{**asdict(check), "passed": check.passed} for check in checks] for name, checks in groups.items()}
    write_text(options.out / "results.json", json.dumps({**content, "checks": lists}, indent=1, default=float) + "\n")
    write_text(options.out / "results.md", table(content, groups))
    failed = sum(check.passed is False for checks in groups.values() for check in checks)
    print(f"{failed} failed; table in {options.out / 'results.md'}")
    return 1 if failed else 0


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


def table(content: dict[str, Any], groups: dict[str, list[Check]]) -> str:
    """Write the page of results as Markdown."""
    lines = [
        "# Validation",
        "",
        f"`make validate`, {content['date']}, commit {content['commit']}, on {content['processor']} "
        f"({content['cores']} cores), {content['wall_s']} s. Length of the runs: {content['scale']:g} of the usual.",
        "An estimate may be 4 of its own standard errors off.",
    ]
    for name, checks in groups.items():
        lines += [
            "",
            f"## {name}",
            "",
            "| what | quantity | found | exact | allowed | passed |",
            "|---|---|---|---|---|---|",
        ]
        lines += [f"| {' | '.join(cells(check))} |" for check in checks]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
