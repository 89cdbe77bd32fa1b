"""Structures in files: what a recipe obeyed is there when the file is read again."""

import numpy as np
import pytest
from ase import Atoms
from ase import constraints as kinds
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.io.jsonio import encode
from refusals import refused

from dp_sim.cli.support.structure_files import read_structure
from dp_sim.recipes import optimize, run_nvt, vibrations
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.recipes.results.frames import append_frame, write_frames

CONSTRAINTS = [
    kinds.FixAtoms([1]),
    kinds.FixCartesian(0, [True, False, False]),
    kinds.FixScaled([1], [True, False, False]),
    kinds.FixBondLength(0, 1),
    kinds.FixBondLengths([[0, 1], [2, 3]]),
    kinds.FixedPlane(0, [0, 0, 1]),
    kinds.FixedLine([1], [1, 0, 0]),
    kinds.Hookean(0, 1, 5.0, 1.0),
    kinds.FixCom(),
    kinds.FixInternals(bonds=[[2.5, [0, 1]]]),
    kinds.ExternalForce(0, 1, 0.5),
]


def said(atoms: Atoms) -> list[str]:
    return [encode(constraint.todict()) for constraint in atoms.constraints]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("together", [False, True])
def test_every_constraint_comes_back(tmp_path, constraint, together):
    copper = bulk("Cu", cubic=True)
    copper.set_constraint([constraint, kinds.FixAtoms([3])] if together else constraint)
    before = said(copper)
    write_frames(tmp_path / "whole.xyz", copper)
    append_frame(tmp_path / "appended.xyz", copper)
    for name in ("whole.xyz", "appended.xyz"):
        assert said(read_structure(str(tmp_path / name))) == before
        assert said(check_structure(read(tmp_path / name))) == before  # read with ASE, then handed to a recipe
    assert said(copper) == before
    assert copper.info == {}


def test_an_optimised_structure_keeps_its_constraints_and_vibrations_refuse_them(tmp_path):
    """Before, `vib` ran on optimized.extxyz as if nothing were held."""
    copper = Atoms("Cu3", [[0, 0, 0], [0, 0, 2.3], [0, 2.3, 0]])
    copper.set_constraint(kinds.FixedPlane([0, 1, 2], [1, 0, 0]))
    optimize(copper, EMT(), out=tmp_path / "opt", progress=False)
    for name in ("optimized.extxyz", "trajectory.extxyz", "input.extxyz"):
        assert said(read_structure(str(tmp_path / "opt" / name))) == said(copper)
    with refused("constraint-unsupported", "FixedPlane"):
        vibrations(read_structure(str(tmp_path / "opt" / "optimized.extxyz")), EMT())


def test_a_trajectory_keeps_fixed_atoms_masses_and_charge(tmp_path):
    water = Atoms("Cu3", [[0, 0, 0], [0, 0, 2.4], [0, 2.4, 0]], masses=[63.5, 65.0, 63.5])
    water.set_constraint(kinds.FixAtoms([0]))
    water.info["charge"] = 0
    run_nvt(water, EMT(), temperature_K=50, steps=20, frame_every=10, out=tmp_path / "nvt", progress=False)
    for frame in read(tmp_path / "nvt" / "trajectory.extxyz", index=":"):
        assert said(frame) == said(water)
        np.testing.assert_allclose(frame.get_masses(), water.get_masses())
        assert frame.info["charge"] == 0


def test_a_constraint_that_no_file_can_hold_is_told_of(tmp_path, caplog):
    class Own:
        """A constraint of the user's."""

        def adjust_positions(self, atoms, new):
            new[0] = atoms.positions[0]

        def adjust_forces(self, atoms, forces):
            forces[0] = 0.0

        def get_removed_dof(self, atoms):
            return 3

        def index_shuffle(self, atoms, ind):
            pass

    copper = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.3]])
    copper.set_constraint(Own())
    result = optimize(copper, EMT(), out=tmp_path / "opt", progress=False)
    assert any("Own cannot be kept" in note for note in result.provenance["notes"])
    assert "Own cannot be kept" in caplog.text
    assert "Own cannot be kept" in (tmp_path / "opt" / "report.html").read_text()


def test_damaged_constraints_are_refused(tmp_path):
    copper = bulk("Cu", cubic=True)
    copper.info["dp_sim_constraints"] = [{"name": "FixNothing", "kwargs": {}}]
    with refused("constraint-unreadable", "dp_sim_constraints"):
        check_structure(copper)
