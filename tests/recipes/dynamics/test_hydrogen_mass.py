"""Heavier hydrogens: masses move within a molecule, averages stay."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics.hydrogen_mass import with_hydrogen_mass


def test_mass_moves_from_the_bonded_atom_also_through_the_wall():
    water = molecule("H2O")
    water.set_cell([6.0, 6.0, 6.0])
    water.pbc = True
    water.wrap()
    heavier = with_hydrogen_mass(water, 4.0)
    assert heavier.get_masses() == pytest.approx([18.015 - 8.0, 4.0, 4.0], abs=1e-3)
    assert water.get_masses()[1] == pytest.approx(1.008)  # the argument is left alone
    assert np.array_equal(with_hydrogen_mass(heavier, 4.0).get_masses(), heavier.get_masses())


def test_ethanol_keeps_its_mass():
    ethanol = molecule("CH3CH2OH")
    heavier = with_hydrogen_mass(ethanol, 3.0)
    assert heavier.get_masses().sum() == pytest.approx(ethanol.get_masses().sum())
    hydroxyl = with_hydrogen_mass(ethanol, 3.0).get_masses()[ethanol.numbers == 8]
    assert hydroxyl == pytest.approx(15.999 - (3.0 - 1.008))  # one hydrogen's worth from the oxygen


def test_the_time_step_follows_and_the_temperature_stays():
    ethanol = molecule("CH3CH2OH")
    settings = {"temperature_K": 300.0, "steps": 1000, "friction_per_ps": 50.0, "progress": False}
    result = run_nvt(ethanol, EMT(), hydrogen_mass_amu=3.5, **settings)
    assert result.timestep_fs == 1.0
    assert result.atoms.get_masses()[ethanol.numbers == 1] == pytest.approx(np.full(6, 3.5))
    kinetic = np.mean([row.kinetic_eV for row in result.rows[30:]])
    assert kinetic == pytest.approx(27 / 2 * units.kB * 300.0, rel=0.15)


@pytest.mark.parametrize(
    ("atoms", "mass", "refusal"),
    [
        (molecule("H2"), 4.0, ("hydrogen-mass-impossible",)),
        (molecule("CH4"), 4.0, ("hydrogen-mass-impossible",)),
        (molecule("H2O"), 0.5, ("setting-out-of-range", "1", "0.5")),
        (molecule("H2O"), float("nan"), ("setting-out-of-range",)),
        (Atoms("OH", [[0, 0, 0], [0, 0, 3]]), 4.0, ("hydrogen-mass-impossible", "1")),
    ],
)
def test_bad_input(atoms, mass, refusal):
    with refused(*refusal):
        with_hydrogen_mass(atoms, mass)
