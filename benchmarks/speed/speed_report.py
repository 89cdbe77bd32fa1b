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


def circumstances(pythons: dict[str, Path]) -> dict[str, Any]:
    """Date, machine, commit, versions; lists that are filled while the work goes on."""
    with open("/proc/cpuinfo") as lines:
        processor = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    )
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
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    out.with_suffix(".md").write_text(table(report))


def microseconds(row: dict[str, Any]) -> float:
    return 1e6 * float(np.median(row["seconds"])) / row["atoms"]


def table(report: dict[str, Any]) -> str:
    loads = " ".join(f"{load:.1f}" for load in report["load"])
    rounds = len(report["rows"][0]["seconds"])
    text = (
        f"{report['date']}, {report['machine']}, commit {report['commit']}, {report['threads']} threads, load averages "
        f"{loads} (before, and after each size). Medians of {rounds} rounds, µs per atom and step; memory "
        f'is the peak above the imports; "ours": how many times longer than dp-sim through ASE in the same form.\n'
    )
    if report["left_out"]:
        text += f"Left out: {'; '.join(report['left_out'])}.\n"
    sizes = dict.fromkeys((row["dtype"], row["atoms"]) for row in report["rows"])
    return text + "".join(_size(report, dtype, atoms) for dtype, atoms in sizes)


def _size(report: dict[str, Any], dtype: str, atoms: int) -> str:
    rows = [row for row in report["rows"] if (row["dtype"], row["atoms"]) == (dtype, atoms)]
    product, *codes = rows
    rate = 2e-9 * EDGE**3 / float(np.median(product["seconds"]))
    limit = 1e3 * MFLOP_PER_ATOM / rate
    worst = report["deviations"].get(f"{atoms} atoms, {dtype}")
    text = f"\n**{dtype}, {atoms} atoms**; matrix product {rate:.0f} GFLOP/s, limit {limit:.0f} µs"
    text += f"; energies and forces agree to {worst:.0e}\n\n" if worst else "\n\n"
    text += "| | networks: µs | MB | ours | compressed: µs | MB | ours |\n|---|---|---|---|---|---|---|\n"
    ours = {row["form"]: microseconds(row) for row in codes if (row["code"], row["way"]) == ("dp-sim", "ASE")}
    for code, way in dict.fromkeys((row["code"], row["way"]) for row in codes):
        cells = ""
        for form in ("networks", "compressed"):
            row = next(row for row in codes if (row["code"], row["way"], row["form"]) == (code, way, form))
            memory = "" if row["peak_MB"] is None else f"{row['peak_MB']:.0f}"
            cells += f" {microseconds(row):.0f} | {memory} | {microseconds(row) / ours[form]:.2f} |"
        text += f"| {code}, {way} |{cells}\n"
    return text + _goals(codes, ours, limit)


def _goals(codes: list[dict[str, Any]], ours: dict[str, float], limit: float) -> str:
    """dp-sim against the best of the others."""
    sentences = [f"dp-sim compressed: {ours['compressed'] / limit:.1f} times the limit"]
    for form in ("networks", "compressed"):
        for way, name in (("ASE", "DeePMD-kit"), ("LAMMPS", "LAMMPS")):
            others = [
                microseconds(row)
                for row in codes
                if row["code"] != "dp-sim" and row["way"].startswith(way) and row["form"] == form
            ]
            if others:
                sentences.append(f"{form}, the best {name} row takes {min(others) / ours[form]:.2f} times as long")
    return "\n" + "; ".join(sentences) + ".\n"
