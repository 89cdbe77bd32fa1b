"""Rigid motions by what they cost: counted, in free space, in cells, with fixed atoms, straight and nearly so."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from scipy.spatial.transform import Rotation

from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.hessian import difference_hessian
from dp_sim.recipes.static.normal_modes import normal_modes
from dp_sim.recipes.static.rigid_motions import find_rigid_motions, whole_positions


def gfn2():
    return pytest.importorskip("tblite.ase", reason="tblite is an optional package").TBLite(verbosity=0)


def counted(result) -> tuple[int, int, int]:
    """Translations and rotations taken out, and modes left: together 3n."""
    assert len(result.rigid_frequencies_cm1) == result.rigid.translations + result.rigid.rotations
    return result.rigid.translations, result.rigid.rotations, len(result.frequencies_cm1)


class Bonds(Calculator):
    """Springs along given bonds and between given pairs, in a cell by the nearest image; and a trap, if wanted.

    E = sum k (r - r0)^2 / 2 + trap |sum m x / M|^2 / 2.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, bonds: dict[tuple[int, int, int], float], k: float = 20.0, trap: float = 0.0):
        super().__init__()
        self.bonds, self.k, self.trap = bonds, k, trap

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        for (i, j, image), rest in self.bonds.items():
            vector = atoms.positions[j] + image * atoms.cell[2] - atoms.positions[i]
            distance = np.linalg.norm(vector)
            pull = self.k * (distance - rest) * vector / distance
            energy += self.k / 2 * (distance - rest) ** 2
            forces[i] += pull
            forces[j] -= pull
        share = atoms.get_masses() / atoms.get_masses().sum()
        away = share @ atoms.positions
        energy += self.trap / 2 * away @ away
        forces -= self.trap * np.outer(share, away)
        self.results = {"energy": energy, "forces": forces}


def zigzag(turn: Rotation) -> tuple[Atoms, Bonds]:
    """A chain of two atoms a period along the third vector of the cell; bonds and the distance of second neighbours."""
    atoms = Atoms("CN", [[0.7, 0, 0], [-0.7, 0, 1.2]], cell=[9, 9, 2.4], pbc=[False, False, True])
    length = np.hypot(1.4, 1.2)
    atoms.positions = turn.apply(atoms.positions)
    atoms.cell[:] = turn.apply(atoms.cell)
    return atoms, Bonds({(0, 1, 0): length, (1, 0, 1): length, (0, 0, 1): 2.3, (1, 1, 1): 2.4})


def test_a_chain_turns_about_itself_alone():
    """Whatever way the chain points; one of its springs is under tension, which the rotation must not feel."""
    for seed in range(3):
        turn = Rotation.random(rng=np.random.default_rng(seed))
        atoms, calculator = zigzag(turn)
        result = vibrations(atoms, calculator)
        assert counted(result) == (3, 1, 2), f"turned by {turn.as_rotvec()}"
        assert "1 rotation taken out" in result.rigid.words


def test_a_crystal_does_not_turn():
    result = vibrations(bulk("NiAl", "cesiumchloride", a=2.9) * (1, 1, 2), EMT())
    assert counted(result) == (3, 0, 9)
    assert "costs" in result.rigid.words


def test_a_trap_holds_what_would_move_freely():
    """The frequency of a mass M on a spring c is known: 521.47 cm^-1 sqrt(c / M)."""
    atoms = molecule("N2")
    result = vibrations(atoms, Bonds({(0, 1, 0): atoms.get_distance(0, 1)}, trap=5.0))
    assert counted(result) == (0, 2, 4)
    expected = 521.4709 * np.sqrt(5.0 / atoms.get_masses().sum())
    np.testing.assert_allclose(result.frequencies_cm1[:3], expected, rtol=1e-5)
    np.testing.assert_allclose(result.rigid.held_cm1, expected, rtol=1e-5)


@pytest.mark.parametrize(("fixed", "rotations"), [([0], 3), ([0, 1], 1), ([0, 1, 2], 0), ([3], 3), ([1, 0, 5], 0)])
def test_fixed_atoms_leave_the_rotations_that_keep_them(fixed, rotations):
    methanol = optimize(molecule("CH3OH"), EMT(), fmax=0.01).atoms
    methanol.set_constraint(FixAtoms(fixed))
    assert counted(vibrations(methanol, EMT()))[:2] == (0, rotations)


def test_a_molecule_alone_in_a_cell_turns_freely_though_a_face_cuts_it():
    water = optimize(molecule("H2O"), EMT(), fmax=0.02).atoms
    water.set_cell([[11, 0, 0], [2, 12, 0], [0, 1, 13]])
    water.pbc = True
    free = vibrations(molecule_like(water), EMT())
    water.positions += [0.1, 12.2, 0.1]
    water.wrap()
    assert water.get_distance(0, 1) > 5  # it is cut
    cut = vibrations(water, EMT())
    assert counted(cut) == counted(free) == (3, 3, 3)
    np.testing.assert_allclose(cut.frequencies_cm1, free.frequencies_cm1, atol=0.01)


def molecule_like(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, atoms.positions)


def test_the_forces_that_are_left_do_not_make_a_vibration_of_a_rotation():
    """Water stretched by 0.02 Å: along the straight line the rotations have some 100 cm^-1, along their arcs none."""
    water = molecule("H2O")
    rest = {(i, j, 0): water.get_distance(i, j) - 0.02 for i, j in ((0, 1), (0, 2), (1, 2))}
    water.calc = Bonds(rest)
    hessian = difference_hessian(water, delta=1e-4, mobile=np.arange(3), partial=None, progress=False)
    rigid = find_rigid_motions(water, hessian, -water.get_forces(), np.arange(3))
    assert (rigid.translations, rigid.rotations) == (3, 3)
    assert np.abs(normal_modes(hessian, water.get_masses(), rigid.columns).rigid_frequencies_cm1).max() > 80


@pytest.mark.parametrize("noise", ["forces", "energies"])
def test_noise_of_forces_or_of_energies_holds_no_molecule_and_a_trap_does(noise):
    """Forces of an SCF that stops early, or energies in single precision: the other of the two tells.

    A trap of 0.06 eV/Å^2 holds the 18 amu of water's centre at 30 cm^-1, and its rotations at nothing.
    """
    water = molecule("H2O")
    rest = {(i, j, 0): water.get_distance(i, j) for i, j in ((0, 1), (0, 2), (1, 2))}
    rng = np.random.default_rng(1)
    disturbed = rng.normal(size=(9, 9)) * 1.5e-3

    def free(trap: float):
        water.calc = Bonds(rest, trap=trap)
        hessian = difference_hessian(water, delta=1e-4, mobile=np.arange(3), partial=None, progress=False)

        def evaluate(positions):
            moved = Atoms(water.numbers, positions)
            moved.calc = water.calc
            energy, forces = moved.get_potential_energy(), moved.get_forces()
            sizes = (0.0, 1e-3) if noise == "forces" else (3e-5, 0.0)
            return energy + sizes[0] * rng.normal(), forces + sizes[1] * rng.normal(size=forces.shape)

        hessian += disturbed + disturbed.T
        return find_rigid_motions(water, hessian, -water.get_forces(), np.arange(3), evaluate)

    water.positions -= water.get_center_of_mass()
    assert (free(0.0).translations, free(0.0).rotations) == (3, 3)
    held = free(0.06)
    assert (held.translations, held.rotations) == (0, 3)
    np.testing.assert_allclose(held.held_cm1, 30, atol=6)


def test_whole_positions_keep_every_distance_in_a_molecule():
    distances = molecule("CH3CH2OH").get_all_distances()
    for axes in ([True, True, True], [True, False, True]):
        ethanol = molecule("CH3CH2OH", cell=[[10, 0, 0], [3, 11, 0], [1, 2, 12]], pbc=axes)
        ethanol.wrap()
        whole = Atoms(ethanol.numbers, whole_positions(ethanol))
        np.testing.assert_allclose(whole.get_all_distances(), distances, atol=1e-9)
        shifts = ethanol.cell.scaled_positions(whole.positions - ethanol.positions)
        np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-9)


class Bonded(EMT):
    """Sees to it that every structure it is asked for is a molecule: its atoms near the first, in some image."""

    def calculate(self, atoms, properties, system_changes):
        assert atoms.get_distances(0, range(1, len(atoms)), mic=True).max() < 1.5
        super().calculate(atoms, properties, system_changes)


class FailsFarAway(EMT):
    """Fails where an atom is farther than 0.02 Å from a place given."""

    def __init__(self, positions):
        super().__init__()
        self.places = positions

    def calculate(self, atoms, properties, system_changes):
        if np.abs(atoms.positions - self.places).max() > 0.02:
            raise RuntimeError("SCF not converged")
        super().calculate(atoms, properties, system_changes)


def fixed_water_in_a_cell() -> Atoms:
    water = optimize(molecule("H2O"), EMT(), fmax=0.002).atoms
    water.set_cell([11, 12, 13])
    water.center()
    water.pbc = True
    water.set_constraint(FixAtoms([0]))
    return water


def test_atoms_that_are_free_turn_about_fixed_ones_where_these_are():
    """In the middle of a periodic cell, where making the molecule whole would cut the cell at the molecule."""
    water = fixed_water_in_a_cell()
    result = vibrations(water, Bonded(), delta=0.02)  # coarse, so that turning is asked again
    assert np.abs(result.rigid_frequencies_cm1).max() > 10
    assert counted(result) == (0, 3, 3)


def test_a_calculator_that_fails_where_the_whole_is_turned_leaves_the_modes(tmp_path):
    """The differences are done: what they say of the rotations counts, and the page says why."""
    water = fixed_water_in_a_cell()
    result = vibrations(water, FailsFarAway(water.positions.copy()), delta=0.02, out=tmp_path / "out")
    assert len(result.frequencies_cm1) + len(result.rigid_frequencies_cm1) == 6
    assert result.rigid.held_cm1.size
    assert "SCF not converged" in result.rigid.unasked
    assert "SCF not converged" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "rigid"),
    [("H2", (3, 2, 1)), ("H2O", (3, 3, 3)), ("CO2", (3, 2, 4)), ("NH3", (3, 3, 6)), ("CH4", (3, 3, 9))],
)
def test_molecules_at_gfn2_relaxed_to_the_default_bound(name, rigid):
    """Forces of 0.01 eV/Å are left, and differences of 0.005 Å: straight, the rotations have up to 40 cm^-1."""
    relaxed = optimize(molecule(name), gfn2()).atoms
    assert counted(vibrations(relaxed, gfn2())) == rigid


def straight_hc6h() -> Atoms:
    places = np.cumsum([0, 1.06, 1.21, 1.36, 1.21, 1.36, 1.21, 1.06])
    return optimize(Atoms("HC6H", [[0, 0, z] for z in places]), gfn2()).atoms


def test_hc6h_bent_by_what_an_optimisation_leaves_keeps_its_19_modes():
    straight = straight_hc6h()
    expected = vibrations(straight, gfn2(), fmax=0.3)
    assert counted(expected) == (3, 2, 19)
    bent = straight.copy()
    bent.positions[:, 0] += 0.06 * np.sin(np.pi * np.arange(8) / 7)
    bent.positions[:, 1] += 0.02 * np.cos(2 * np.pi * np.arange(8) / 7)
    result = vibrations(bent, gfn2(), fmax=0.3)
    assert counted(result) == (3, 2, 19)
    assert result.rigid.linear
    np.testing.assert_allclose(result.frequencies_cm1, expected.frequencies_cm1, atol=60)


def test_a_molecule_that_is_bent_at_rest_turns_about_its_axis_however_small_the_bend():
    """Three atoms 4 degrees off straight, held there: bonds and the distance of the ends."""
    angle = np.radians(176)
    atoms = Atoms("OCO", [[0, 0, 0], [1.2, 0, 0], [1.2 - 1.2 * np.cos(angle), 1.2 * np.sin(angle), 0]])
    ends = atoms.get_distance(0, 2)
    result = vibrations(atoms, Bonds({(0, 1, 0): 1.2, (1, 2, 0): 1.2, (0, 2, 0): ends}, k=500.0))
    assert counted(result) == (3, 3, 3)
    assert not result.rigid.linear
