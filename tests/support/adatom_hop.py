"""A copper atom that hops on Cu(100), and a session of its rate that is stopped in one of the stages."""

import os
from pathlib import Path

from ase import Atoms
from ase.build import add_adsorbate, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from dp_sim.recipes.paths.rates.rate import reaction_rate


def adatom(offset: tuple[float, float]) -> Atoms:
    """A copper atom in one of the hollows of Cu(100), the lower layer held."""
    slab = fcc100("Cu", size=(2, 2, 2), vacuum=5.0)
    add_adsorbate(slab, "Cu", 1.7, "hollow", offset=offset)
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    slab.info.clear()
    return slab


class Cut(EMT):
    """Sends a signal to its own process at the fifth evaluation after a folder has appeared."""

    name = "emt"

    def __init__(self, folder: Path, number: int):
        super().__init__()
        self.folder, self.number, self.seen = folder, number, 0

    def calculate(self, *arguments, **keywords):
        self.seen += self.folder.is_dir()
        if self.seen == 5:
            os.kill(os.getpid(), self.number)
        super().calculate(*arguments, **keywords)


def session(out: Path, stage: str, number: int):
    """The rate of the hop in OUT, taken up where it was left; a signal in the stage, if it comes to that."""
    calc = Cut(out / stage, number)
    return reaction_rate(adatom((0, 0)), adatom((1, 0)), calc, images=5, out=out, resume=True, progress=False)
