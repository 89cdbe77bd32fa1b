"""Reaction paths: barriers that are known another way, and ends that make no path."""

import json

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, Surface, at, mueller_brown, stationary
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixCartesian, FixedPlane
from ase.io import read
from ase.optimize import BFGS
from failing_calculators import WORDS, Failing, cold_xtb
from refusals import refused
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from dp_sim.recipes.paths.band.chain import Left, make_band
from dp_sim.recipes.paths.band.find import find_path
from dp_sim.recipes.paths.band.resolution import hiding_leg

tblite = pytest.importorskip("tblite.ase", reason="the molecular references need tblite")


@pytest.fixture
def xtb():
    return tblite.TBLite(method="GFN2-xTB", verbosity=0)


def ammonia() -> tuple[Atoms, Atoms]:
    """Ammonia and its mirror image, the nitrogen on the other side of the three hydrogens."""
    atoms = molecule("NH3")
    other = atoms.copy()
    other.positions[0, 2] = 2 * atoms.positions[1, 2] - atoms.positions[0, 2]
    return atoms, other


def planar_energy(bond: float, calc) -> float:
    angles = 2 * np.pi * np.arange(3) / 3
    hydrogens = bond * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    return Atoms("NH3", positions=np.vstack([np.zeros(3), hydrogens]), calculator=calc).get_potential_energy()


def vacancy_hop() -> tuple[Atoms, Atoms, int]:
    """Copper with a vacancy, before and after a neighbour hops into it, and which atom hops."""
    crystal = bulk("Cu", cubic=True) * (2, 2, 2)
    hopping = int(np.argmin(crystal.get_distances(0, range(1, len(crystal)), mic=True)))
    before, after = crystal.copy(), crystal.copy()
    after.positions[hopping + 1] = crystal.positions[0]
    del before[0], after[0]
    return before, after, hopping


def adatom(offset: tuple[float, float]) -> Atoms:
    slab = fcc100("Cu", size=(2, 2, 3))
    add_adsorbate(slab, "Cu", 1.7, "hollow", offset=offset)
    slab.center(axis=2, vacuum=4.0)
    slab.info.clear()  # ASE's notes on the adsorption sites, which its own extxyz writer warns that it leaves out
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    return slab


def test_ammonia_inversion_is_the_planar_molecule_above_the_relaxed_one(xtb):
    reactant, product = ammonia()
    path = find_path(reactant, product, xtb, images=7, fmax=0.02)
    minimum = molecule("NH3")
    minimum.calc = xtb
    BFGS(minimum, logfile=None).run(fmax=1e-4)
    planar = minimize_scalar(planar_energy, bracket=(0.95, 1.0, 1.05), args=(xtb,), tol=1e-6).fun
    assert path.converged, path.cause
    assert path.barrier_eV == pytest.approx(planar - minimum.get_potential_energy(), abs=1e-4)
    assert path.reverse_barrier_eV == pytest.approx(path.barrier_eV, abs=1e-4)
    assert path.reaction_energy_eV == pytest.approx(0.0, abs=1e-4)
    assert path.highest_index == 3
    assert np.ptp(path.highest.positions @ path.highest.get_moments_of_inertia(vectors=True)[1][2]) < 0.01  # flat


@pytest.mark.parametrize("seed", [1, 2])
def test_turning_and_moving_the_product_changes_nothing(xtb, seed):
    reactant, product = ammonia()
    straight = find_path(reactant, product, xtb, images=7, fmax=0.02)
    rotation = Rotation.random(rng=np.random.default_rng(seed))
    product.positions = rotation.apply(product.positions) + np.array([3.0, -1.0, 2.0])
    turned = find_path(reactant, product, xtb, images=7, fmax=0.02)
    np.testing.assert_allclose(turned.energies, straight.energies, atol=1e-4, err_msg=str(rotation.as_quat()))
    assert turned.path_length_A[-1] == pytest.approx(straight.path_length_A[-1], abs=1e-3)


@pytest.mark.parametrize("interpolation", ["idpp", "geodesic"])
def test_atoms_that_would_pass_through_each_other_go_around(xtb, interpolation):
    """HCN and HNC lie on one line, where the hydrogen would go through an atom and no force turns it aside."""
    if interpolation == "geodesic":
        pytest.importorskip("geodesic_interpolate", reason="the geodesic first path needs geodesic-interpolate")
    hcn = Atoms("HCN", positions=[[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", positions=[[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    path = find_path(hcn, hnc, xtb, interpolation=interpolation)
    assert path.converged, path.cause
    # Energies of the three stationary points with GFN2-xTB, each optimised on its own.
    energies = []
    for atoms in (hcn, hnc):
        atoms.calc = xtb
        BFGS(atoms, logfile=None).run(fmax=1e-3)
        energies.append(atoms.get_potential_energy())
    assert path.reaction_energy_eV == pytest.approx(energies[1] - energies[0], abs=1e-3)
    assert 60 < path.highest.get_angle(0, 1, 2) < 120
    assert not path.intermediates


def test_vacancy_hop_is_symmetric_and_matches_the_constrained_midpoint():
    before, after, hopping = vacancy_hop()
    path = find_path(before, after, EMT(), images=7, fmax=0.01)
    relaxed, middle = before.copy(), before.copy()
    middle.positions[hopping] = (before.positions[hopping] + after.positions[hopping]) / 2
    middle.set_constraint(FixAtoms([hopping]))  # by symmetry no force acts on it there
    for atoms in (relaxed, middle):
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=1e-3)
    assert path.converged, path.cause
    assert path.barrier_eV == pytest.approx(middle.get_potential_energy() - relaxed.get_potential_energy(), abs=1e-3)
    assert path.reverse_barrier_eV == pytest.approx(path.barrier_eV, abs=1e-4)


def test_a_product_written_in_another_periodic_image_gives_the_same_path():
    before, after, _ = vacancy_hop()
    near = find_path(before, after, EMT(), images=5)
    after.positions[3] += after.cell[0] - after.cell[2]
    far = find_path(before, after, EMT(), images=5)
    np.testing.assert_allclose(far.energies, near.energies, atol=1e-6)
    assert far.path_length_A[-1] == pytest.approx(near.path_length_A[-1], abs=1e-6)


def test_adatom_hop_matches_a_scan_with_the_adatom_held(tmp_path):
    start, end = adatom((0, 0)), adatom((1, 0))
    path = find_path(start, end, EMT(), images=5, fmax=0.02, out=tmp_path / "run")
    scan = []
    for fraction in (0.0, 0.4, 0.5, 0.6):
        atoms = start.copy()
        atoms.positions[-1] += fraction * (end.positions[-1] - start.positions[-1])
        held = FixCartesian([len(atoms) - 1], mask=(True, True, False))  # only its height is free
        atoms.set_constraint([*atoms.constraints, held])
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=2e-3)
        scan.append(atoms.get_potential_energy())
    assert np.argmax(scan) == 2
    assert path.converged, path.cause
    assert path.barrier_eV == pytest.approx(max(scan) - scan[0], abs=2e-3)
    fixed = start.get_tags() > 1
    for image in path.images:
        np.testing.assert_array_equal(image.positions[fixed], start.positions[fixed])
        alone = image.copy()
        alone.calc = EMT()
        kept, whole = (atoms.get_forces(apply_constraint=False) for atoms in (image, alone))
        np.testing.assert_allclose(kept, whole, atol=1e-12)  # those on fixed atoms too
        assert np.abs(kept[fixed]).max() > 0.1


def test_mueller_brown_saddle_and_intermediate(tmp_path):
    start, end = (stationary(MINIMA[name]) for name in "AB")
    options = {"images": 15, "fmax": 0.01, "interpolation": "linear", "out": tmp_path, "overwrite": True}
    path = find_path(at(*start), at(*end), Surface(mueller_brown), **options)
    saddle = stationary(SADDLES["AC"])
    assert path.converged, path.cause
    np.testing.assert_allclose(path.highest.positions[0], [*saddle, 0], atol=2e-3)
    assert path.barrier_eV == pytest.approx(mueller_brown(*saddle)[0] - mueller_brown(*start)[0], abs=1e-4)
    assert path.reverse_barrier_eV == pytest.approx(mueller_brown(*saddle)[0] - mueller_brown(*end)[0], abs=1e-4)
    dip = stationary(MINIMA["C"])
    assert [np.linalg.norm(path.images[i].positions[0, :2] - dip) < 0.2 for i in path.intermediates] == [True]
    np.testing.assert_allclose(read(tmp_path / "intermediate-1.extxyz").positions[0], [*dip, 0], atol=0.02)


def test_ends_are_relaxed_first_or_the_cause_names_them():
    start, end = stationary(MINIMA["A"]) + 0.05, stationary(MINIMA["B"])
    options = {"images": 9, "interpolation": "linear"}
    relaxed = find_path(at(*start), at(*end), Surface(mueller_brown), **options)
    assert relaxed.converged, relaxed.cause
    np.testing.assert_allclose(relaxed.images[0].positions[0, :2], stationary(MINIMA["A"]), atol=5e-3)
    kept = find_path(at(*start), at(*end), Surface(mueller_brown), relax_ends=False, **options)
    assert not kept.converged
    assert "the reactant is not relaxed" in kept.cause
    assert "product" not in kept.cause
    np.testing.assert_array_equal(kept.images[0].positions[0, :2], start)


def test_too_few_steps_and_no_barrier_have_a_cause():
    ends = [at(*stationary(MINIMA[name])) for name in "AB"]
    short = find_path(*ends, Surface(mueller_brown), steps=3, interpolation="linear")
    assert not short.converged
    assert "0.05 and 0.25 were asked for; allow more steps" in short.cause

    def slope(x, y):
        return 0.5 * x + y**2, np.array([0.5, 2 * y]), np.diag([0.0, 2.0])

    downhill = find_path(at(0, 0), at(2, 0), Surface(slope), relax_ends=False, interpolation="linear")
    assert not downhill.converged
    assert "no image lies above both ends" in downhill.cause
    assert downhill.reaction_energy_eV == pytest.approx(1.0)


def test_the_run_leaves_its_files(tmp_path):
    ends = [at(*stationary(MINIMA[name])) for name in "AB"]
    path = find_path(*ends, Surface(mueller_brown), interpolation="linear", out=tmp_path / "run")
    saved = json.loads((tmp_path / "run/result.json").read_text())
    assert saved["recipe"] == "neb"
    assert saved["values"]["barrier"] == {"value": path.barrier_eV, "unit": "eV", "error": None, "cause": ""}
    images = read(tmp_path / "run/path.extxyz", index=":")
    np.testing.assert_allclose([image.get_potential_energy() for image in images], path.energies, atol=1e-6)
    table = np.genfromtxt(tmp_path / "run/profile.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["path_A"], path.path_length_A, atol=1e-6)
    assert (tmp_path / "run/profile.png").stat().st_size > 1000
    highest = read(tmp_path / "run/highest.extxyz")
    assert highest.get_potential_energy() == pytest.approx(path.energies.max())


class Interrupted(Surface):
    """Stops like a Ctrl-C after so many evaluations."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)):
        if self.evaluations == 60:
            self.evaluations += 1
            raise KeyboardInterrupt
        super().calculate(atoms, properties, system_changes)


def test_an_interrupted_run_goes_on_from_its_band(tmp_path):
    ends = [at(*stationary(MINIMA[name])) for name in "AB"]
    for end in ends:
        end.set_constraint([*end.constraints, FixedPlane(0, (0, 0, 1))])  # no file format keeps this one
    options = {"images": 9, "interpolation": "linear", "out": tmp_path / "run"}
    calculator = Interrupted(mueller_brown)
    with pytest.raises(KeyboardInterrupt):
        find_path(*ends, calculator, **options)
    band = read(tmp_path / "run/band.extxyz", index=":")
    resumed = find_path(*ends, calculator, resume=True, **options)
    assert "goes on from band.extxyz" in (tmp_path / "run/log.txt").read_text()
    straight = find_path(*ends, Surface(mueller_brown), **{**options, "out": None})
    assert resumed.steps < straight.steps, "it started from the beginning"
    assert len(band) == 9
    assert resumed.barrier_eV == pytest.approx(straight.barrier_eV, abs=1e-3)
    assert all(len(image.constraints) == 2 for image in resumed.images)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_that_is_cut_short_ends_on_a_step_that_was_taken(steps, tmp_path):
    """The solver tries steps and takes some of them back; what is saved and what is returned is one band."""
    ends = [at(*stationary(MINIMA[name])) for name in "CB"]
    options = {"images": 5, "interpolation": "linear", "out": tmp_path / "run"}
    path = find_path(*ends, Surface(mueller_brown), steps=steps, **options)
    assert path.steps == {1: 0, 2: 1, 3: 3}[steps], "no trial step was taken back, so this tests nothing"
    band = read(tmp_path / "run/band.extxyz", index=":")
    for image, saved in zip(path.images, band, strict=True):
        np.testing.assert_allclose(image.positions, saved.positions, atol=1e-7)
        assert image.get_potential_energy() == pytest.approx(mueller_brown(*image.positions[0, :2])[0], abs=1e-9)


class FieldAlongX(EMT):
    """Not invariant: each copper atom has its own place."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = self.results["energy"] + self.atoms.positions[0, 0]


def test_a_calculator_that_tells_orientations_apart_is_found_out():
    reactant = Atoms("Cu3", positions=[[0, 0, 0], [2.3, 0, 0], [0, 2.3, 0]])
    product = Atoms("Cu3", positions=[[1, 0, 0], [1, 2.3, 0], [3.3, 0.2, 0]])
    with refused("ends-orientation"):
        find_path(reactant, product, FieldAlongX())


def _bad_ends() -> dict[str, tuple[Atoms, Atoms, tuple[str, ...]]]:
    cu = bulk("Cu", cubic=True)
    moved = cu.copy()
    moved.positions[0] += [0.5, 0, 0]
    stretched = moved.copy()
    stretched.set_cell(cu.cell * [1, 1, 1.1])
    slab = moved.copy()
    slab.pbc = (True, True, False)
    fixed, fixed_moved = cu.copy(), moved.copy()
    for atoms in (fixed, fixed_moved):
        atoms.set_constraint(FixAtoms([0]))
    other_fixed = moved.copy()
    other_fixed.set_constraint(FixAtoms([1]))
    ocu, cuo = Atoms("CuOCu", positions=np.eye(3) * 2), Atoms("CuCuO", positions=np.eye(3) * 2)
    return {
        "count": (cu, moved[1:], ("ends-differ", "4 atoms", "product 3")),
        "permuted": (ocu, cuo, ("ends-order", "atom 1", "O in the reactant", "Cu in the product", "match_atoms")),
        "species": (
            cu,
            Atoms("CuCuCuO", positions=moved.positions, cell=cu.cell, pbc=True),
            ("ends-differ", "atom 3", "Cu in the reactant", "O in the product"),
        ),
        "cell": (cu, stretched, ("ends-differ", "cell vector 2", "3.61", "3.971")),
        "pbc": (cu, slab, ("ends-differ", "periodic", "[ True  True False]")),
        "same": (cu, cu.copy(), ("ends-equal",)),
        "fixed": (fixed, fixed_moved, ("ends-differ", "atom 0", "0.500 Angstrom")),
        "constraints": (fixed, other_fixed, ("ends-differ", "constraints")),
    }


@pytest.mark.parametrize("case", list(_bad_ends()))
def test_ends_that_make_no_path(case, tmp_path):
    reactant, product, refusal = _bad_ends()[case]
    with refused(*refusal):
        find_path(reactant, product, EMT(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "refusal"),
    [
        ({"interpolation": "idp"}, ("choice-unknown", "idpp")),
        ({"interpolation": "geodesic"}, ("interpolation-unsupported",)),
        ({"images": 2}, ("setting-out-of-range", "3", "2")),
        ({"fmax": 0.0}, ("setting-out-of-range",)),
        ({"fmax": float("nan")}, ("setting-out-of-range",)),
        ({"steps": -1}, ("setting-out-of-range", "0")),
    ],
)
def test_keywords_out_of_range(option, refusal, tmp_path):
    before, after, _ = vacancy_hop()
    with refused(*refusal):
        find_path(before, after, EMT(), out=tmp_path / "run", **option)
    assert not (tmp_path / "run").exists()


def test_two_ends_that_relax_into_one_minimum_are_told_so(tmp_path):
    start = stationary(MINIMA["A"])
    with refused("ends-equal"):
        find_path(at(*start), at(*(start + 0.05)), Surface(mueller_brown), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_geodesic_without_its_package(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "geodesic_interpolate.geodesic", None)
    molecule_ends = [Atoms("Cu2", positions=[[0, 0, 0], [0, 0, z]]) for z in (2.3, 2.6)]
    with refused("package-missing", "dp-sim[paths]"):
        find_path(*molecule_ends, EMT(), interpolation="geodesic")


def test_a_failed_evaluation_shortens_the_step():
    """One trial step fails; the band comes to the same barrier."""
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    failing = Failing(Surface(mueller_brown), lambda number, atoms: number in (20, 40, 41))
    path = find_path(start, end, failing, images=7, fmax=0.02, relax_ends=False, interpolation="linear")
    assert path.converged, path.cause
    saddle, minimum = mueller_brown(*stationary(SADDLES["BC"]))[0], mueller_brown(*stationary(MINIMA["C"]))[0]
    assert path.barrier_eV == pytest.approx(saddle - minimum, abs=1e-3)
    assert failing.evaluations > 41


def test_a_calculator_that_goes_on_failing_ends_the_band_where_it_was_good(tmp_path):
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    failing = Failing(Surface(mueller_brown), lambda number, atoms: 30 < number < 40)
    path = find_path(
        start, end, failing, images=7, fmax=1e-3, relax_ends=False, interpolation="linear", out=tmp_path / "neb"
    )
    assert not path.converged
    assert WORDS in path.cause
    assert "image" in path.cause
    assert np.isfinite(path.energies).all()
    going_on = find_path(
        start,
        end,
        Failing(Surface(mueller_brown), lambda number, atoms: False),
        images=7,
        fmax=1e-3,
        relax_ends=False,
        interpolation="linear",
        out=tmp_path / "neb",
        resume=True,
    )
    assert going_on.converged, going_on.cause


def test_tblite_without_convergence_on_an_image():
    """HCN to HNC by tblite itself: from scratch it needs 11 iterations where the hydrogen passes the carbon."""
    hcn = Atoms("HCN", positions=[[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", positions=[[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    path = find_path(hcn, hnc, cold_xtb(10), fmax=0.1)
    assert not path.converged
    assert "SCF not converged in 10 cycles" in path.cause
    assert "image" in path.cause


def test_a_first_path_that_cannot_be_evaluated_names_the_image():
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    failing = Failing(Surface(mueller_brown), lambda number, atoms: number == 6)
    with refused("evaluation-failed", "first path", "image", WORDS):
        find_path(start, end, failing, images=7, relax_ends=False, interpolation="linear")


def test_a_straight_path_through_an_atom_is_refused(xtb):
    """The hydrogen of HCN would run through carbon and nitrogen: 42 029 eV/Angstrom, said an earlier version."""
    hcn = Atoms("HCN", positions=[[0, 0, -1.07], [0, 0, 0], [0, 0, 1.15]])
    hnc = Atoms("HCN", positions=[[0, 0, 2.15], [0, 0, 0], [0, 0, 1.17]])
    with refused("path-through-atoms", "idpp"):
        find_path(hcn, hnc, xtb, interpolation="linear")


def test_string_and_springs_find_the_same_saddle():
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    saddle, minimum = mueller_brown(*stationary(SADDLES["BC"]))[0], mueller_brown(*stationary(MINIMA["C"]))[0]
    for method in ("springs", "string"):
        path = find_path(start, end, Surface(mueller_brown), images=9, fmax=0.01, interpolation="linear", method=method)
        assert path.converged, (method, path.cause)
        assert path.barrier_eV == pytest.approx(saddle - minimum, abs=1e-3)


def ridge(x: float, y: float):
    """A ridge of 2 eV at x = 3.2 Å, 0.4 Å wide, in a valley along x whose ends at 0 and 6 Å are flat."""
    over = (x - 3.2) / 0.4
    height = 2 * np.exp(-(over**2))
    return height + y**2, np.array([-2 * over / 0.4 * height, 2 * y]), np.diag([0.0, 2.0])


def test_a_highest_point_between_two_images_gets_an_image(tmp_path):
    """Ten legs of 0.6 Å: the ridge lies between two images, where it is 1.1 eV high at most."""
    path = find_path(at(0, 0), at(6, 0), Surface(ridge), interpolation="linear", relax_ends=False, out=tmp_path / "out")
    assert path.converged, path.cause
    assert path.barrier_eV == pytest.approx(2, abs=1e-3)
    assert path.highest.positions[0, 0] == pytest.approx(3.2, abs=5e-3)
    assert len(path.images) > 11
    assert "the highest point lies between two images" in (tmp_path / "out" / "log.txt").read_text()
    given = find_path(at(0, 0), at(6, 0), Surface(ridge), interpolation="linear", relax_ends=False, images=11)
    assert len(given.images) == 11  # whose number was asked for


def test_the_leg_that_hides_the_top_is_told_by_slopes():
    """A cubic is known from its ends: x^2 (3 - x) is 4 at 2 Å, and 2 at 1 Å; only from there on a leg may hide it."""

    def cubic(x, y):
        return x**2 * (3 - x) + y**2, np.array([6 * x - 3 * x**2, 2 * y]), np.diag([0.0, 2.0])

    def leg(*places):
        band = make_band([at(x, 0) for x in places], Surface(cubic), "springs", Left(0.1, 0.1))
        band.get_forces()
        return hiding_leg(band)

    assert leg(0, 1, 3) == 1
    assert leg(0, 1, 2, 3) is None
    assert leg(0, 1, 1.9, 3) is None  # 0.03 eV below the top
    assert leg(0, 1.5, 3) == 1


def test_every_evaluation_is_counted():
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    surface = Surface(mueller_brown)
    path = find_path(start, end, surface, images=9, interpolation="linear")
    # Two ends are looked at, superposed and evaluated again for the band; all others are counted.
    counted = path.evaluations["ends"] + path.evaluations["band"]
    assert counted <= surface.evaluations <= counted + 8


class Noisy(Surface):
    """Forces that do not follow the energy."""

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        rng = np.random.default_rng(self.evaluations)
        self.results["forces"][0] += 0.3 * rng.normal(size=3)


def test_noise_is_named_as_the_cause():
    start, end = at(*stationary(MINIMA["C"])), at(*stationary(MINIMA["B"]))
    path = find_path(start, end, Noisy(mueller_brown), images=5, interpolation="linear", relax_ends=False, fmax=0.02)
    assert not path.converged
    assert "allow more steps" not in path.cause
    assert "noisy" in path.cause


def test_gold_hops_on_aluminium_as_in_the_tutorial_of_ase():
    """0.3745 eV: ASE's tutorial on this hop with EMT and a fixed lower layer."""
    start = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(start, "Au", 1.7, "hollow")
    start.center(axis=2, vacuum=4.0)
    start.info.clear()
    start.set_constraint(FixAtoms(mask=start.get_tags() > 1))
    end = start.copy()
    end.positions[-1, 0] += start.cell[0, 0] / 2
    path = find_path(start, end, EMT(), images=5, fmax=0.02)
    assert path.converged, path.cause
    assert path.barrier_eV == pytest.approx(0.3745, abs=1e-3)
