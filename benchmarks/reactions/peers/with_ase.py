"""One reaction with ASE's NEB, then Sella without a Hessian, by GFN2-xTB.

    python with_ase.py FOLDER...

`against_peers.py` runs it. Of ASE's optimisers BFGS is taken.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.io import read
from ase.mep import NEB
from ase.optimize import BFGS
from meter import Meter, run_in_folders
from sella import Sella
from tblite.ase import TBLite

#: Images that move; the band is relaxed to the first force (eV/Angstrom) before its highest image climbs.
IMAGES, BEFORE_CLIMBING, FMAX, MOST_STEPS = 7, 0.5, 0.05, 500
SADDLE_FMAX = 0.01


def relaxed_band(meter: Meter) -> list[Atoms]:
    """Relax a band from the IDPP path."""
    reactant, product = (read(f"{end}.xyz") for end in ("reactant", "product"))
    images = [reactant, *(reactant.copy() for _ in range(IMAGES)), product]
    for image in images:
        image.calc = TBLite(method="GFN2-xTB", verbosity=0)
    band = NEB(images, method="improvedtangent", remove_rotation_and_translation=True)
    band.interpolate("idpp")
    BFGS(band, logfile=None).run(fmax=BEFORE_CLIMBING, steps=MOST_STEPS)
    band.climb = True
    if not BFGS(band, logfile=None).run(fmax=FMAX, steps=MOST_STEPS):
        meter.reasons.append(f"the band did not converge in {MOST_STEPS} steps")
    return images


def react(meter: Meter) -> None:
    """Run the reaction of this folder."""
    images: list[Atoms] = []
    with meter.stage("path"):
        images = relaxed_band(meter)
    if images:
        top = images[int(np.argmax([image.get_potential_energy() for image in images]))].copy()
        top.calc = TBLite(method="GFN2-xTB", verbosity=0)
        with meter.stage("saddle"):
            if not Sella(top, order=1, internal=True, logfile=None).run(fmax=SADDLE_FMAX, steps=MOST_STEPS):
                meter.reasons.append("the saddle point did not converge")
            meter.found["saddle"] = top.positions.tolist()


if __name__ == "__main__":
    run_in_folders(react, "ase", "sella")
