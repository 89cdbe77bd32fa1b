"""As with_ase.py, with a band relaxed no further than that of `dp-sim rate`: evaluations against like evaluations.

python with_ase_loosely.py FOLDER...
"""

from __future__ import annotations

import with_ase
from meter import run_in_folders

from dp_sim.recipes.paths.band.find import GUIDE_FMAX

if __name__ == "__main__":
    with_ase.FMAX = GUIDE_FMAX
    run_in_folders(with_ase.react, "ase", "sella")
