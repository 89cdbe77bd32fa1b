"""Make the ends of the reactions: `python benchmarks/reactions/make.py [NAME ...]`. Needs rdkit and tblite.

The reactant is embedded with the bonds that will form held short, in the force field UFF; the product grows out of
that geometry under its own bonds. So both ends are conformers that face each other. Both are then relaxed with
GFN2-xTB to minima, and must still have the bonds of their SMILES.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.io import write
from starts import EXCHANGED, SMILES, positions

from dp_sim.recipes import optimize
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.paths.matching.bond_graph import bond_matrix

HERE = Path(__file__).parent
#: Atoms between which a bond will form are held this near, Angstrom, while the reactant is embedded.
NEAR_A = 2.4
CONFORMERS = 30
#: The product starts from the reactant's atoms moved by about this much, Angstrom.
JITTER_A = 0.15


def _molecule(smiles: str) -> Any:
    """Make a molecule with all hydrogens, its atoms in the order of their numbers."""
    from rdkit import Chem

    options = Chem.SmilesParserParams()
    options.sanitize, options.removeHs = False, False
    mol = Chem.MolFromSmiles(smiles, options)
    for atom in mol.GetAtoms():
        if not atom.GetFormalCharge():
            atom.SetNoImplicit(atom.GetAtomicNum() == 1)
    Chem.SanitizeMol(mol, Chem.SANITIZE_ALL ^ Chem.SANITIZE_SETAROMATICITY)
    mol = Chem.AddHs(mol)
    count: dict[int, int] = {}

    def key(atom: Any) -> tuple[int, int, int]:
        if atom.GetAtomMapNum():
            return (0, atom.GetAtomMapNum(), 0)
        partner = atom.GetNeighbors()[0].GetAtomMapNum()
        count[partner] = count.get(partner, 0) + 1
        return (1, partner, count[partner])

    order = [atom.GetIdx() for atom in sorted(mol.GetAtoms(), key=key)]
    return Chem.RenumberAtoms(mol, order)


def _bonds(mol: Any) -> set[tuple[int, int]]:
    return {tuple(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))) for bond in mol.GetBonds()}  # type: ignore[misc]


def _grown(names: tuple[str, str]) -> tuple[Atoms, Atoms]:
    from rdkit.Chem import AllChem

    reactant, product = (_molecule(smiles) for smiles in names)
    numbers = [atom.GetAtomicNum() for atom in reactant.GetAtoms()]
    assert numbers == [atom.GetAtomicNum() for atom in product.GetAtoms()]
    starts = [
        reactant.GetConformer(number).GetPositions()
        for number in AllChem.EmbedMultipleConfs(reactant, CONFORMERS, randomSeed=7, useRandomCoords=True)
    ]
    near = _lowest(reactant, starts, held=_bonds(product) - _bonds(reactant))
    rng = np.random.default_rng(7)
    shaken = [near + JITTER_A * rng.normal(size=near.shape) for _ in range(CONFORMERS)]
    return Atoms(numbers, near), Atoms(numbers, _lowest(product, shaken, held=_bonds(reactant) - _bonds(product)))


def _lowest(mol: Any, starts: list[np.ndarray], held: set[tuple[int, int]]) -> np.ndarray:
    """Relax in the force field, with the pairs `held` near each other; of those that keep their bonds the lowest."""
    from rdkit.Chem import rdForceFieldHelpers
    from rdkit.Geometry import Point3D

    found = []
    for start in starts:
        trial = type(mol)(mol)
        trial.RemoveAllConformers()
        shape = _conformer(len(start))
        for k, point in enumerate(start):
            shape.SetAtomPosition(k, Point3D(*point))
        trial.AddConformer(shape, assignId=True)
        field = rdForceFieldHelpers.UFFGetMoleculeForceField(trial, vdwThresh=100.0, ignoreInterfragInteractions=False)
        for i, j in held:
            field.UFFAddDistanceConstraint(i, j, False, 0.0, NEAR_A, 100.0)
        field.Initialize()
        field.Minimize(maxIts=5000)
        atoms = Atoms([atom.GetAtomicNum() for atom in mol.GetAtoms()], trial.GetConformer().GetPositions())
        if _found_bonds(atoms) == _bonds(mol):
            found.append((field.CalcEnergy(), atoms.positions))
    if not found:
        raise SystemExit("no geometry has the bonds of the SMILES")
    return min(found, key=lambda one: one[0])[1]


def _conformer(n_atoms: int) -> Any:
    from rdkit import Chem

    return Chem.Conformer(n_atoms)


def _relaxed(start: Atoms, calculator: Any) -> Any:
    """Relax to a minimum; where a saddle point holds it, once more from nearby."""
    options = {"steps": 2000, "check_minimum": True, "progress": False}
    result = optimize(start, calculator, fmax=0.002, **options)
    if result.converged:
        return result
    shaken = result.atoms.copy()
    shaken.rattle(0.05, seed=3)
    return optimize(shaken, calculator, fmax=0.001, **options)


def make(name: str) -> None:
    """Make one reaction and write its two files."""
    starts = _grown(SMILES[name]) if name in SMILES else positions()[name]
    if name in EXCHANGED:
        starts[1].positions[list(EXCHANGED[name])] = starts[1].positions[list(EXCHANGED[name][::-1])]
    calculator = calculator_from_spec("tblite:GFN2-xTB")
    reactant, product = (_relaxed(start, calculator) for start in starts)
    minimize_rotation_and_translation(reactant.atoms, product.atoms)
    (HERE / name).mkdir(exist_ok=True)
    for end, result in (("reactant", reactant), ("product", product)):
        atoms = result.atoms.copy()
        atoms.positions -= atoms.positions.mean(axis=0)
        write(HERE / name / f"{end}.extxyz", atoms)
        print(f"{name}, {end}: {result.energy_eV:.6f} eV, {result.verdict} {result.cause}", flush=True)
        if name in SMILES and _found_bonds(atoms) != _bonds(_molecule(SMILES[name][end == "product"])):
            raise SystemExit(f"{name}: the {end} has other bonds than its SMILES")


def _found_bonds(atoms: Atoms) -> set[tuple[int, int]]:
    return {(int(i), int(j)) for i, j in np.argwhere(np.triu(bond_matrix(atoms)))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*SMILES, *positions()])
    for one in parser.parse_args().names:
        make(one)
