"""What users of other programs report on relaxations: each case here, with where it was reported."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixSymmetry
from ase.io import read
from refusals import refused

from dp_sim.recipes import optimize
from dp_sim.recipes.static.relaxation.space_group import space_group


def test_zero_forces_in_a_strained_cell_are_not_converged():
    """TorchSim/torch-sim#582: forces on atoms alone ended a relaxation of the cell."""
    assert not optimize(bulk("Cu", a=3.9), EMT(), cell=True, steps=0).converged
    assert optimize(bulk("Cu", a=3.9), EMT(), cell=True).volume_A3 < 11.7


@pytest.mark.parametrize("optimizer", ["lbfgs", "fire2", "precon-lbfgs"])
def test_distorted_crystals_come_to_rest_within_their_symmetry(optimizer):
    """TorchSim/torch-sim#552 and libAtoms/workflow#280: stale coordinates of the cell under FixSymmetry."""
    pytest.importorskip("spglib", reason="spglib is an optional package")
    distorted = bulk("Cu", "hcp", a=2.3, c=5.2)
    result = optimize(distorted, EMT(), cell=True, symmetry=True, optimizer=optimizer)
    assert result.converged
    assert space_group(result.atoms, 1e-5) == "P6_3/mmc (194)"


def test_fixed_atoms_and_symmetry_that_contradict_are_refused():
    """deepmodeling/abacus-develop#3738: symmetry had to be turned off when some atoms could not move."""
    pytest.importorskip("spglib", reason="spglib is an optional package")
    crystal = bulk("Cu", a=3.6, cubic=True)
    crystal.set_constraint(FixAtoms([1]))
    with refused("symmetry-constrained", "atom 1"):
        optimize(crystal, EMT(), cell=True, symmetry=True)


def test_a_symmetry_constraint_survives_the_file(tmp_path):
    """stfc/janus-core#311 and #313: FixSymmetry with a full relaxation of the cell; constraints break extxyz files."""
    pytest.importorskip("spglib", reason="spglib is an optional package")
    crystal = bulk("Cu", a=3.7, cubic=True)
    crystal.set_constraint(FixSymmetry(crystal))
    result = optimize(crystal, EMT(), cell=True, out=tmp_path / "opt")
    assert result.converged
    again = optimize(read(tmp_path / "opt" / "optimized.extxyz"), EMT(), cell=True)
    assert again.steps == 0
    assert isinstance(again.atoms.constraints[0], FixSymmetry)


def test_a_turned_crystal_takes_the_same_way():
    """cp2k/cp2k#5648: a relaxation that depended on the orientation of the cell."""
    straight = bulk("Cu", a=3.7, cubic=True)
    straight.set_cell(straight.cell.array @ [[1, 0.05, 0], [0, 1, 0.1], [0, 0, 1.1]], scale_atoms=True)
    straight.rattle(0.05, seed=1)
    turned = straight.copy()
    turned.rotate(37, (1, 2, 3), rotate_cell=True)
    results = [optimize(atoms, EMT(), cell=True, fmax=1e-3) for atoms in (straight, turned)]
    assert results[0].steps == results[1].steps
    assert results[0].energy_eV == pytest.approx(results[1].energy_eV, abs=1e-6)


def test_hydrogen_in_any_direction_ends_with_numbers():
    """grimme-lab/xtb#621: NaN energies of H2 in some orientations."""
    tblite = pytest.importorskip("tblite.ase", reason="tblite is an optional package")
    for direction in np.random.default_rng(0).normal(size=(5, 3)):
        away = 0.45 * direction / np.linalg.norm(direction)
        assert optimize(Atoms("H2", [np.zeros(3), away]), tblite.TBLite(verbosity=0)).converged


def test_steps_used_up_are_said():
    """leeping/geomeTRIC#191 and exalearn/ExaMol#100: no word of a relaxation that had not converged."""
    crystal = bulk("Cu", a=3.8, cubic=True)
    crystal.rattle(0.1, seed=1)
    result = optimize(crystal, EMT(), steps=2)
    assert (result.converged, result.ended_by) == (False, "steps used up")


def test_a_plane_of_the_cell_relaxes_alone():
    """materialsproject/pymatgen#2956: the mask (1, 1, 0, 0, 0, 1)."""
    crystal = bulk("Cu", a=3.7, cubic=True)
    result = optimize(crystal, EMT(), cell=True, cell_mask=["xx", "yy", "xy"])
    np.testing.assert_allclose(result.atoms.cell[2], [0, 0, 3.7], atol=1e-12)
    assert result.atoms.cell[0, 0] < 3.65
