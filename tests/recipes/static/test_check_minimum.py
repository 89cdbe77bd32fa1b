"""`optimize(..., check_minimum=True)`: saddle points are left, minima are told, and what cannot be left is said."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed, Calculator
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
    assert page.index("Minimum: no imaginary frequency") < page.index("<table")
    assert f"{left:.1f} cm" in page


def eclipsed_ethane() -> Atoms:
    """D3h: the hydrogens of one carbon behind those of the other."""
    angles = np.deg2rad([0, 120, 240])
    ring = [[np.cos(angle), np.sin(angle)] for angle in angles]
    places = [[0, 0, 0.765], [0, 0, -0.765]]
    places += [[1.02 * x, 1.02 * y, side * 1.16] for side in (1, -1) for x, y in ring]
    return Atoms("C2H6", places)


def planar_methylamine() -> Atoms:
    """The nitrogen and its three neighbours in the mirror plane of the methyl group."""
    return Atoms(
        "CNH2H3",
        [[0, 0, 0], [1.44, 0, 0], [1.94, 0.87, 0], [1.94, -0.87, 0], [-0.37, 1.03, 0], [-0.37, -0.51, 0.89],
         [-0.37, -0.51, -0.89]],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "lowered_eV"),
    # Barriers at GFN2-xTB: rotation of ethane 2.4 kcal/mol, inversion of methylamine's nitrogen 7.
    [(eclipsed_ethane, 0.08), (planar_methylamine, 0.2)],
)
def test_planted_saddles_end_in_minima_that_vibrations_confirm(start, lowered_eV):
    held = optimize(start(), gfn2())
    assert held.converged
    hint = str(held.quantities()["verdict"])
    assert "saddle point" in hint
    assert "check_minimum" in hint
    assert vibrations(held.atoms, gfn2()).n_imaginary > 0
    result = optimize(start(), gfn2(), check_minimum=True)
    assert result.converged
    assert result.verdict == "minimum"
    assert result.energy_eV < held.energy_eV - lowered_eV
    # One bound for both: what opt calls a minimum, vib calls one.
    seen = vibrations(result.atoms, gfn2())
    assert (seen.n_imaginary, seen.verdict) == (0, "minimum")
    np.testing.assert_allclose(seen.frequencies_cm1, result.frequencies_cm1, atol=0.5)


def test_the_hint_names_what_forces_cannot_break():
    flat = str(optimize(planar_ammonia(), gfn2()).quantities()["verdict"])
    assert "in a plane" in flat
    bent = molecule("H2O2")  # C2
    twisted = bent.copy()
    twisted.positions += np.random.default_rng(1).normal(scale=0.2, size=(4, 3))
    assert "plane" not in str(optimize(twisted, EMT(), steps=0).quantities()["verdict"])
    line = Atoms("CO2", [[0, 0, 0], [0, 0, 1.2], [0, 0, -1.2]])
    assert "on a line" in str(optimize(line, EMT()).quantities()["verdict"])


def test_a_calculator_that_fails_on_both_sides_of_a_saddle_ends_there():
    class Narrow(Surface):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            if np.abs(atoms.positions[0, 0]) > 0.05:
                raise CalculationFailed("SCF not converged")
            super().calculate(atoms, properties, system_changes)

    result = optimize(Atoms("Ar"), Narrow(1.0, (1.0, -1.0, -1.0)), check_minimum=True)
    assert not result.converged
    assert result.ended_by == "evaluation failed"
    assert "saddle point" in result.cause
    assert "SCF not converged" in result.cause
    assert result.verdict == "transition state"


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
