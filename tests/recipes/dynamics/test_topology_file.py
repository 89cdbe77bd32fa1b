"""topology.pdb as other programs read it: atoms, elements, residues, bonds and cell."""

import io

import mdtraj
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read
from refusals import refused

from dp_sim.recipes.demo.water import example
from dp_sim.recipes.dynamics.frame_formats.dcd_with_topology import write_dcd_with_topology
from dp_sim.recipes.dynamics.frame_formats.frame import turned_frames
from dp_sim.recipes.dynamics.frame_formats.pdb_file import pdb_text
from dp_sim.recipes.dynamics.molecules import find_bonds, find_molecules, made_whole
from dp_sim.recipes.results.frames import write_frames

openmm_app = pytest.importorskip("openmm.app", reason="OpenMM reads the file")


def liquid():
    return read(example("water") / "water.extxyz")


def polyethylene():
    """Two CH2 a period: a chain through the box."""
    return Atoms(
        "CH2CH2",
        [[0, 0, 0], [0.9, 0.63, 0], [-0.9, 0.63, 0], [0, -0.84, 1.27], [0.9, -1.47, 1.27], [-0.9, -1.47, 1.27]],
        cell=[8, 9, 2.54],
        pbc=True,
    )


CASES = {
    "liquid water": (liquid, 64),
    "crystal": (lambda: bulk("Cu", cubic=True) * 2, 32),
    "triclinic crystal": (lambda: bulk("Si") * 3, 54),
    "polymer": (polyethylene, 6),
    "molecule": (lambda: molecule("C6H6"), 1),
    "atom": (lambda: Atoms("Ar"), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_openmm_and_mdtraj_read_what_was_written(name, tmp_path):
    make, n_residues = CASES[name]
    atoms = make()
    bonds = {tuple(pair) for pair in find_bonds(atoms).tolist()}
    (tmp_path / "topology.pdb").write_text(pdb_text(atoms))
    pdb = openmm_app.PDBFile(str(tmp_path / "topology.pdb"))
    found = list(pdb.topology.atoms())
    assert [atom.element.atomic_number for atom in found] == atoms.numbers.tolist()
    assert pdb.topology.getNumResidues() == n_residues
    for residue in pdb.topology.residues():
        names = [atom.name for atom in residue.atoms()]
        assert len(set(names)) == len(names)
    assert {tuple(sorted((bond[0].index, bond[1].index))) for bond in pdb.topology.bonds()} == bonds
    loaded = mdtraj.load(str(tmp_path / "topology.pdb"))
    assert [atom.element.atomic_number for atom in loaded.topology.atoms] == atoms.numbers.tolist()
    assert {tuple(sorted((one.index, two.index))) for one, two in loaded.topology.bonds} == bonds
    assert (pdb.topology.getPeriodicBoxVectors() is not None) == bool(atoms.pbc.all())
    if atoms.pbc.all():
        np.testing.assert_allclose(loaded.unitcell_lengths[0] * 10, atoms.cell.lengths(), atol=1e-3)
        np.testing.assert_allclose(loaded.unitcell_angles[0], atoms.cell.angles(), atol=1e-2)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mdanalysis_reads_it(name, tmp_path):
    mdanalysis = pytest.importorskip("MDAnalysis", reason="MDAnalysis is not installed")
    make, n_residues = CASES[name]
    atoms = make()
    (tmp_path / "topology.pdb").write_text(pdb_text(atoms))
    found = mdanalysis.Universe(str(tmp_path / "topology.pdb"))
    assert [one.capitalize() for one in found.atoms.elements] == atoms.get_chemical_symbols()
    assert len(found.residues) == n_residues
    bonds = {tuple(pair) for pair in find_bonds(atoms).tolist()}
    assert {tuple(sorted(pair)) for pair in found.bonds.indices.tolist()} == bonds if bonds else True
    if atoms.pbc.all():
        np.testing.assert_allclose(found.dimensions, atoms.cell.cellpar(), atol=1e-2)


def test_water_is_named_so():
    residues = list(openmm_app.PDBFile(io.StringIO(pdb_text(liquid()))).topology.residues())
    assert {residue.name for residue in residues} == {"HOH"}
    assert len(list(residues[0].bonds())) == 2


def test_molecules_that_a_file_has_wrapped_are_whole(tmp_path):
    whole = liquid()
    whole.positions = find_molecules(whole)[1]
    wrapped = whole.copy()
    wrapped.wrap()
    write_frames(tmp_path / "frames.extxyz", [wrapped, wrapped])
    write_dcd_with_topology(tmp_path / "frames.extxyz", lambda name: tmp_path / name, 10, 1e-3)
    loaded = mdtraj.load(str(tmp_path / "trajectory.dcd"), top=str(tmp_path / "topology.pdb"))
    assert loaded.n_frames == 2
    oxygens = np.repeat(np.flatnonzero(whole.numbers == 8), 2)
    hydrogens = np.flatnonzero(whole.numbers == 1)
    lengths = np.linalg.norm(10 * (loaded.xyz[:, oxygens] - loaded.xyz[:, hydrogens]), axis=2)
    assert lengths.max() < 1.3


def test_a_ring_and_a_long_chain_are_made_whole():
    """The walk over the bonds of a molecule goes from its first atom outwards, in any order of the file."""
    atoms = molecule("C6H6", vacuum=3.0, pbc=True)
    order = np.random.default_rng(0).permutation(len(atoms))
    atoms = atoms[order]
    tree, _ = find_molecules(atoms)
    scattered = atoms.positions + np.random.default_rng(1).integers(-2, 3, (len(atoms), 3)) @ atoms.cell.array
    whole = made_whole(scattered, tree, atoms.cell.array)
    np.testing.assert_allclose(whole - whole[0], atoms.positions - atoms.positions[0], atol=1e-12)


def test_frames_of_other_atoms_are_refused(tmp_path):
    write_frames(tmp_path / "frames.extxyz", [molecule("H2O"), Atoms("SH2", molecule("H2O").positions)])
    with refused("frames-differ", "frame 1", "S as atom 0"):
        list(turned_frames(tmp_path / "frames.extxyz"))


def test_more_atoms_than_the_columns_of_a_pdb_file_hold():
    atoms = bulk("Ar", "fcc", 5.3, cubic=True) * (20, 25, 51)
    text = pdb_text(atoms)
    assert "BONDS LEFT OUT" in text
    assert sum(line.startswith("HETATM") for line in text.splitlines()) == len(atoms)
    assert max(map(len, text.splitlines())) <= 80
