"""Isotopes by name and mass, and those that are refused."""

import numpy as np
import pytest
from ase.build import molecule
from refusals import refused

from dp_sim.recipes.inputs.isotopes import with_isotopes


def test_elements_and_atoms_by_name_and_mass():
    methanol = molecule("CH3OH")
    heavy = with_isotopes(methanol, ["H=D", "O=18O", "C=13.00335", "3=1H"])
    symbols = np.array(methanol.get_chemical_symbols())
    assert heavy.get_masses()[symbols == "C"] == pytest.approx(13.00335)
    assert heavy.get_masses()[symbols == "O"] == pytest.approx(17.99915961)
    expected = [1.00782503 if index == 3 else 2.01410178 for index in np.flatnonzero(symbols == "H")]
    assert list(heavy.get_masses()[symbols == "H"]) == pytest.approx(expected)
    assert methanol.get_masses()[0] == pytest.approx(12.011)  # the original keeps its own


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("N=15N", ("N", "C, H, O")),
        ("6=D", ("6", "0 to 5")),
        ("H=13C", ("13C", "2H")),
        ("H=4H", ("4H",)),
        ("O=-3", ("-3",)),
        ("O=180", ("180", "15.999")),
        ("O=nan", ("nan",)),
        ("D", ("D", "WHICH=WHAT")),
    ],
)
def test_what_is_no_isotope_is_refused(entry, named):
    with refused("isotope-unknown", *named):
        with_isotopes(molecule("CH3OH"), [entry])
