"""Intrinsic reaction coordinates: against an independent integration, by symmetry, and from a bad start."""

from itertools import pairwise

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, Surface, SurfaceWithHessian, at, mueller_brown, stationary
from ase import Atoms
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.optimize import BFGS
from failing_calculators import WORDS, Failing
from numpy.polynomial import Polynomial
from refusals import refused
from scipy.integrate import solve_ivp

from dp_sim.recipes.paths.irc.follow import follow_irc
from dp_sim.recipes.paths.saddle.ts import refine_ts


def steepest_descent(saddle: np.ndarray, sign: float) -> np.ndarray:
    """Points (n, 2) downhill from the saddle until the slope is small, by an adaptive Runge-Kutta integration."""
    _, modes = np.linalg.eigh(mueller_brown(*saddle)[2])

    def downhill(_, position):
        gradient = mueller_brown(*position)[1]
        return -gradient / np.linalg.norm(gradient)

    def slope(length, position):
        return np.linalg.norm(mueller_brown(*position)[1]) - 0.2 if length > 0.1 else 1.0

    slope.terminal = True
    start = saddle + sign * 1e-3 * modes[:, 0]
    return solve_ivp(downhill, (0, 2), start, rtol=1e-8, atol=1e-10, max_step=5e-3, events=slope).y.T


def test_mueller_brown_matches_a_fine_integration():
    saddle, start, dip = stationary(SADDLES["AC"]), stationary(MINIMA["A"]), stationary(MINIMA["C"])
    irc = follow_irc(at(*saddle), SurfaceWithHessian(mueller_brown), step=0.03)
    assert irc.converged, irc.cause
    np.testing.assert_allclose(irc.reactant.positions[0], [*start, 0], atol=5e-3)
    np.testing.assert_allclose(irc.product.positions[0], [*dip, 0], atol=5e-3)
    assert irc.barrier_eV == pytest.approx(mueller_brown(*saddle)[0] - mueller_brown(*start)[0], abs=1e-4)
    assert irc.reverse_barrier_eV == pytest.approx(mueller_brown(*saddle)[0] - mueller_brown(*dip)[0], abs=1e-4)
    fine = np.vstack([steepest_descent(saddle, sign) for sign in (1.0, -1.0)])
    for image in irc.images:
        point = image.positions[0, :2]
        ends = min(np.linalg.norm(point - start), np.linalg.norm(point - dip))
        if ends > 0.15:  # near a minimum both paths end anywhere
            assert np.linalg.norm(fine - point, axis=1).min() < 0.015, point


def test_the_arc_length_is_mass_weighted():
    """With masses four times as large the path is the same, twice as long in amu^1/2 Angstrom, the frequency half."""
    light = at(*stationary(SADDLES["BC"]))
    heavy = light.copy()
    heavy.set_masses(4 * light.get_masses())
    one, four = (follow_irc(atoms, Surface(mueller_brown)) for atoms in (light, heavy))
    assert four.frequency_cm1 == pytest.approx(one.frequency_cm1 / 2)
    assert len(one.images) == len(four.images)
    np.testing.assert_allclose(four.arc_length, 2 * one.arc_length, atol=1e-3)
    root_mass = np.sqrt(light.get_masses()[0])
    moved = [np.linalg.norm(b.positions - a.positions) for a, b in pairwise(one.images)]
    chords = root_mass * np.array(moved)
    assert (np.diff(one.arc_length) > chords - 1e-6).all()  # an arc is no shorter than its chord
    middle = slice(one.saddle_index - 3, one.saddle_index + 3)
    np.testing.assert_allclose(np.diff(one.arc_length)[middle], chords[middle], rtol=0.03)
    assert one.arc_length[one.saddle_index] == 0.0
    assert (np.diff(one.energies[: one.saddle_index + 1]) > 0).all()
    assert (np.diff(one.energies[one.saddle_index :]) < 0).all()


def test_steps_are_as_long_as_asked_for_in_the_masses_of_the_structure():
    """Chlorine: 35.45 amu on average, 34.97 for its most common isotope."""
    chlorine = at(*stationary(SADDLES["AC"]))
    chlorine.symbols[0] = "Cl"
    irc = follow_irc(chlorine, Surface(mueller_brown), step=0.2)
    middle = np.diff(irc.arc_length)[irc.saddle_index - 3 : irc.saddle_index + 3]
    np.testing.assert_allclose(middle, [0.2, 0.2, 0.1, 0.1, 0.2, 0.2], rtol=1e-5)  # the first of a side is half as long


@pytest.fixture
def xtb():
    tblite = pytest.importorskip("tblite.ase", reason="the molecular references need tblite")
    return tblite.TBLite(method="GFN2-xTB", verbosity=0)


def test_ammonia_falls_into_its_two_mirror_images(xtb, tmp_path):
    planar = molecule("NH3")
    planar.positions[0, 2] = planar.positions[1, 2]
    ts = refine_ts(planar, xtb, fmax=1e-3)
    assert ts.converged, ts.cause
    irc = follow_irc(ts, xtb, out=tmp_path / "irc")
    assert irc.converged, irc.cause
    assert irc.reaction_energy_eV == pytest.approx(0.0, abs=1e-4)
    relaxed = molecule("NH3")
    relaxed.calc = xtb
    BFGS(relaxed, logfile=None).run(fmax=1e-3)
    assert irc.barrier_eV == pytest.approx(ts.energy_eV - relaxed.get_potential_energy(), abs=1e-4)
    sides = []
    for end in (irc.reactant, irc.product):
        arms = end.positions[1:] - end.positions[0]
        sides.append(np.linalg.det(arms))  # its sign is the handedness of the three labelled bonds
        np.testing.assert_allclose(np.linalg.norm(arms, axis=1), relaxed.get_distances(0, [1, 2, 3]), atol=5e-3)
    assert sides[0] == pytest.approx(-sides[1], rel=0.02)
    np.testing.assert_allclose(irc.arc_length, -irc.arc_length[::-1], atol=0.01)
    saved = read(tmp_path / "irc/path.extxyz", index=":")
    np.testing.assert_allclose([image.get_potential_energy() for image in saved], irc.energies, atol=1e-6)
    assert (tmp_path / "irc/profile.png").stat().st_size > 1000


def test_fixed_atoms_stay_and_do_not_disturb_the_modes(xtb):
    """Ammonia with its hydrogens held: one atom crosses their plane, and the held atoms feel forces all the time."""
    planar = molecule("NH3")
    planar.positions[0, 2] = planar.positions[1, 2]
    planar.set_constraint(FixAtoms([1, 2, 3]))
    irc = follow_irc(planar, xtb)
    assert irc.converged, irc.cause
    for image in (*irc.images, irc.reactant, irc.product):
        np.testing.assert_array_equal(image.positions[1:], planar.positions[1:])
    assert irc.reactant.positions[0, 2] - planar.positions[0, 2] == pytest.approx(
        planar.positions[0, 2] - irc.product.positions[0, 2], abs=1e-2
    )
    assert abs(irc.reactant.positions[0, 2] - planar.positions[0, 2]) > 0.2


@pytest.mark.parametrize(
    ("start", "refusal"),
    [
        (stationary(MINIMA["B"]), ("structure-not-saddle",)),
        (stationary(SADDLES["AC"]) + 0.1, ("structure-not-stationary",)),
    ],
)
def test_a_start_that_is_no_saddle_point(start, refusal, tmp_path):
    with refused(*refusal):
        follow_irc(at(*start), Surface(mueller_brown), out=tmp_path / "irc")
    assert not (tmp_path / "irc").exists()


def test_too_few_steps_have_a_cause():
    irc = follow_irc(at(*stationary(SADDLES["AC"])), Surface(mueller_brown), step=0.03, steps=2)
    assert not irc.converged
    assert "forward side still has a force of" in irc.cause
    assert "reverse side still has a force of" in irc.cause
    assert len(irc.images) == 5


RADIUS = 1.5


def ring(x, y):
    """A round valley: E = 10 (r - R)^2 + cos(3 phi) / 4; its floor is the circle r = R, where the slope is along it."""
    r, phi = np.hypot(x, y), np.arctan2(y, x)
    along = -0.75 * np.sin(3 * phi) / r
    outward, turning = np.array([x, y]) / r, np.array([-y, x]) / r
    gradient = 20 * (r - RADIUS) * outward + along * turning
    second = -2.25 * np.cos(3 * phi) / r**2 + 20 * (r - RADIUS) / r
    mixed = 0.75 * np.sin(3 * phi) / r**2
    axes = np.array([outward, turning])
    hessian = axes.T @ np.array([[20.0, mixed], [mixed, second]]) @ axes
    return 10 * (r - RADIUS) ** 2 + np.cos(3 * phi) / 4, gradient, hessian


@pytest.mark.parametrize("kind", [Surface, SurfaceWithHessian])
@pytest.mark.parametrize(("step", "off"), [(None, 6e-3), (0.03, 2e-3)])
def test_along_a_circle_energy_and_arc_are_known(kind, step, off):
    """From phi = 0 to pi/3 the path has the curvature 1/R: E(s) = cos(3 s / (R sqrt(m))) / 4 with s = sqrt(m) R phi."""
    start = at(RADIUS, 0.0)
    root_mass = np.sqrt(start.get_masses()[0])
    irc = follow_irc(start, kind(ring), step=step, fmax=0.02)
    assert irc.converged, irc.cause
    assert len(irc.images) > 20
    places = np.array([image.positions[0, :2] for image in irc.images])
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), RADIUS, atol=off)
    turned = np.sign(places[0, 1]) * np.arctan2(places[:, 1], places[:, 0])  # negative s is where the first image is
    np.testing.assert_allclose(-irc.arc_length, root_mass * RADIUS * turned, atol=0.02)
    np.testing.assert_allclose(irc.energies, np.cos(3 * irc.arc_length / (RADIUS * root_mass)) / 4, atol=5e-3)
    for end in (irc.reactant, irc.product):
        assert np.linalg.norm(end.positions[0, :2]) == pytest.approx(RADIUS, abs=1e-3)
        assert abs(np.arctan2(*end.positions[0, 1::-1])) == pytest.approx(np.pi / 3, abs=0.02)


def test_the_surface_of_the_circle_is_right():
    place, small = np.array([1.1, 0.7]), 1e-5
    _, gradient, hessian = ring(*place)
    for axis in (0, 1):
        ahead, behind = (ring(*(place + sign * small * np.eye(2)[axis])) for sign in (1, -1))
        assert (ahead[0] - behind[0]) / (2 * small) == pytest.approx(gradient[axis], abs=1e-7)
        np.testing.assert_allclose((ahead[1] - behind[1]) / (2 * small), hessian[axis], atol=1e-6)


def test_a_saddle_point_of_second_order_is_refused(tmp_path):
    def hilltop(x, y):
        return -(x**2) - y**2, np.array([-2 * x, -2 * y]), np.diag([-2.0, -2.0])

    with refused("structure-not-saddle", "2 imaginary frequencies"):
        follow_irc(at(0, 0), Surface(hilltop), out=tmp_path / "irc")
    assert not (tmp_path / "irc").exists()


def test_an_end_without_a_bottom_is_not_converged():
    """Downhill for ever on one side: E = x - x^3 / 3 with a spring along y, from its maximum at x = 1."""

    def slide(x, y):
        return x - x**3 / 3 + 2 * y**2, np.array([1 - x**2, 4 * y]), np.diag([-2 * x, 4.0])

    irc = follow_irc(at(1, 0), Surface(slide), steps=15)
    assert not irc.converged
    assert "after 15 steps" in irc.cause
    assert not irc.ends_are_minima


def test_a_plateau_on_the_way_is_not_its_end():
    """Slope x (9 - x^2) ((x^2 - 2.25)^2 + 0.2) / 100: 0.02 eV/Angstrom at x = 1.5, which is no minimum; x = 3 is."""
    slope = Polynomial([0, 9, 0, -1]) * (Polynomial([-2.25, 0, 1]) ** 2 + 0.2) / 100
    energy, bend = -slope.integ(), -slope.deriv()

    def shelf(x, y):
        return energy(x) + y**2, np.array([-slope(x), 2 * y]), np.diag([bend(x), 2.0])

    for kind in (Surface, SurfaceWithHessian):
        irc = follow_irc(at(0, 0), kind(shelf))
        assert irc.converged, irc.cause
        assert irc.notes == ()
        np.testing.assert_allclose([abs(irc.images[k].positions[0, 0]) for k in (0, -1)], 3, atol=0.1)
        np.testing.assert_allclose(np.abs([irc.reactant.positions[0, 0], irc.product.positions[0, 0]]), 3, atol=0.01)


def test_an_end_on_a_ridge_goes_on_to_a_minimum():
    """The path from the origin runs along y = 0 onto a saddle point at x = 1, where two valleys part."""

    def fork(x, y):
        energy = (x**2 - 1) ** 2 + y**2 * (0.5 - x**2) + y**4
        gradient = np.array([4 * x * (x**2 - 1) - 2 * x * y**2, 2 * y * (0.5 - x**2) + 4 * y**3])
        mixed = -4 * x * y
        return energy, gradient, np.array([[12 * x**2 - 4 - 2 * y**2, mixed], [mixed, 1 - 2 * x**2 + 12 * y**2]])

    irc = follow_irc(at(0, 0), SurfaceWithHessian(fork))
    assert irc.converged, irc.cause
    assert irc.ends_are_minima
    for end in (irc.reactant, irc.product):
        x, y, _ = end.positions[0]
        assert np.abs(fork(x, y)[1]).max() < 0.011
        assert abs(y) > 0.3


def test_ends_are_compared_with_those_expected(xtb, tmp_path):
    """Ammonia: either mirror image is the same molecule once hydrogens are exchanged; a stretched one is not."""
    planar = molecule("NH3")
    planar.positions[:, 2] = planar.positions[1, 2]
    ts = refine_ts(planar, xtb, fmax=1e-3)
    known = follow_irc(ts, xtb)
    write(tmp_path / "up.extxyz", [known.product, planar])
    broken = known.reactant.copy()
    broken.positions[1] += 2 * (broken.positions[1] - broken.positions[0])
    irc = follow_irc(ts, xtb, reactant=f"{tmp_path / 'up.extxyz'}@0", product=broken)
    assert irc.reactant_comparison.same
    assert not irc.product_comparison.same
    assert not irc.product_comparison.same_bonds
    assert not irc.converged
    assert "the product is not the one expected: other bonds" in irc.cause
    np.testing.assert_allclose(irc.reactant.positions, known.product.positions, atol=1e-2)
    with refused("ends-differ", "CH4", "H3N"):
        follow_irc(ts, xtb, product=molecule("CH4"))
    with refused("file-missing", "nowhere.xyz"):
        follow_irc(ts, xtb, product="nowhere.xyz@0")
    with refused("structures-too-many", "up.extxyz@:", "2 structures"):
        follow_irc(ts, xtb, product=f"{tmp_path / 'up.extxyz'}@:")


def test_the_hessian_of_the_search_is_not_computed_again(xtb):
    planar = molecule("NH3")
    planar.positions[:, 2] = planar.positions[1, 2]
    ts = refine_ts(planar, xtb, fmax=1e-3)
    with_it, without = follow_irc(ts, xtb), follow_irc(ts.atoms, xtb)
    assert without.cost.evaluations - with_it.cost.evaluations >= 12  # to both sides of six motions
    np.testing.assert_allclose(with_it.energies, without.energies, atol=1e-4)


def test_a_run_goes_on_behind_the_stages_that_have_ended(tmp_path):
    saddle = at(*stationary(SADDLES["AC"]))
    whole = follow_irc(saddle, Surface(mueller_brown))

    class Stopped(Failing):
        stops = True

        def calculate(self, *arguments, **keywords):
            if self.evaluations == 19 and self.stops:
                raise KeyboardInterrupt
            super().calculate(*arguments, **keywords)

    broken = Stopped(Surface(mueller_brown), lambda number, atoms: False)
    with pytest.raises(KeyboardInterrupt):
        follow_irc(saddle, broken, out=tmp_path / "irc")
    calculator = Stopped(Surface(mueller_brown), lambda number, atoms: False)
    calculator.stops = False
    resumed = follow_irc(saddle, calculator, out=tmp_path / "irc", resume=True)
    assert resumed.converged, resumed.cause
    np.testing.assert_allclose(resumed.energies, whole.energies, atol=1e-9)
    np.testing.assert_allclose(resumed.arc_length, whole.arc_length, atol=1e-9)
    assert calculator.evaluations <= whole.cost.evaluations - 15


def test_numbers_that_are_none_halve_the_step():
    class Holes(Surface):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if self.evaluations == 12:
                self.results["forces"][:] = np.nan

    irc = follow_irc(at(*stationary(SADDLES["AC"])), Holes(mueller_brown), step=0.06)
    assert irc.converged, irc.cause


def test_plots_and_tables_of_the_path(tmp_path):
    saddle = at(*stationary(SADDLES["AC"]))
    saddle.positions[1] = [0, 0, 1.0]  # near, so that the distance from it changes
    irc = follow_irc(saddle, SurfaceWithHessian(mueller_brown), out=tmp_path / "irc")
    assert irc.is_monotonic
    assert {"profile.png", "distances.png", "path.extxyz"} <= {file.name for file in (tmp_path / "irc").iterdir()}
    rows = (tmp_path / "irc/profile.csv").read_text().splitlines()
    assert rows[0] == "image,arc_amu1/2_A,energy_eV,H0-He1_A"
    assert float(rows[1].split(",")[3]) == pytest.approx(irc.images[0].get_distance(0, 1), abs=1e-4)


@pytest.mark.parametrize("option", [{"step": 0.0}, {"fmax": -1.0}, {"steps": 0}, {"step": float("nan")}])
def test_keywords_out_of_range(option, tmp_path):
    with refused("setting-out-of-range", next(iter(option))):
        follow_irc(at(*stationary(SADDLES["AC"])), Surface(mueller_brown), out=tmp_path / "irc", **option)
    assert not (tmp_path / "irc").exists()


def test_it_must_be_given_a_structure():
    with refused("structure-kind"):
        follow_irc([Atoms("H")], Surface(mueller_brown))


def test_a_failed_evaluation_halves_the_step_of_that_side():
    saddle = at(*stationary(SADDLES["AC"]))
    usual = follow_irc(saddle, Surface(mueller_brown), step=0.06)
    once = Failing(Surface(mueller_brown), lambda number, atoms: number == 12)
    irc = follow_irc(saddle, once, step=0.06)
    assert irc.converged, irc.cause
    np.testing.assert_allclose(irc.reactant.positions, usual.reactant.positions, atol=5e-3)
    np.testing.assert_allclose(irc.product.positions, usual.product.positions, atol=5e-3)
    assert len(irc.images) > len(usual.images)


def test_the_step_is_halved_more_than_once():
    saddle = at(*stationary(SADDLES["AC"]))
    thrice = Failing(Surface(mueller_brown), lambda number, atoms: number in (12, 14, 16))
    irc = follow_irc(saddle, thrice, step=0.06)
    assert irc.converged, irc.cause


def test_a_side_that_goes_on_failing_ends_with_its_last_point(tmp_path):
    """Below y = 0.55, on the side of minimum C, nothing can be evaluated."""
    saddle = at(*stationary(SADDLES["AC"]))
    wall = Failing(Surface(mueller_brown), lambda number, atoms: atoms.positions[0, 1] < 0.55)
    irc = follow_irc(saddle, wall, step=0.03, out=tmp_path / "irc")
    assert not irc.converged
    assert WORDS in irc.cause
    assert min(image.positions[0, 1] for image in irc.images) >= 0.55
    np.testing.assert_allclose(irc.reactant.positions[0], [*stationary(MINIMA["A"]), 0], atol=5e-3)
    assert WORDS in (tmp_path / "irc" / "report.html").read_text()


def test_a_side_without_a_first_point_stays_at_the_saddle_point():
    saddle = at(*stationary(SADDLES["AC"]))
    number_of_modes = 7  # evaluations at the saddle point and for its normal modes

    def far(number, atoms):
        return number > number_of_modes and np.abs(atoms.positions[0] - saddle.positions[0]).max() > 1e-4

    irc = follow_irc(saddle, Failing(Surface(mueller_brown), far), step=0.03)
    assert not irc.converged
    assert irc.cause.count(WORDS) == 2
    assert len(irc.images) == 1
