"""Structures evaluated together: bands and Hessians are those of one evaluation after another."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from random_model import write_random_model
from refusals import refused

from dp_sim.model.evaluator import Model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.static.vib import vibrations


class OneByOne(DPCalculator):
    """A calculator of another class, which may do more than its model: it is asked itself."""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "random.pt")


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many structures each evaluation of a model had."""
    sizes: list[int] = []
    evaluate = Model._evaluate

    def counted(model: Model, batch: object, *others: object) -> object:
        sizes.append(len(batch.cell))  # type: ignore[attr-defined]
        return evaluate(model, batch, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Model, "_evaluate", counted)
    return sizes


def umbrella() -> tuple[Atoms, Atoms]:
    """Ammonia before and after its inversion, one hydrogen held."""
    before = molecule("NH3")
    after = before.copy()
    after.positions[0, 2] = 2 * before.positions[1, 2] - before.positions[0, 2]
    before.set_constraint(FixAtoms([1]))
    return before, after


def test_a_band(model_file: Path, batches: list[int]) -> None:
    settings = {"images": 7, "steps": 6, "relax_ends": False, "align": False, "progress": False}
    alone = find_path(*umbrella(), OneByOne(model_file), **settings)
    assert set(batches) == {1}
    together = find_path(*umbrella(), DPCalculator(model_file), **settings)
    assert set(batches) == {1, 5}
    assert together.steps == alone.steps > 0
    np.testing.assert_allclose(together.energies, alone.energies, rtol=1e-10)
    assert together.largest_force == pytest.approx(alone.largest_force, rel=1e-6)
    for one, other in zip(together.images, alone.images, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-8)
        again = one.copy()
        again.calc = DPCalculator(model_file)
        np.testing.assert_allclose(one.get_forces(), again.get_forces(), atol=1e-9)
        assert one.get_potential_energy() == pytest.approx(again.get_potential_energy(), rel=1e-12)
        assert one.constraints


def test_a_hessian_by_differences(model_file: Path, batches: list[int]) -> None:
    atoms = umbrella()[0]
    settings = {"hessian": "differences", "fmax": 1e3, "progress": False}
    alone = vibrations(atoms, OneByOne(model_file), **settings)
    assert set(batches) == {1}
    together = vibrations(atoms, DPCalculator(model_file), **settings)
    assert set(batches) == {1, 6}
    exact = vibrations(atoms, DPCalculator(model_file), fmax=1e3, progress=False).hessian
    np.testing.assert_allclose(together.hessian, exact, atol=1e-3 * np.abs(exact).max())
    np.testing.assert_allclose(together.hessian, alone.hessian, atol=1e-9 * np.abs(alone.hessian).max())


def test_any_calculator() -> None:
    """Forces on fixed atoms are there too."""
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.1, seed=0)
    crystal.set_constraint(FixAtoms([0]))
    energies, forces = zip(*energies_and_forces([crystal, crystal * (1, 1, 2)], EMT()), strict=True)
    assert energies[1] == pytest.approx(2 * energies[0], rel=1e-9)
    np.testing.assert_allclose(forces[1], np.tile(forces[0], (2, 1)), atol=1e-9)
    assert np.abs(forces[0][0]).max() > 0.1


def test_a_bad_structure_is_named(model_file: Path) -> None:
    before, after = umbrella()
    after.positions[1] = after.positions[2]
    with refused("atoms-coincide", "1", "2"):
        list(energies_and_forces([before, after], DPCalculator(model_file)))
    with refused("atoms-coincide", "7", "1", "2"):
        list(energies_and_forces([before, after], DPCalculator(model_file), ["image 6", "image 7"]))
