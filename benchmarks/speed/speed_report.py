"""Timings of against_deepmd.py as JSON and as a table in Markdown."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from standard_water import MFLOP_PER_ATOM
from step_worker import EDGE

HERE = Path(__file__).resolve().parent
FORMS = ("networks", "compressed")
CLOCKS = {"seconds": "wall time", "processor_seconds": "processor time"}


def circumstances(pythons: dict[str, Path]) -> dict[str, Any]:
    """Date, machine, commit, versions; lists that are filled while the work goes on."""
    with open("/proc/cpuinfo") as lines:
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    # The last commit that changed what is measured.
    log = ["git", "log", "-1", "--format=%h", "--", *(str(HERE.parents[1] / part) for part in ("dp_sim", "plugins"))]
    commit = subprocess.run(log, cwd=HERE, capture_output=True, text=True, check=True)
    show = "from importlib.metadata import version as v; print(v('deepmd-kit'))"
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "commit": commit.stdout.strip(),
        "deepmd-kit": {
            suffix: subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.strip()
            for suffix, python in pythons.items()
        },
        "load": [os.getloadavg()[0]],
        "deviations": {},
    }


def save(report: dict[str, Any], out: Path) -> None:
    """Write the report as JSON and as Markdown."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_suffix(".md").write_text(table(report))


def microseconds(row: dict[str, Any], clock: str = "seconds") -> float:
    """Return the median per atom and step."""
    return 1e6 * float(np.median(row[clock])) / row["atoms"]


def table(report: dict[str, Any]) -> str:
    """Write the report as Markdown."""
    loads = " ".join(f"{load:.1f}" for load in report["load"])
    rounds = len(report["rows"][0]["seconds"])
    text = (
        f"{report['date']}, {report['machine']}, commit {report['commit']}, {report['threads']} threads "
        f"({'that spin while they wait' if report['spin'] else 'that sleep while they wait'}), load averages "
        f"{loads} (before, and after each size). Medians of {rounds} rounds in µs per atom and step: wall time, "
        f"processor time of all threads together, and MB of memory at the peak above the imports.\n"
    )
    if report["left_out"]:
        text += f"Left out: {'; '.join(report['left_out'])}.\n"
    sizes = dict.fromkeys((row["dtype"], row["atoms"]) for row in report["rows"])
    return text + "".join(_size(report, dtype, atoms) for dtype, atoms in sizes)


def _size(report: dict[str, Any], dtype: str, atoms: int) -> str:
    rows = [row for row in report["rows"] if (row["dtype"], row["atoms"]) == (dtype, atoms)]
    product, *codes = rows
    limits, rates = {}, {}
    for clock in CLOCKS:
        rates[clock] = 2e-9 * EDGE**3 / float(np.median(product[clock]))
        limits[clock] = 1e3 * MFLOP_PER_ATOM / rates[clock]
    worst = report["deviations"][f"{atoms} atoms, {dtype}"]
    wall, processor = rates.values()
    text = (
        f"\n**{dtype}, {atoms} atoms.** Matrix product {wall:.0f} GFLOP/s, {processor:.0f} per second of a processor: "
        f"limit {limits['seconds']:.0f} and {limits['processor_seconds']:.0f} µs. "
        f"Energies and forces agree to {worst:.0e}.\n\n"
        "| | networks: wall | processor | MB | compressed: wall | processor | MB |\n|---|---|---|---|---|---|---|\n"
    )
    for code, way in dict.fromkeys((row["code"], row["way"]) for row in codes):
        forms = [_row(codes, code, way, form) for form in FORMS]
        numbers = [(microseconds(row), microseconds(row, "processor_seconds"), row["peak_MB"]) for row in forms]
        cells = ["" if number is None else f"{number:.0f}" for group in numbers for number in group]
        text += f"| {code}, {way} | {' | '.join(cells)} |\n"
    return text + "\n" + "".join(_ratios(codes, clock, limits[clock]) for clock in CLOCKS) + _lammps(codes)


def _lammps(codes: list[dict[str, Any]]) -> str:
    """Compare both pair styles in LAMMPS, best against best, and say what LAMMPS does beside ours; "" without ours."""
    sentences = []
    for form in FORMS:
        rows = [row for row in codes if row["form"] == form and row["way"].startswith("LAMMPS")]
        ours = [row for row in rows if row["code"] == "dp-sim"]
        theirs = [microseconds(row) for row in rows if row["code"] != "dp-sim"]
        if not ours:
            continue
        best = min(map(microseconds, ours))
        through_ase = microseconds(_row(codes, "dp-sim", "ASE", form))
        words = [f"{best / through_ase:.2f} times our step in ASE"]
        words += [f"DeePMD-kit's best takes {min(theirs) / best:.2f} times as long"] if theirs else []
        words += [
            f"outside the pair style {microseconds(row, 'outside_pair'):.1f} µs ({row['way'][8:]})" for row in ours
        ]
        sentences.append(f"{form}: {', '.join(words)}")
    return f"- dp-sim in LAMMPS, wall time: {'; '.join(sentences)}.\n" if sentences else ""


def _row(codes: list[dict[str, Any]], code: str, way: str, form: str) -> dict[str, Any]:
    return next(row for row in codes if (row["code"], row["way"], row["form"]) == (code, way, form))


def _ratios(codes: list[dict[str, Any]], clock: str, limit: float) -> str:
    """dp-sim through ASE against the limit, against itself in OpenMM, and against the best of the others."""
    sentences = []
    for form in FORMS:
        ours = microseconds(_row(codes, "dp-sim", "ASE", form), clock)
        parts = [f"{ours / limit:.1f} times the limit"]
        for name, way, own in (
            ("OpenMM", "OpenMM", True),
            ("DeePMD-kit", "ASE", False),
            ("DeePMD-kit in LAMMPS", "LAMMPS", False),
        ):
            rows = [
                r for r in codes if r["form"] == form and r["way"].startswith(way) and own == (r["code"] == "dp-sim")
            ]
            times = [microseconds(row, clock) for row in rows]
            if times:
                parts.append(f"{'' if own else 'the best of '}{name} takes {min(times) / ours:.2f} times as long")
        sentences.append(f"{form}: {', '.join(parts)}")
    return f"- dp-sim through ASE, {CLOCKS[clock]}: {'; '.join(sentences)}.\n"
