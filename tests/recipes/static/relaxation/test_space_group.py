"""The space group is kept, named before and after, and refused where something else contradicts it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixedPlane, FixSymmetry
from ase.io import read
from refusals import refused

from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.relaxation.space_group import space_group

pytest.importorskip("spglib", reason="spglib is an optional package")


def tetragonal_copper() -> Atoms:
    """Of the group I4/mmm, on the way from fcc to bcc."""
    crystal = bulk("Cu", a=3.7, cubic=True)
    crystal.set_cell(np.diag([3.7, 3.7, 3.9]), scale_atoms=True)
    return crystal


def cuau() -> Atoms:
    """L1_0, P4/mmm: layers of Cu and Au, with the atoms a little off their places."""
    crystal = bulk("Cu", a=3.9, cubic=True)
    crystal.numbers[[1, 2]] = 79
    crystal.positions += np.random.default_rng(3).normal(scale=1e-3, size=(4, 3))
    return crystal


def test_groups_have_their_international_names():
    assert space_group(bulk("Cu", a=3.6)) == "Fm-3m (225)"
    assert space_group(bulk("Si")) == "Fd-3m (227)"
    assert space_group(tetragonal_copper()) == "I4/mmm (139)"
    assert space_group(cuau()) == "P4/mmm (123)"
    assert space_group(cuau(), 1e-5) == "P1 (1)"


def test_the_group_is_kept_and_stands_on_the_page_and_in_no_constraint(tmp_path):
    result = optimize(cuau(), EMT(), cell=True, symmetry=True, fmax=1e-3, out=tmp_path / "opt")
    assert result.converged
    assert result.space_groups == ("P4/mmm (123)", "P4/mmm (123)")
    assert "P4/mmm (123)" in (tmp_path / "opt" / "report.html").read_text()
    written = read(tmp_path / "opt" / "optimized.extxyz")
    assert space_group(written, 1e-5) == "P4/mmm (123)"  # exact now
    assert not written.constraints
    assert "dp_sim_constraints" not in (tmp_path / "opt" / "trajectory.extxyz").read_text()


def test_a_constraint_of_the_structure_stays_and_vibrations_say_that_they_do_not_keep_it(tmp_path):
    crystal = bulk("Cu", a=3.6, cubic=True)
    crystal.set_constraint(FixSymmetry(crystal))
    optimize(crystal, EMT(), cell=True, out=tmp_path / "opt")
    written = read(tmp_path / "opt" / "optimized.extxyz")
    result = vibrations(written, EMT(), out=tmp_path / "vib")
    assert len(result.frequencies_cm1) == 9
    assert "FixSymmetry" in (tmp_path / "vib" / "report.html").read_text()
    again = optimize(written, EMT(), cell=True)
    assert isinstance(again.atoms.constraints[0], FixSymmetry)


def test_what_breaks_the_symmetry_is_refused():
    crystal = bulk("Cu", a=3.6, cubic=True)
    crystal.set_constraint(FixAtoms([0]))
    with refused("symmetry-constrained", "atom 0"):
        optimize(crystal, EMT(), symmetry=True, cell=True)
    crystal.set_constraint(FixedPlane([0], [0, 0, 1]))
    with refused("symmetry-constrained", "FixedPlane"):
        optimize(crystal, EMT(), symmetry=True, cell=True)
    crystal.set_constraint()
    with refused("cell-not-free", "xx", "symmetry"):
        optimize(crystal, EMT(), symmetry=True, cell=True, cell_mask="xx")
    with refused("symmetry-not-found", "False, False, False"):
        optimize(Atoms("Cu2", [[0, 0, 0], [0, 0, 2]]), EMT(), symmetry=True)


def test_a_mask_that_the_symmetry_allows_is_kept():
    start = tetragonal_copper()
    result = optimize(start, EMT(), cell=True, symmetry=True, cell_mask="zz")
    change = result.atoms.cell.array - start.cell.array
    assert change[2, 2] < -0.1
    change[2, 2] = 0
    np.testing.assert_allclose(change, 0, atol=1e-12)


def test_a_symmetry_that_holds_every_atom_is_said(tmp_path):
    optimize(bulk("Cu", a=3.6, cubic=True), EMT(), symmetry=True, out=tmp_path / "opt")
    assert "holds every atom" in (tmp_path / "opt" / "report.html").read_text()


def test_a_saddle_that_the_symmetry_holds_is_not_a_minimum():
    """bcc copper is unstable towards fcc: in a cubic cell of it some modes are imaginary, and no force shows them."""
    crystal = bulk("Cu", "bcc", a=2.87, cubic=True) * (2, 2, 2)
    result = optimize(crystal, EMT(), symmetry=True, cell=True, check_minimum=True)
    assert not result.converged
    assert result.ended_by == "at a saddle point"
    assert "symmetry" in result.cause
    assert result.verdict.startswith("saddle point of order")
    assert result.space_groups == ("Im-3m (229)", "Im-3m (229)")
