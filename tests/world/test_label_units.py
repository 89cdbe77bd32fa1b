"""Units beside labels, as other programs write them: converted to eV and Angstrom, or refused by name."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from refusals import refused

from dp_sim.datasets.frames import Frame
from dp_sim.datasets.label_reading.stated_units import in_ev_and_angstrom
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks


def read(path: Path, info: dict[str, object]) -> tuple[Frame, Remarks]:
    atoms: Atoms = bulk("Cu", cubic=True)
    given = {"energy": 2.0, "stress": np.eye(3), **info}
    atoms.info.update({key: value for key, value in given.items() if value is not None})
    atoms.arrays["forces"] = np.tile([1.0, 2.0, -3.0], (4, 1))
    ase.io.write(path / "a.extxyz", atoms)
    remarks = Remarks()
    return read_all([path / "a.extxyz"], remarks=remarks)[0], remarks


def test_hartree_bohr_and_gpa_are_converted_and_named(tmp_path: Path) -> None:
    frame, remarks = read(
        tmp_path, {"energy-unit": "hartree", "force-unit": "hartree/bohr", "stress-unit": "GPa", "virial-unit": "eV"}
    )
    assert frame.energy == pytest.approx(2 * 27.211386, rel=1e-6)
    assert frame.forces is not None
    assert frame.forces[0] == pytest.approx(51.42207 * np.array([1, 2, -3]), rel=1e-6)
    assert frame.virial is not None
    assert frame.virial[0, 0] == pytest.approx(-bulk("Cu", cubic=True).get_volume() / 160.21766, rel=1e-6)
    said = " ".join(remarks.lines())
    assert all(word in said for word in ("energy-unit", "force-unit", "stress-unit"))
    assert "virial-unit" not in said


@pytest.mark.parametrize(
    ("unit", "label", "value"),
    [
        ("eV", "energy", 1.0),
        ("meV", "energy", 1e-3),
        ("kcal/mol", "energy", 0.0433641),
        ("kJ/mol", "energy", 0.01036427),
        ("Ry", "energy", 13.605693),
        ("eV/A", "forces", 1.0),
        ("eV/Angstrom", "forces", 1.0),
        ("kcal/mol/A", "forces", 0.0433641),
        ("kcal/(mol*Ang)", "forces", 0.0433641),
        ("Ha/a0", "forces", 51.42207),
        ("eV/A^3", "stress", 1.0),
        ("eV/Å**3", "stress", 1.0),
        ("eV/A3", "stress", 1.0),
        ("kbar", "stress", 1 / 1602.17663),
        ("Ha/bohr^3", "stress", 183.63153),
        ("au", "energy", 27.211386),  # dpdata
        ("a.u.", "forces", 51.42207),
        ("au/bohr^3", "stress", 183.63153),
        ("bohr", "length", units.Bohr),
    ],
)
def test_units_by_value(unit: str, label: str, value: float) -> None:
    assert in_ev_and_angstrom(unit, label, "x") == pytest.approx(value, rel=2e-6)


@pytest.mark.parametrize(
    ("info", "code", "word"),
    [
        ({"energy-unit": "furlong"}, "unit-unknown", "furlong"),
        ({"energy_unit": "eV/atom"}, "unit-unknown", "atom"),
        ({"force_unit": "hartree"}, "unit-of-another-quantity", "force_unit"),
        ({"length_unit": "bohr"}, "unit-of-positions", "bohr"),
        ({"energy-unit": "hartree", "energy_units": "eV"}, "units-conflict", "energy"),
    ],
)
def test_refused_by_name(tmp_path: Path, info: dict[str, object], code: str, word: str) -> None:
    with refused(code, word):
        read(tmp_path, info)


def test_a_virial_has_the_unit_of_the_energy_and_nothing_else_has(tmp_path: Path) -> None:
    """As dpdata takes it; forces without a unit beside energies in hartree could be in either."""
    frame, remarks = read(
        tmp_path, {"virial": 2 * np.eye(3), "stress": None, "energy-unit": "Ha", "force-unit": "Ha/a0"}
    )
    assert frame.virial is not None
    assert frame.virial[0, 0] == pytest.approx(2 * 27.211386, rel=1e-6)
    assert any("'virial' is converted as the energy is" in line for line in remarks.lines())
    with refused("unit-missing", "forces", "force-unit"):
        read(tmp_path, {"energy-unit": "Ha"})
    with refused("unit-missing", "stress", "stress-unit"):
        read(tmp_path, {"energy-unit": "Ha", "force-unit": "Ha/a0"})
    frame, _ = read(tmp_path, {"energy-unit": "eV"})
    assert frame.energy == 2.0
