"""One reaction with pysisyphus: growing string, P-RFO, reaction path and its ends, by GFN2-xTB.

    python with_pysisyphus.py FOLDER...

`against_peers.py` runs it in a folder of its own, by the interpreter of an environment that has pysisyphus and tblite.
Settings are those of pysisyphus where it has a default. Coordinates of the string are Cartesian, which is its default:
delocalised internals, which its examples prefer, did not converge for the linear HCN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meter import Meter, run_in_folders
from pysisyphus import run
from pysisyphus.constants import BOHR2ANG

#: The parts of a run that are stages of their own here.
PARTS = {name: getattr(run, name) for name in ("run_tsopt_from_cos", "run_irc", "run_endopt")}


def settings() -> dict[str, Any]:
    """Write down what pysisyphus is asked to do."""
    return {
        "geom": {"type": "cart", "fn": ["reactant.xyz", "product.xyz"]},
        "calc": {"type": "tblite", "gfn": 2, "acc": 1.0, "charge": 0, "mult": 1},
        "cos": {"type": "gs", "max_nodes": 9, "climb": True},
        "opt": {"type": "string", "max_cycles": 150},
        "tsopt": {"type": "rsprfo", "thresh": "gau", "do_hess": False},
        "irc": {"type": "eulerpc"},
        "endopt": {},
    }


def react(meter: Meter) -> None:
    """Run the reaction of this folder."""
    for name, stage in (("run_tsopt_from_cos", "saddle"), ("run_irc", "irc"), ("run_endopt", "irc")):
        setattr(run, name, measured(meter, stage, PARTS[name]))
    with meter.stage("path"):
        report(run.run_from_dict(settings()), meter)


def measured(meter: Meter, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """Let a part of pysisyphus's run be a stage of the meter."""

    def measure(*arguments: Any, **keywords: Any) -> Any:
        with meter.inner_stage(stage):
            return work(*arguments, **keywords)

    return measure


def report(found: Any, meter: Meter) -> None:
    """Take what was found, and what did not converge."""
    for name, stage in (("the string", found.cos_opt), ("the saddle point", found.ts_opt)):
        if stage is None or not stage.is_converged:
            meter.reasons.append(f"{name} did not converge")
    if found.ts_geom is not None:
        meter.found["saddle"] = angstrom(found.ts_geom)
    if found.end_geoms:
        meter.found["ends"] = [angstrom(end) for end in found.end_geoms]


def angstrom(geometry: Any) -> list[list[float]]:
    """Convert positions from Bohr."""
    positions: list[list[float]] = (geometry.cart_coords.reshape(-1, 3) * BOHR2ANG).tolist()
    return positions


if __name__ == "__main__":
    run_in_folders(react, "pysisyphus")
