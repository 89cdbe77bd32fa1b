"""Isotopes by name and mass, and those that are refused."""

import re

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.data import atomic_masses, atomic_numbers
from refusals import refused

from dp_sim.recipes.inputs.isotope_masses import MASSES
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


def test_every_name_is_near_its_mass_number_and_every_element_keeps_its_average():
    """63Cu and 65Cu weigh 62.93 and 64.93; between the lightest and the heaviest isotope is the average mass."""
    masses_of: dict[str, list[float]] = {}
    for name, mass in MASSES.items():
        if name in ("D", "T"):
            continue
        number, element = re.fullmatch(r"(\d+)([A-Z][a-z]?)", name).groups()
        assert mass == pytest.approx(int(number), abs=0.1), name
        masses_of.setdefault(element, []).append(mass)
    assert len(masses_of) > 80
    for element, masses in masses_of.items():
        assert min(masses) - 0.01 < atomic_masses[atomic_numbers[element]] < max(masses) + 0.01, element
    copper = with_isotopes(bulk("Cu", cubic=True), ["Cu=63Cu", "0=65Cu"])
    assert copper.get_masses() == pytest.approx([64.92779, 62.9296, 62.9296, 62.9296], abs=1e-4)


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
        ("H=D,O=18O", ("more than one", "--isotope H=D --isotope O=18O")),
    ],
)
def test_what_is_no_isotope_is_refused(entry, named):
    with refused("isotope-unknown", *named):
        with_isotopes(molecule("CH3OH"), [entry])
