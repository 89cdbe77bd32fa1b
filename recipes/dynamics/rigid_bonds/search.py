"""Which bonds of a structure are held, and which structures have none that could be."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.molecules import find_bonds
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds

#: Lengths of bonds between the same elements that differ by more (Angstrom) are those of a moving molecule.
ALIKE_A = 0.03


def find_rigid_bonds(atoms: Atoms) -> RigidBonds:
    """Find the bonds of all hydrogens, whatever their mass; a hydrogen without a bond stays free.

    Raises
    ------
    InputError
        No hydrogen has a bond; one is bonded to several atoms, so that no single length holds it; or the atom at one
        end of a bond is fixed.
    """
    bonds = find_bonds(atoms)
    is_hydrogen = atoms.numbers == 1
    bonds = bonds[is_hydrogen[bonds].any(axis=1)]
    if not len(bonds):
        what = "no hydrogen" if not is_hydrogen.any() else f"{int(is_hydrogen.sum())} hydrogens, but none with a bond"
        raise InputError(
            "rigid-bonds-none",
            f"rigid_bonds='hydrogen' holds the bonds of hydrogens, and the structure has {what}; leave it out",
        )
    _refuse_bridges(atoms, bonds)
    _refuse_fixed(atoms, bonds)
    # The centre first: the heavier atom, for a hydrogen has one neighbour.
    turned = is_hydrogen[bonds[:, 0]] & ~is_hydrogen[bonds[:, 1]]
    bonds[turned] = bonds[turned][:, ::-1]
    return RigidBonds(bonds, np.zeros(len(bonds)), len(atoms)).measured(atoms)


def _refuse_bridges(atoms: Atoms, bonds: np.ndarray) -> None:
    """Refuse a hydrogen with two neighbours."""
    counts = np.bincount(bonds.ravel(), minlength=len(atoms)) * (atoms.numbers == 1)
    if counts.max() < 2:
        return
    hydrogen = int(np.argmax(counts >= 2))
    mine = bonds[(bonds == hydrogen).any(axis=1)]
    others = [int(pair[0] if pair[1] == hydrogen else pair[1]) for pair in mine]
    named = ", ".join(
        f"{other} ({atoms.symbols[other]}) at {atoms.get_distance(hydrogen, other, mic=True):.2f} Angstrom"
        for other in others[:4]
    )
    more = f" and {len(others) - 4} others" if len(others) > 4 else ""
    raise InputError(
        "rigid-bond-bridge",
        f"rigid_bonds='hydrogen' needs hydrogens with one neighbour, but atom {hydrogen} (H) has {len(others)}: {named}"
        f"{more}; which bond it keeps is not known: leave rigid_bonds out, and take hydrogen_mass_amu for longer steps",
    )


def _refuse_fixed(atoms: Atoms, bonds: np.ndarray) -> None:
    """Refuse a bond to a fixed atom."""
    fixed = {int(i) for one in atoms.constraints if isinstance(one, FixAtoms) for i in np.atleast_1d(one.get_indices())}
    for pair in bonds.tolist():
        held = [atom for atom in pair if atom in fixed]
        if held:
            (first, second) = pair
            raise InputError(
                "rigid-bond-fixed",
                f"rigid_bonds='hydrogen' would hold the bond of atoms {first} ({atoms.symbols[first]}) and {second} "
                f"({atoms.symbols[second]}), but atom {held[0]} is fixed (FixAtoms), and OpenMM holds no bond to a "
                "fixed atom; release it, or leave rigid_bonds out",
            )


def rigid_bonds_words(bonds: RigidBonds, atoms: Atoms) -> str:
    """Say in a sentence which bonds are held, and where their lengths show that the structure was not relaxed."""
    kinds: dict[str, list[float]] = {}
    for (first, second), length in zip(bonds.pairs.tolist(), bonds.lengths_A.tolist(), strict=True):
        kinds.setdefault(f"{atoms.symbols[first]}-{atoms.symbols[second]}", []).append(length)
    shown = ", ".join(
        f"{len(lengths)} {kind} of {_range(min(lengths), max(lengths))} Angstrom" for kind, lengths in kinds.items()
    )
    words = f"{len(bonds)} bonds keep their length: {shown}"
    spread = {kind: max(lengths) - min(lengths) for kind, lengths in kinds.items()}
    widest = max(spread, key=lambda kind: spread[kind])
    if spread[widest] > ALIKE_A:
        words += (
            f". The {widest} lengths differ by {spread[widest]:.2f} Angstrom, as in a snapshot of a moving structure, "
            "and each stays what it is: relax=True (--relax) gives those at rest"
        )
    return words


def _range(least: float, most: float) -> str:
    return f"{least:.4f}" if most - least < 5e-5 else f"{least:.4f} to {most:.4f}"
