"""One evaluation: the calculator's numbers with their units."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from dp_sim.recipes import evaluate


def test_a_crystal_has_a_stress():
    copper = bulk("Cu", a=3.5, cubic=True)
    result = evaluate(copper, EMT())
    copper.calc = EMT()
    assert result.energy_eV == copper.get_potential_energy()
    np.testing.assert_array_equal(result.stress_GPa, copper.get_stress() / units.GPa)
    assert result.quantities()["energy_per_atom"].value == pytest.approx(result.energy_eV / 4)


def test_a_molecule_has_none_and_one_calculator_has_no_spread(tmp_path):
    result = evaluate(molecule("H2O"), EMT(), out=tmp_path / "eval")
    assert result.stress_GPa is None
    assert result.energy_std_eV is None
    assert (tmp_path / "eval" / "evaluated.extxyz").exists()


def test_a_committee_shows_its_spread():
    class Committee(EMT):
        def calculate(self, *arguments, **options):
            super().calculate(*arguments, **options)
            self.results |= {"energy_std": 0.25, "forces_std": np.array([[0.1, 0.2, 0.3]] * 3)}

    quantities = evaluate(molecule("H2O"), Committee()).quantities()
    assert quantities["energy_spread"].value == 0.25
    assert quantities["largest_force_spread"].value == 0.3
