"""Many structures in one call: the same steps as one by one, each with its own ending, and none lost on the way."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS
from refusals import refused

from dp_sim import load_model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import optimize
from dp_sim.recipes.static.relaxation.several.batched_bfgs import Curvature, bfgs_steps

ETHANOL = Path(__file__).parents[4] / "example_systems" / "ethanol"


@pytest.fixture(scope="module")
def model():
    """In double precision: in single precision the last bit of a force moves the end by some 1e-6 eV."""
    return load_model(ETHANOL / "ethanol.pt", dtype="float64")


@pytest.fixture(scope="module")
def conformers() -> list[Atoms]:
    frames = read(ETHANOL / "test.extxyz.gz", ":6")
    for frame in frames:
        frame.calc = None
    return frames


def test_the_steps_are_those_of_ase(model, conformers):
    """Trajectories of ASE's BFGS, of molecules of two sizes, with a saddle's negative curvature on the way."""
    water = molecule("H2O")
    water.positions[1, 1] += 0.3
    ours = [conformers[0].copy(), water, conformers[1].copy()]
    theirs = [atoms.copy() for atoms in ours]
    optimizers = []
    for atoms in theirs:
        atoms.calc = DPCalculator(model)
        optimizers.append(BFGS(atoms, logfile=None))
    curvatures = [Curvature() for _ in ours]
    for _ in range(12):
        forces = [output.forces.numpy() for output in model.evaluate_each(ours)]
        moves = bfgs_steps(curvatures, [atoms.positions.copy() for atoms in ours], forces)
        for atoms, move, optimizer in zip(ours, moves, optimizers, strict=True):
            atoms.positions += move
            optimizer.step()
    for atoms, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(atoms.positions, other.positions, atol=1e-7)


def test_many_end_where_each_ends_alone(model, conformers):
    held = conformers[1].copy()
    held.set_constraint(FixAtoms([0, 3]))
    given = [*conformers[:1], held, *conformers[2:4]]
    many = optimize(given, model)
    assert many.converged
    assert many.in_batches == 4
    assert list(many.results) == ["0", "1", "2", "3"]
    for start, one in zip(given, many.results.values(), strict=True):
        alone = optimize(start, model)
        assert one.steps == alone.steps
        assert one.energy_eV == pytest.approx(alone.energy_eV, abs=1e-9)
        assert one.fmax_eV_A == pytest.approx(alone.fmax_eV_A, abs=1e-7)
        np.testing.assert_allclose(one.atoms.positions, alone.atoms.positions, atol=1e-7)
    np.testing.assert_array_equal(many.structures[1].positions[[0, 3]], held.positions[[0, 3]])
    assert isinstance(many.structures[1].constraints[0], FixAtoms)


def test_what_cannot_be_relaxed_is_reported_and_the_others_are_kept(model, conformers, tmp_path):
    coincident = conformers[2].copy()
    coincident.positions[1] = coincident.positions[0]
    given = [conformers[0], coincident, molecule("N2"), conformers[1]]
    result = optimize(given, model, out=tmp_path / "opt")
    assert not result.converged
    assert "2 of 4" in result.cause
    assert [one.converged for one in result.results.values()] == [True, False, False, True]
    assert "atoms 0 and 1" in result.results["1"].cause
    assert "N" in result.results["2"].cause
    assert result.results["2"].energy_eV is None
    frames = read(tmp_path / "opt" / "optimized.extxyz", ":")
    assert [len(frame) for frame in frames] == [9, 9, 2, 9]
    assert frames[3].get_potential_energy() == pytest.approx(result.results["3"].energy_eV, abs=1e-6)
    rows = list(csv.DictReader((tmp_path / "opt" / "structures.csv").read_text().splitlines()))
    assert [row["ended_by"] for row in rows] == ["converged", "refused", "refused", "converged"]
    values = json.loads((tmp_path / "opt" / "result.json").read_text())["values"]
    assert values["energy"]["value"][2] is None
    page = (tmp_path / "opt" / "report.html").read_text()
    assert "trajectories are not kept" in page
    assert not list((tmp_path / "opt").glob("traj*"))
    assert page.index("2 of 4 structures") < page.index("<table")


def test_nothing_that_can_be_relaxed_is_bad_input(model, tmp_path):
    with refused("species-unknown", "N"):
        optimize([molecule("N2"), molecule("NO")], model, out=tmp_path / "opt")
    with refused("structures-missing"):
        optimize([], model)
    with refused("structure-kind", "structure 1", "str"):
        optimize([molecule("H2O"), "water.xyz"], model)
    assert not (tmp_path / "opt").exists()


def test_resuming_keeps_what_has_ended_and_goes_on_with_the_rest(model, conformers, tmp_path):
    whole = optimize(conformers, model)
    first = optimize(conformers, model, steps=40, out=tmp_path / "opt")
    ended = {name for name, one in first.results.items() if one.converged}
    assert 0 < len(ended) < len(conformers)
    assert {one.ended_by for one in first.results.values()} == {"converged", "steps used up"}
    second = optimize(conformers, model, out=tmp_path / "opt", resume=True)
    assert second.converged
    for name, one in second.results.items():
        if name in ended:
            assert one.steps == first.results[name].steps
        else:
            assert one.steps > 40
        assert one.energy_eV == pytest.approx(whole.results[name].energy_eV, abs=2e-3)
    tighter = optimize(conformers, model, fmax=0.005, out=tmp_path / "opt", resume=True)
    assert max(one.fmax_eV_A for one in tighter.results.values()) < 0.005


def test_an_interrupted_run_goes_on(model, conformers, tmp_path, monkeypatch):
    from dp_sim.recipes.static.relaxation.several import together

    steps, calls = together.bfgs_steps, []

    def cut(*arguments):
        calls.append(1)
        if len(calls) == 35:
            raise KeyboardInterrupt
        return steps(*arguments)

    monkeypatch.setattr(together, "bfgs_steps", cut)
    with pytest.raises(KeyboardInterrupt):
        optimize(conformers, model, out=tmp_path / "opt")
    monkeypatch.undo()
    left = {
        frame.info["opt_name"]: frame.info["opt_ended_by"] for frame in read(tmp_path / "opt/optimized.extxyz", ":")
    }
    assert len(left) == len(conformers)
    assert set(left.values()) == {"converged", "stopped"}
    result = optimize(conformers, model, out=tmp_path / "opt", resume=True)
    assert result.converged
    assert all(one.steps >= 28 for one in result.results.values())


def test_saddle_points_are_left_in_batches_too(model):
    """Ethanol with its hydroxyl turned to the carbon, in the mirror plane: its torsion is imaginary there."""
    trans = read(ETHANOL / "ethanol.extxyz")
    syn = trans.copy()
    syn.set_dihedral(0, 1, 2, 3, 0)
    unchecked = optimize([syn, trans], model)
    assert unchecked.structures[0].get_dihedral(0, 1, 2, 3) % 360 == pytest.approx(0, abs=0.01)
    result = optimize([syn, trans], model, check_minimum=True)
    assert [one.verdict for one in result.results.values()] == ["minimum", "minimum"]
    assert result.results["0"].energy_eV < unchecked.results["0"].energy_eV - 0.03
    assert result.results["1"].steps == unchecked.results["1"].steps


def test_other_calculators_go_one_after_another():
    """Each with its own ending: one whose evaluation fails ends the others not."""

    class FailsOnNitrogen(EMT):
        def calculate(self, atoms=None, *args, **keywords):
            if 7 in atoms.numbers and atoms.get_distance(0, 1) < 1.05:
                raise CalculationFailed("SCF not converged")
            super().calculate(atoms, *args, **keywords)

    stretched = Atoms("N2", [[0, 0, 0], [0, 0, 1.15]])
    result = optimize([molecule("H2O"), stretched, bulk("Cu", cubic=True)], FailsOnNitrogen())
    assert [one.ended_by for one in result.results.values()] == ["converged", "evaluation failed", "converged"]
    assert result.in_batches == 0
    assert "SCF not converged" in result.results["1"].cause


def test_cells_are_relaxed_in_batches(tmp_path):
    from random_model import write_random_model

    model = load_model(write_random_model(tmp_path / "model.pt"))
    crystals = []
    for a in (2.9, 3.1):
        crystal = bulk("C", "fcc", a=a, cubic=True)
        crystal.rattle(0.05, seed=3)
        crystals.append(crystal)
    settings = {"cell": True, "pressure_GPa": 20.0, "steps": 6}
    many = optimize(crystals, model, **settings)
    assert many.in_batches == 2
    for start, one in zip(crystals, many.results.values(), strict=True):
        alone = optimize(start, model, **settings)
        np.testing.assert_allclose(one.atoms.cell, alone.atoms.cell, atol=1e-7)
        assert one.stress_left_GPa == pytest.approx(alone.stress_left_GPa, rel=1e-5)
        assert not np.allclose(one.atoms.cell, start.cell, atol=1e-3)
