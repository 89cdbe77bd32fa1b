"""What the reactions are made from: SMILES of both sides with the atoms numbered, or positions."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule

#: Reactant and product. Heavy atoms, and hydrogens that change their partner, have numbers that say which is which;
#: all other hydrogens are left out and go with the atom that they sit on.
SMILES = {
    "malonaldehyde": ("[O:1]=[C:2][C:3]=[C:4][O:5][H:6]", "[H:6][O:1][C:2]=[C:3][C:4]=[O:5]"),
    "diels_alder_s_trans": ("[C:1]=[C:2][C:3]=[C:4].[C:5]=[C:6]", "[C:1]1[C:2]=[C:3][C:4][C:5][C:6]1"),
    "hf_elimination": ("[F:1][C:2][C:3][H:4]", "[F:1][H:4].[C:2]=[C:3]"),
    "h2_elimination": (
        "[C:1]1([H:7])[C:2]=[C:3][C:4]([H:8])[C:5]=[C:6]1",
        "[C:1]1=[C:2][C:3]=[C:4][C:5]=[C:6]1.[H:7][H:8]",
    ),
    "vinyl_alcohol": ("[H:4][O:1][C:2]=[C:3]", "[O:1]=[C:2][C:3][H:4]"),
    "cyclopropane": ("[C:1]1([H:4])[C:2][C:3]1", "[C:1]=[C:2][C:3][H:4]"),
    "methanol_hcl": ("[C:1][O:2].[Cl:3][H:4]", "[C:1][Cl:3].[O:2][H:4]"),
    "formamide": ("[O:1]=[C:2][N:3][H:4]", "[H:4][O:1][C:2]=[N:3]"),
    "hydroxypyridine": (
        "[H:8][O:1][C:2]1=[C:3][C:4]=[C:5][C:6]=[N:7]1",
        "[O:1]=[C:2]1[C:3]=[C:4][C:5]=[C:6][N:7]1[H:8]",
    ),
    "cyclobutene": ("[C:1]1=[C:2][C:3][C:4]1", "[C:4]=[C:1][C:2]=[C:3]"),
    "claisen": ("[C:1]=[C:2][O:3][C:4][C:5]=[C:6]", "[O:3]=[C:2][C:1][C:6][C:5]=[C:4]"),
    "cope": ("[C:1]=[C:2][C:3][C:4][C:5]=[C:6]", "[C:3]=[C:2][C:1][C:6][C:5]=[C:4]"),
    "retro_ene": ("[H:6][C:1][C:2][C:3][C:4]=[C:5]", "[C:1]=[C:2].[C:3]=[C:4][C:5][H:6]"),
    "cyclopentadiene": ("[C:1]1([H:6])[C:2]=[C:3][C:4]=[C:5]1", "[C:1]1=[C:2][C:3]=[C:4][C:5]1[H:6]"),
}

#: Like atoms that change places in the product: SMILES do not say which hydrogen of a CH2 goes which way. Cyclobutene
#: opens conrotatory (R. B. Woodward, R. Hoffmann, J. Am. Chem. Soc. 87, 395 (1965)): of two hydrogens on one face one
#: turns inwards and one outwards.
EXCHANGED = {"cyclobutene": (6, 7)}


def positions() -> dict[str, tuple[Atoms, Atoms]]:
    """Make the reactants and products that no SMILES tells apart, or leads to."""
    ammonia, inverted = molecule("NH3"), molecule("NH3")
    inverted.positions[0, 2] = 2 * ammonia.positions[1, 2] - ammonia.positions[0, 2]
    ethane, turned = molecule("C2H6"), molecule("C2H6")
    turned.positions[2:5] = turned.positions[[3, 4, 2]]  # the three hydrogens of the first carbon, by 120 degrees
    return {
        "hcn": (
            Atoms("CNH", [[0, 0, 0], [0, 0, 1.15], [0.1, 0, -1.07]]),
            Atoms("CNH", [[0, 0, 0], [0, 0, 1.17], [0.1, 0, 2.16]]),
        ),
        "methyl_isocyanide": _methyl_isocyanide(),
        "ammonia": (ammonia, inverted),
        "ethane": (ethane, turned),
        "hono": _both_ways("HONO", (0.97, 1.40, 1.18), (104, 111)),
        "diazene": _both_ways("HNNH", (1.03, 1.24, 1.03), (108, 108)),
        "formaldehyde": (
            Atoms("COHH", [[0, 0, 0], [1.20, 0, 0], [-0.60, 0.94, 0], [-0.60, -0.94, 0]]),
            Atoms("COHH", [[0, 0, 0], [1.13, 0, 0], [-1.9, 1.9, 0], [-2.2, 1.2, 0]]),
        ),
        "formic_acid": (
            Atoms("COOHH", [[0, 0, 0], [1.20, 0, 0], [-0.70, 1.14, 0], [-0.60, -0.94, 0], [0.02, 1.79, 0]]),
            Atoms("COOHH", [[0, 0, 0], [1.13, 0, 0], [-1.60, 2.10, 0], [-1.80, 1.16, 0], [-0.72, 2.50, 0]]),
        ),
        "hydroxymethylene": (
            Atoms("COHH", [[0, 0, 0], [1.31, 0, 0], [-0.22, 1.09, 0], [1.62, -0.92, 0]]),
            Atoms("COHH", [[0, 0, 0], [1.20, 0, 0], [-0.60, 0.94, 0], [-0.60, -0.94, 0]]),
        ),
        "formic_acid_dimer": _formic_acid_dimer(),
        "diels_alder": (_ethene_above_butadiene(2.8), _ethene_above_butadiene(1.3)),
    }  # fmt: skip


def _both_ways(symbols: str, bonds: tuple[float, ...], angles: tuple[float, ...]) -> tuple[Atoms, Atoms]:
    """Build a chain of four atoms, trans and cis."""
    return _chain(symbols, bonds, angles, 180), _chain(symbols, bonds, angles, 0)


def _chain(symbols: str, bonds: tuple[float, ...], angles: tuple[float, ...], dihedral: float) -> Atoms:
    """Build a chain of four atoms from its bonds (Angstrom), angles and dihedral (degrees)."""
    first, last = np.radians(angles)
    a, b, c = bonds
    end = np.radians(dihedral)
    return Atoms(
        symbols,
        [
            [a * np.cos(first), a * np.sin(first), 0],
            [0, 0, 0],
            [b, 0, 0],
            [b - c * np.cos(last), c * np.sin(last) * np.cos(end), c * np.sin(last) * np.sin(end)],
        ],
    )


def _methyl_isocyanide() -> tuple[Atoms, Atoms]:
    angles = 2 * np.pi * np.arange(3) / 3
    methyl = np.stack([1.03 * np.cos(angles), 1.03 * np.sin(angles), np.full(3, -0.37)], axis=1)
    reactant = Atoms("CNCH3", np.vstack([[[0, 0, 0], [0, 0, 1.42], [0, 0, 2.59]], methyl]))
    product = Atoms("CNCH3", np.vstack([[[0, 0, 0], [0, 0, 2.61], [0, 0, 1.46]], methyl]))
    return reactant, product


def _formic_acid_dimer() -> tuple[Atoms, Atoms]:
    """Build the ring of two formic acids; in the product both hydrogens sit on the other oxygen."""
    # C, O (carbonyl), O (hydroxyl), H (of carbon), H (acid); the second molecule is the first turned by 180 degrees.
    half = np.array([[1.90, 0.15, 0], [1.35, 1.24, 0], [1.20, -0.98, 0], [3.00, 0.15, 0], [0.20, -1.00, 0]])
    half[:, 0] += 0.15
    reactant = Atoms("COOHHCOOHH", np.vstack([half, -half]))
    product = reactant.copy()
    mirrored = half * [1, -1, 1]
    product.positions = np.vstack([mirrored, -mirrored])[[0, 2, 1, 3, 9, 5, 7, 6, 8, 4]]
    return reactant, product


def _ethene_above_butadiene(height: float) -> Atoms:
    """Lay ethene so high (Angstrom) above the open side of s-cis butadiene; near enough, they relax to cyclohexene."""
    butadiene = [
        [-1.48, -1.11, 0], [-0.73, 0, 0], [0.73, 0, 0], [1.48, -1.11, 0],
        [-1.01, -2.08, 0], [-2.56, -1.03, 0], [-1.27, 0.94, 0], [1.27, 0.94, 0], [2.56, -1.03, 0], [1.01, -2.08, 0],
    ]  # fmt: skip
    ethene = [
        [0.67, -1.9, 0], [-0.67, -1.9, 0], [1.23, -1.3, 0.7], [1.23, -2.5, 0], [-1.23, -1.3, 0.7], [-1.23, -2.5, 0],
    ]  # fmt: skip
    above = np.add(ethene, [0, 0, height]).tolist()
    return Atoms("C6H10", [*butadiene[:4], *above[:2], *butadiene[4:], *above[2:]])
