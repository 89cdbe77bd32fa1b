"""Figures of the documentation, drawn by its build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from dp_sim.descriptors.switch import Switch
from dp_sim.recipes import load_result

ROOT = Path(__file__).resolve().parents[2]


def draw(folder: Path) -> None:
    """Draw all figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _switches().savefig(folder / "switch.png", dpi=110)
    load_result(ROOT / "example_systems" / "water" / "npt").plot().savefig(folder / "npt.png", dpi=110)


def _switches(start: float = 1.0, cutoff: float = 5.0) -> Figure:
    """Draw s(r) of both switches, and the second derivative of w, which jumps at the cutoff with the cosine alone."""
    r = torch.linspace(0.8, cutoff + 0.5, 1000, dtype=torch.float64)
    figure = Figure(figsize=(7.5, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, style in (("polynomial", "-"), ("cosine", "--")):
        s = Switch(start, cutoff, kind)(r)
        second = np.gradient(np.gradient((s * r).numpy(), r.numpy()), r.numpy())
        left.plot(r, s, style, label=kind)
        right.plot(r[2:-2], second[2:-2], style, label=kind)
    left.set(xlabel="r (Å)", ylabel="s (1/Å)", title="Weight of a neighbour")
    right.set(xlabel="r (Å)", ylabel="w'' (1/Å²)", title="Curvature of w")
    left.legend(frameon=False)
    return figure
