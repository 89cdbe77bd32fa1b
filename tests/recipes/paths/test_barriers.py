"""The model's error of a barrier: that of the differences in each member of a committee."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from ase.build import molecule

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes.paths.barriers import BarrierResult, with_model_errors
from tests.support.random_model import write_random_model


@dataclass(frozen=True, kw_only=True)
class Levels(BarrierResult):
    recipe: ClassVar[str] = "levels"
    title: ClassVar[str] = "Levels"
    levels: tuple[float, float, float]

    def levels_eV(self) -> tuple[float, float, float]:
        return self.levels

    def quantities(self):
        return self.barrier_quantities()


def test_errors_that_both_ends_share_are_not_in_a_barrier(tmp_path):
    files = [write_random_model(tmp_path / f"{seed}.pt", seed=seed, species=("H", "O")) for seed in (1, 2, 3)]
    structures = [molecule("H2O2") for _ in range(3)]
    for number, atoms in enumerate(structures):
        atoms.rattle(0.05 * number, seed=number)
    energies = np.array([[DPCalculator(file).get_potential_energy(one) for one in structures] for file in files])
    plain = Levels(converged=True, levels=tuple(energies.mean(axis=0)))
    found = with_model_errors(plain, structures, DPCalculator(files))
    numbers = found.quantities()
    differences = {"barrier": (1, 0), "reverse_barrier": (1, 2), "reaction_energy": (2, 0)}
    for name, (level, below) in differences.items():
        spread = (energies[:, level] - energies[:, below]).std(ddof=1)
        assert numbers[name].model_error == pytest.approx(found.worth.energy.factor * spread, rel=1e-6)
    assert "raw spread of 3 members" in numbers["model_errors_from"].value
    assert with_model_errors(plain, structures, DPCalculator(files[0])) is plain
    assert plain.quantities()["barrier"].model_error is None
