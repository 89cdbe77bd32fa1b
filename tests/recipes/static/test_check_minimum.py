"""`optimize(..., check_minimum=True)`: saddle points are left, minima are told, and what cannot be left is said."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixBondLength
from refusals import refused

from dp_sim.recipes import optimize, vibrations


def gfn2():
    return pytest.importorskip("tblite.ase", reason="tblite is an optional package").TBLite(verbosity=0)


def planar_ammonia() -> Atoms:
    return Atoms("NH3", [[0, 0, 0], [1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]])


def test_planar_ammonia_ends_pyramidal_when_asked(tmp_path):
    flat = optimize(planar_ammonia(), gfn2())
    assert flat.converged
    assert np.ptp(flat.atoms.positions[:, 2]) < 1e-3
    assert "check_minimum" in str(flat.quantities()["verdict"])
    result = optimize(planar_ammonia(), gfn2(), check_minimum=True, out=tmp_path / "opt")
    assert result.converged
    assert result.verdict == "minimum"
    assert np.ptp(result.atoms.positions[:, 2]) > 0.3
    assert result.energy_eV < flat.energy_eV - 0.1
    (left,) = result.saddles_left_cm1
    assert left == pytest.approx(vibrations(flat.atoms, gfn2()).frequencies_cm1[0], abs=20)
    page = (tmp_path / "opt" / "report.html").read_text()
    assert page.index("minimum: no imaginary frequency") < page.index("<table")
    assert f"{left:.2f}"[:4] in page


class Surface(Calculator):
    """One atom on E(x, y, z) = f(x) + f(y) + f(z) with f(u) = a u^4 / 4 - b u^2 / 2."""

    implemented_properties = ("energy", "forces")

    def __init__(self, a: float, b: tuple[float, float, float]):
        super().__init__()
        self.a, self.b = a, np.array(b)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        u = atoms.positions
        self.results = {
            "energy": float(np.sum(self.a * u**4 / 4 - self.b * u**2 / 2)),
            "forces": -(self.a * u**3 - self.b * u),
        }


def test_a_saddle_of_second_order_is_left_along_both_ways():
    """Minima at u = sqrt(b / a) along x and y."""
    result = optimize(Atoms("Ar"), Surface(1.0, (1.0, 2.0, -1.0)), check_minimum=True, fmax=1e-4)
    assert result.verdict == "minimum"
    assert len(result.saddles_left_cm1) == 1
    np.testing.assert_allclose(np.abs(result.atoms.positions[0]), [1, np.sqrt(2), 0], atol=1e-3)


def test_a_minimum_costs_no_further_steps():
    once = optimize(molecule("H2O"), EMT())
    checked = optimize(molecule("H2O"), EMT(), check_minimum=True)
    assert checked.verdict == "minimum"
    assert checked.steps == once.steps
    assert checked.saddles_left_cm1 == ()
    assert len(checked.frequencies_cm1) == 3


def test_what_cannot_be_left_is_not_converged():
    """Along x the maxima of a cosine follow each other at 0.1 Angstrom: who leaves one lands on the next."""

    class Ridge(Surface):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            super().calculate(atoms, properties, system_changes)
            x = atoms.positions[0, 0]
            self.results["energy"] = float(np.cos(20 * np.pi * x))
            self.results["forces"] = np.array([[20 * np.pi * np.sin(20 * np.pi * x), 0.0, 0.0]])

    result = optimize(Atoms("Ar"), Ridge(0.0, (0, 0, 0)), check_minimum=True)
    assert not result.converged
    assert result.verdict == "transition state"
    assert "saddle point" in result.cause
    assert len(result.saddles_left_cm1) == 3


def test_constraints_that_modes_cannot_keep_are_refused_before_any_work(tmp_path):
    water = molecule("H2O")
    water.set_constraint(FixBondLength(0, 1))
    with refused("constraint-unsupported", "FixBondLength"):
        optimize(water, EMT(), check_minimum=True, steps=0, out=tmp_path / "opt")
    assert not (tmp_path / "opt").exists()
