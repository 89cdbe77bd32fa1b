"""Saddle points: those that are known, and structures that are none."""

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, Surface, SurfaceWithHessian, at, mueller_brown, stationary
from ase import Atoms
from ase.build import add_adsorbate, fcc100, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength
from ase.io import read
from failing_calculators import WORDS, Failing
from refusals import refused

from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.saddle.ts import refine_ts
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.vib import vibrations


@pytest.mark.parametrize("name", list(SADDLES))
@pytest.mark.parametrize("kind", [Surface, SurfaceWithHessian])
def test_mueller_brown_saddles(name, kind):
    known = stationary(SADDLES[name])
    ts = refine_ts(at(*(known + np.array([0.05, -0.04]))), kind(mueller_brown), fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*known, 0], atol=1e-4)
    assert ts.energy_eV == pytest.approx(mueller_brown(*known)[0], abs=1e-6)
    # One atom of mass m: its frequencies are the roots of the eigenvalues of the analytic Hessian (and of the spring).
    values = np.sort([*np.linalg.eigvalsh(mueller_brown(*known)[2]), 1.0])
    mass = ts.atoms.get_masses()[0]
    in_cm1 = 521.4709 * np.sign(values) * np.sqrt(np.abs(values) / mass)  # sqrt(eV/Angstrom^2/amu) in cm^-1
    np.testing.assert_allclose(ts.frequencies_cm1, in_cm1, rtol=1e-3)
    assert np.linalg.norm(ts.mode) == pytest.approx(1.0)


def test_an_exact_hessian_is_asked_for_where_there_is_one():
    calculator = SurfaceWithHessian(mueller_brown)
    ts = refine_ts(at(*(stationary(SADDLES["BC"]) + 0.03)), calculator, fmax=1e-3)
    assert ts.converged, ts.cause
    assert calculator.hessians >= 2, "one to start with, one for the frequencies"
    assert calculator.evaluations <= ts.steps + 2, "differences of forces would need 6 more for each Hessian"


def test_hcn_from_the_climbing_image(tmp_path):
    tblite = pytest.importorskip("tblite.ase", reason="the molecular reference needs tblite")
    calculator = tblite.TBLite(method="GFN2-xTB", verbosity=0)
    hcn = Atoms("HCN", positions=[[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", positions=[[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    path = find_path(hcn, hnc, calculator, fmax=0.1)
    ts = refine_ts(path.highest, calculator, fmax=1e-3, out=tmp_path / "ts")
    assert ts.converged, ts.cause
    assert len(ts.frequencies_cm1) == 3
    assert ts.overlap > 0.5, "the highest image carries the direction of its path"
    assert (ts.frequencies_cm1 < 0).tolist() == [True, False, False]
    # The hydrogen moves from one end to the other: the mode is mostly its motion.
    assert np.argmax(np.linalg.norm(ts.mode, axis=1)) == 0
    assert ts.energy_eV == pytest.approx(path.energies.max(), abs=5e-3)
    saved = read(tmp_path / "ts/ts.extxyz")
    assert saved.get_potential_energy() == pytest.approx(ts.energy_eV)
    assert len(read(tmp_path / "ts/mode.extxyz", index=":")) == 20


def test_a_minimum_is_no_saddle_point():
    minimum = refine_ts(at(*stationary(MINIMA["C"])), Surface(mueller_brown))
    assert not minimum.converged
    assert minimum.n_imaginary == 0
    assert "no imaginary frequency" in minimum.cause


def test_a_hilltop_without_a_saddle_point_beside_it_is_told():
    def hilltop(x, y):
        return -(x**2) - y**2, np.array([-2 * x, -2 * y]), np.diag([-2.0, -2.0])

    maximum = refine_ts(at(0, 0), Surface(hilltop), steps=20)
    assert not maximum.converged
    assert "2 imaginary frequencies" in maximum.cause


def test_too_few_steps_have_a_cause():
    short = refine_ts(at(*(stationary(SADDLES["AC"]) + 0.1)), Surface(mueller_brown), steps=0)
    assert not short.converged
    assert "0.01 was asked for; allow more steps" in short.cause


@pytest.mark.parametrize(
    ("option", "refusal"), [({"fmax": 0}, ("setting-out-of-range",)), ({"steps": -1}, ("setting-out-of-range",))]
)
def test_keywords_out_of_range(option, refusal, tmp_path):
    with refused(*refusal):
        refine_ts(at(0, 0), Surface(mueller_brown), out=tmp_path / "ts", **option)
    assert not (tmp_path / "ts").exists()


def test_a_constraint_whose_modes_are_not_known(tmp_path):
    atoms = Atoms("Cu3", positions=[[0, 0, 0], [2.3, 0, 0], [0, 2.3, 0]], constraint=FixBondLength(0, 1))
    with refused("constraint-unsupported", "FixBondLength"):
        refine_ts(atoms, EMT(), out=tmp_path / "ts")
    assert not (tmp_path / "ts").exists()


def test_a_failed_evaluation_shortens_the_step():
    known = stationary(SADDLES["BC"])
    guess = at(*(known + np.array([0.05, -0.04])))
    usual = Surface(mueller_brown)
    refine_ts(guess, usual, fmax=1e-4)
    failing = Failing(Surface(mueller_brown), lambda number, atoms: number == 5)  # the first step after the Hessian
    ts = refine_ts(guess, failing, fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*known, 0], atol=1e-4)
    assert failing.evaluations > usual.evaluations


def test_a_calculator_that_goes_on_failing_ends_the_search_with_its_files(tmp_path):
    guess = at(*(stationary(SADDLES["BC"]) + np.array([0.05, -0.04])))
    ts = refine_ts(guess, Failing(Surface(mueller_brown), lambda number, atoms: number > 4), out=tmp_path / "ts")
    assert not ts.converged
    assert WORDS in ts.cause
    np.testing.assert_array_equal(ts.atoms.positions, guess.positions)
    assert ts.frequencies_cm1 is None
    assert WORDS in (tmp_path / "ts" / "report.html").read_text()
    assert read(tmp_path / "ts" / "ts.extxyz").get_potential_energy() == pytest.approx(ts.energy_eV)


def egg_box(x, y):
    """Minima at odd multiples of pi in both, maxima at even ones, saddle points of 1 eV - 2 eV and 2 eV - 1 eV."""
    gradient = np.array([-np.sin(x), -2 * np.sin(y)])
    return np.cos(x) + 2 * np.cos(y), gradient, np.diag([-np.cos(x), -2 * np.cos(y)])


@pytest.mark.parametrize("method", ["hessian", "dimer"])
@pytest.mark.parametrize(("direction", "saddle", "energy"), [((1, 0), (0, np.pi), 1 - 2), ((0, 1), (np.pi, 0), 2 - 1)])
def test_it_climbs_along_the_path(direction, saddle, energy, method):
    """From the same slope, beside a minimum between two saddle points, to either."""
    guess = at(np.pi - 1.3, np.pi - 1.3)
    guess.arrays["tangent"] = np.array([[*direction, 0], [0, 0, 0]], dtype=float)
    ts = refine_ts(guess, Surface(egg_box), fmax=1e-3, method=method)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*saddle, 0], atol=2e-3)
    assert ts.energy_eV == pytest.approx(energy, abs=1e-5)
    assert ts.overlap == pytest.approx(1.0, abs=1e-3)


def test_a_mode_across_the_path_is_told():
    guess = at(*stationary(SADDLES["BC"]))
    guess.arrays["tangent"] = np.array([[0.0, 0.0, 1.0], [0, 0, 0]])
    ts = refine_ts(guess, Surface(mueller_brown))
    assert ts.overlap == pytest.approx(0.0, abs=1e-3)
    assert any("overlap 0.00" in note for note in ts.provenance["notes"])


def test_from_a_saddle_point_of_second_order_it_goes_on_to_one_of_first():
    ts = refine_ts(at(0, 0), SurfaceWithHessian(egg_box), fmax=1e-3)
    assert ts.converged, ts.cause
    assert ts.n_imaginary == 1
    assert ts.energy_eV == pytest.approx(1.0, abs=1e-4)  # the steeper way, y, is still climbed: it was the lowest mode


def test_a_small_force_along_a_soft_mode_is_not_the_end():
    """0.008 eV/Angstrom against 0.01 eV/Angstrom^2: the saddle point is 0.8 Angstrom away."""

    def soft(x, y):
        return -2 * x**2 + 0.008 * y + 0.005 * y**2, np.array([-4 * x, 0.008 + 0.01 * y]), np.diag([-4.0, 0.01])

    ts = refine_ts(at(0, 0), Surface(soft))
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0, :2], [0, -0.8], atol=0.03)


class Pairs(Surface):
    """Two stiff pairs of atoms, and between their middles a hill as soft as it is told, at 13 Angstrom."""

    def __init__(self, softness):
        super().__init__(mueller_brown)
        self.softness = softness

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        Calculator.calculate(self, atoms, properties, system_changes)
        r = self.atoms.positions
        energy, forces = 0.0, np.zeros((4, 3))
        for i, j in ((0, 1), (2, 3)):
            bond = r[j] - r[i]
            length = np.linalg.norm(bond)
            energy += 15 * (length - 0.74) ** 2
            forces[i] += 30 * (length - 0.74) * bond / length
            forces[j] -= 30 * (length - 0.74) * bond / length
        between = (r[2] + r[3] - r[0] - r[1]) / 2
        distance = np.linalg.norm(between)
        energy -= self.softness * (distance - 13) ** 2 / 2
        pull = self.softness * (distance - 13) * between / distance / 2
        forces += np.array([-pull, -pull, pull, pull])
        self.results = {"energy": energy, "forces": forces}


def two_pairs(distance):
    return Atoms("H4", [[0, 0, 0], [0, 0.74, 0], [distance, 0, 0], [distance, 0.74, 0]])


def test_fragments_that_drift_are_no_saddle_point():
    ts = refine_ts(two_pairs(13), Pairs(4e-4))
    assert -60 < ts.frequencies_cm1[0] < -10
    assert not ts.converged
    assert "13.0 Angstrom apart" in ts.cause
    assert "H2 and H2" in ts.cause


def test_a_search_ends_where_the_structure_comes_apart():
    def falls_apart(atoms):
        return refine_ts(atoms, Pairs(0.3), steps=60)

    ts = falls_apart(two_pairs(2.5))
    assert not ts.converged
    assert "comes apart" in ts.cause
    assert ts.steps < 60
    assert ts.frequencies_cm1 is None


@pytest.mark.parametrize("symbols", ["Cu", "Cu2", "Cu3"])
def test_one_atom_two_atoms_and_a_line(symbols, tmp_path):
    atoms = Atoms(symbols, [[0, 0, 2.3 * number] for number in range(len(Atoms(symbols)))])
    if len(atoms) == 1:
        with refused("saddle-without-motion", "Cu", "one atom"):
            refine_ts(atoms, EMT(), out=tmp_path / "ts")
        assert not (tmp_path / "ts").exists()
        return
    ts = refine_ts(atoms, EMT(), out=tmp_path / "ts")
    assert ts.cause or ts.n_imaginary == 1
    assert (tmp_path / "ts" / "report.html").is_file()


def test_one_atom_in_a_field_is_no_atom_alone():
    """The origin counts for this surface, so that the translations are found to cost energy."""
    atom = at(*(stationary(SADDLES["AC"]) + 0.03))[:1]
    atom.set_constraint()
    ts = refine_ts(atom, Surface(mueller_brown), fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0, :2], stationary(SADDLES["AC"]), atol=1e-4)


def test_ammonia_needs_no_differences_along_motions_of_the_whole():
    """Six of its twelve directions: one evaluation each, and two at the end; the modes are those of all twelve."""
    tblite = pytest.importorskip("tblite.ase", reason="the molecular reference needs tblite")
    planar = molecule("NH3")
    planar.positions[:, 2] *= 0.2
    planar.rotate(40, (1, 2, 3))
    ts = refine_ts(planar, tblite.TBLite(method="GFN2-xTB", verbosity=0), fmax=1e-3)
    assert ts.converged, ts.cause
    assert ts.cost.evaluations <= 2 + 6 + ts.steps + 12
    assert ts.cost.hessians == 0
    full = vibrations(ts.atoms, tblite.TBLite(method="GFN2-xTB", verbosity=0))
    np.testing.assert_allclose(ts.frequencies_cm1, full.frequencies_cm1, atol=2)  # noise of the SCF
    np.testing.assert_allclose(ts.hessian, full.hessian, atol=0.05)
    assert abs(np.vdot(ts.mode, full.modes[0])) == pytest.approx(1.0, abs=1e-3)


def test_hop_of_gold_on_aluminium():
    """Over the bridge between two hollows: 0.3745 eV, as in the tutorial of ASE and G. Henkelman's papers."""

    def slab(where):
        atoms = fcc100("Al", size=(2, 2, 3))
        add_adsorbate(atoms, "Au", 1.7, where)
        atoms.center(axis=2, vacuum=4.0)
        atoms.set_constraint(FixAtoms([atom.index for atom in atoms if atom.tag > 1]))
        return atoms

    hollow = optimize(slab("hollow"), EMT(), fmax=1e-3)
    guess = slab("bridge")
    guess.positions[-1] += [0.1, 0.05, 0.1]
    ts = refine_ts(guess, EMT(), fmax=1e-3)
    assert ts.converged, ts.cause
    assert ts.energy_eV - hollow.energy_eV == pytest.approx(0.3745, abs=1e-3)
    np.testing.assert_array_equal(ts.atoms.positions[:8], guess.positions[:8])


def test_a_search_goes_on_where_it_ended(tmp_path):
    guess = at(*(stationary(SADDLES["AC"]) + np.array([0.12, -0.1])))
    whole = refine_ts(guess, Surface(mueller_brown), fmax=1e-4)
    first = refine_ts(guess, Surface(mueller_brown), fmax=1e-4, steps=2, out=tmp_path / "ts")
    assert not first.converged
    calculator = Surface(mueller_brown)
    second = refine_ts(guess, calculator, fmax=1e-4, out=tmp_path / "ts", resume=True)
    assert second.converged, second.cause
    assert second.steps == whole.steps
    np.testing.assert_allclose(second.atoms.positions, whole.atoms.positions, atol=1e-7)
    assert calculator.evaluations < whole.cost.evaluations - 3, "the Hessian of the start is not computed again"


def test_numbers_that_are_none_shorten_the_step():
    class Holes(Surface):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if self.evaluations == 5:
                self.results["energy"] = np.nan

    known = stationary(SADDLES["BC"])
    ts = refine_ts(at(*(known + np.array([0.05, -0.04]))), Holes(mueller_brown), fmax=1e-4)
    assert ts.converged, ts.cause
    np.testing.assert_allclose(ts.atoms.positions[0], [*known, 0], atol=1e-4)


def test_a_direction_of_another_shape(tmp_path):
    guess = at(*stationary(SADDLES["AC"]))
    guess.arrays["tangent"] = np.ones((2, 2))
    with refused("tangent-invalid", "tangent", "(2, 2)"):
        refine_ts(guess, Surface(mueller_brown), out=tmp_path / "ts")
    assert not (tmp_path / "ts").exists()


def test_the_page_moves_the_mode(tmp_path):
    ts = refine_ts(at(*stationary(SADDLES["AC"])), SurfaceWithHessian(mueller_brown), out=tmp_path / "ts")
    page = (tmp_path / "ts" / "report.html").read_text()
    assert 'id="view-data"' in page
    assert ts.quantities()["hessian_evaluations"].value == ts.cost.hessians >= 1
    for name in ("modes.molden", "modes.xyz", "mode.extxyz", "spectrum.png"):
        assert (tmp_path / "ts" / name).stat().st_size > 100
