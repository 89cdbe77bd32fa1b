"""Whether rigid bonds have kept their length."""

from __future__ import annotations

from ase import Atoms

from dp_sim.recipes.dynamics.engines.protocol import UnstableError
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds

#: Relative error of a length at which a run ends.
HELD = 1e-4


def check_held(bonds: RigidBonds, atoms: Atoms) -> None:
    """Stop where a bond was not brought back to its length: OpenMM's iteration gives up without a word.

    Raises
    ------
    UnstableError
        Names the bond and its lengths.
    """
    lengths = bonds.measured(atoms).lengths_A
    off = abs(lengths / bonds.lengths_A - 1)
    worst = int(off.argmax())
    if off[worst] < HELD:
        return
    first, second = bonds.pairs[worst].tolist()
    raise UnstableError(
        "rigid-bonds-lost",
        f"the rigid bond of atoms {first} ({atoms.symbols[first]}) and {second} ({atoms.symbols[second]}) went from "
        f"{bonds.lengths_A[worst]:.4f} to {lengths[worst]:.4f} Angstrom: the forces are too strong for the time step; "
        "relax the structure first, or take a smaller time step",
    )
