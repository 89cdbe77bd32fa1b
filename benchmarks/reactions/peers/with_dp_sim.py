"""One reaction with dp-sim, as `dp-sim rate` goes, by GFN2-xTB.

    python with_dp_sim.py FOLDER...

`against_peers.py` runs it. The stages are those of `dp-sim rate`, by its settings; the last is not in the table.
"""

from __future__ import annotations

from ase.io import read
from meter import Meter, run_in_folders

from dp_sim.recipes import find_path, follow_irc, rate_constant, refine_ts
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.paths.band.find import GUIDE_FMAX


def react(meter: Meter) -> None:
    """Run the reaction of this folder."""
    reactant, product = (read(f"{end}.xyz") for end in ("reactant", "product"))
    calc = calculator_from_spec("tblite:GFN2-xTB")
    band = saddle = irc = None
    with meter.stage("path"):
        band = find_path(reactant, product, calc, fmax=GUIDE_FMAX, progress=False)
    if band is not None:
        with meter.stage("saddle"):
            saddle = refine_ts(band.highest, calc, progress=False)
            meter.found["saddle"] = saddle.atoms.positions.tolist()
    if saddle is not None and saddle.converged:
        with meter.stage("irc"):
            irc = follow_irc(saddle, calc, progress=False)
            meter.found["ends"] = [end.positions.tolist() for end in (irc.reactant, irc.product)]
    if band is not None and saddle is not None:
        with meter.stage("rate constant"):
            ends = [image.copy() for image in (band.images[0], band.images[-1])]
            rate = rate_constant(ends[0], saddle.atoms, calc, product=ends[1], irc=irc, progress=False)
            meter.found["verdict"] = rate.verdict
            meter.reasons.extend(rate.reasons)


if __name__ == "__main__":
    run_in_folders(react, "dp-sim")
