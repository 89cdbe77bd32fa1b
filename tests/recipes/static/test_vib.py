"""Vibrations: analytic answers, an independent program, and the invariances of normal modes."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixBondLength
from ase.io import read
from ase.vibrations import Vibrations
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy.spatial.transform import Rotation

from dp_sim.recipes import optimize, vibrations
from dp_sim.recipes.static.normal_modes import normal_modes
from dp_sim.recipes.static.rigid_motions import find_rigid_motions


class Springs(Calculator):
    """Harmonic bonds of rest length r0 between all pairs: E = k/2 sum (r - r0)^2, with an exact Hessian if wanted."""

    implemented_properties = ("energy", "forces")

    def __init__(self, k: float, rest: np.ndarray, exact: bool = False):
        super().__init__()
        self.k, self.rest = k, rest
        if exact:
            self.get_hessian = self._hessian

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        energy, forces = 0.0, np.zeros((len(atoms), 3))
        for i in range(len(atoms)):
            for j in range(i):
                vector = atoms.positions[i] - atoms.positions[j]
                distance = np.linalg.norm(vector)
                stretch = distance - self.rest[i, j]
                energy += self.k / 2 * stretch**2
                forces[i] -= self.k * stretch * vector / distance
                forces[j] += self.k * stretch * vector / distance
        self.results = {"energy": energy, "forces": forces}

    def _hessian(self, atoms):
        """At the rest lengths only: k u u^T for each bond of direction u."""
        n = len(atoms)
        hessian = np.zeros((n, 3, n, 3))
        for i in range(n):
            for j in range(i):
                u = atoms.positions[i] - atoms.positions[j]
                block = self.k * np.outer(u, u) / (u @ u)
                hessian[i, :, i] += block
                hessian[j, :, j] += block
                hessian[i, :, j] -= block
                hessian[j, :, i] -= block
        return hessian.reshape(3 * n, 3 * n)


def springs(atoms: Atoms, k: float = 30.0, exact: bool = False) -> Springs:
    return Springs(k, atoms.get_all_distances(), exact)


def diatomic_cm1(k: float, mass_1: float, mass_2: float) -> float:
    """omega = sqrt(k / mu), in SI units: nothing shared with the code under test but the constants."""
    mu = mass_1 * mass_2 / (mass_1 + mass_2) * units._amu
    omega = np.sqrt(k * units._e * 1e20 / mu)
    return omega / (2 * np.pi * units._c * 100)


@pytest.mark.parametrize("exact", [True, False])
def test_a_harmonic_diatomic(exact):
    atoms = Atoms("HCl", [[0, 0, 0], [0.6, 0.7, 0.8]])
    result = vibrations(atoms, springs(atoms, k=32.0, exact=exact))
    mass_1, mass_2 = atoms.get_masses()
    expected = diatomic_cm1(32.0, mass_1, mass_2)
    assert result.converged
    assert result.hessian_source.startswith("exact" if exact else "central differences")
    np.testing.assert_allclose(result.frequencies_cm1, [expected], rtol=1e-10 if exact else 1e-4)
    # zero-point energy h c nu / 2, with h c in eV cm
    assert result.zero_point_energy_eV == pytest.approx(1.239841984e-4 * result.frequencies_cm1[0] / 2, rel=1e-6)
    # the atoms move along the bond, against each other, the light one farther
    bond = atoms.positions[1] / np.linalg.norm(atoms.positions[1])
    along = result.modes[0] @ bond
    assert along[0] / along[1] == pytest.approx(-mass_2 / mass_1, rel=1e-6)


@pytest.mark.parametrize(
    ("atoms", "modes"),
    [
        (Atoms("Cu"), 0),
        (molecule("N2"), 1),
        (molecule("CO2"), 4),
        (molecule("H2O"), 3),
        (molecule("CH4"), 9),
    ],
)
def test_the_number_of_modes(atoms, modes):
    result = vibrations(atoms, springs(atoms, exact=True))
    assert len(result.frequencies_cm1) == modes
    assert result.modes.shape == (modes, len(atoms), 3)
    assert len(result.rigid_frequencies_cm1) == 3 * len(atoms) - modes
    # Free rotation and translation cost nothing at a stationary point.
    np.testing.assert_allclose(result.rigid_frequencies_cm1, 0, atol=0.01)


def test_in_a_crystal_only_translations_are_taken_out():
    result = vibrations(bulk("Cu") * (2, 1, 1), EMT())
    assert len(result.frequencies_cm1) == 3
    assert len(result.rigid_frequencies_cm1) == 3
    assert result.n_imaginary == 0


@pytest.mark.parametrize("name", ["N2", "H2O"])
def test_against_ase_with_emt(name, tmp_path):
    compare_with_ase(optimize(molecule(name), EMT(), fmax=1e-5).atoms, EMT(), tmp_path)


@pytest.mark.parametrize("name", ["H2O", "CO2"])
def test_against_ase_with_gfn2(name, tmp_path):
    tblite = pytest.importorskip("tblite.ase", reason="tblite is an optional package")
    calculator = tblite.TBLite(verbosity=0, accuracy=0.01)
    compare_with_ase(optimize(molecule(name), calculator, fmax=1e-4).atoms, calculator, tmp_path)


def compare_with_ase(atoms: Atoms, calculator, folder) -> None:
    """ase.vibrations: its own differences, its own units, nothing projected out."""
    result = vibrations(atoms, calculator, delta=0.005)
    reference = atoms.copy()
    reference.calc = calculator
    program = Vibrations(reference, name=str(folder / "vib"), delta=0.005)
    program.run()
    expected = np.real(program.get_frequencies())[-len(result.frequencies_cm1) :]
    np.testing.assert_allclose(result.frequencies_cm1, expected, atol=0.5)


def test_a_maximum_has_an_imaginary_frequency_and_no_zero_point_energy():
    atoms = Atoms("HCl", [[0, 0, 0], [0, 0, 1.3]])
    result = vibrations(atoms, springs(atoms, k=-32.0, exact=True))
    np.testing.assert_allclose(result.frequencies_cm1, [-diatomic_cm1(32.0, *atoms.get_masses())])
    assert result.n_imaginary == 1
    assert result.zero_point_energy_eV == 0


def test_an_unrelaxed_structure_is_not_converged():
    result = vibrations(molecule("H2O"), EMT())
    assert not result.converged
    assert "not relaxed" in result.cause
    assert f"{result.fmax_eV_A / 0.02:.1f} times the bound" in result.cause


def test_fixed_atoms_hold_the_others():
    """One atom on a spring to a fixed one vibrates with its own mass, and turns about it at no cost."""
    atoms = Atoms("HCl", [[0, 0, 0], [0, 0, 1.3]], constraint=FixAtoms([1]))
    result = vibrations(atoms, springs(atoms, k=32.0, exact=True))
    assert (result.rigid.translations, result.rigid.rotations) == (0, 2)
    assert result.frequencies_cm1[-1] == pytest.approx(diatomic_cm1(32.0, atoms.get_masses()[0], 1e15), rel=1e-9)
    np.testing.assert_array_equal(result.modes[:, 1], 0)


@pytest.mark.parametrize(
    ("constraint", "refusal"),
    [(FixBondLength(0, 1), ("constraint-unsupported", "FixBondLength")), (FixAtoms([0, 1, 2]), ("atoms-all-fixed",))],
)
def test_constraints_that_leave_no_modes_are_refused(constraint, refusal):
    water = molecule("H2O")
    water.set_constraint(constraint)
    with refused(*refusal):
        vibrations(water, EMT())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 6))
def test_turning_shifting_and_renumbering_change_nothing(seed, n):
    """Random springs between random atoms: the spectrum is that of the molecule, not of its place in space."""
    random = np.random.default_rng(seed)
    positions = 1.5 * np.array([[i % 2, i // 2 % 2, i // 4] for i in range(n)]) + random.uniform(-0.3, 0.3, (n, 3))
    masses = random.uniform(1, 50, n)
    turn, shift, order = Rotation.random(rng=random).as_matrix(), random.normal(size=3) * 10, random.permutation(n)

    def spectrum(points, weights):
        atoms = Atoms("H" * n, points, masses=weights)
        hessian = springs(atoms)._hessian(atoms)
        rigid = find_rigid_motions(atoms, hessian, np.zeros((n, 3)), np.arange(n)).columns
        np.testing.assert_allclose(rigid.T @ rigid, np.eye(rigid.shape[1]), atol=1e-12)
        return normal_modes(hessian, weights, rigid)

    original = spectrum(positions, masses)
    moved = spectrum((positions @ turn.T + shift)[order], masses[order])
    np.testing.assert_allclose(moved.frequencies_cm1**2, original.frequencies_cm1**2, rtol=1e-8, atol=1e-4)
    np.testing.assert_allclose(original.rigid_frequencies_cm1, 0, atol=0.01)


def test_modes_are_orthogonal_with_the_masses_and_without_rigid_motion():
    water = molecule("H2O")
    result = vibrations(water, springs(water, exact=True))
    masses = water.get_masses()[:, None]
    vectors = (result.modes * np.sqrt(masses)).reshape(3, -1)
    np.testing.assert_allclose(vectors @ vectors.T, np.diag(result.reduced_masses_amu), atol=1e-10)
    np.testing.assert_allclose((result.modes * masses).sum(axis=1), 0, atol=1e-10)
    arms = water.positions - water.get_center_of_mass()
    np.testing.assert_allclose((masses * np.cross(arms, result.modes)).sum(axis=1), 0, atol=1e-10)


def test_the_files_can_be_read_again(tmp_path):
    water = molecule("H2O")
    result = vibrations(water, springs(water, exact=True), out=tmp_path / "vib")
    saved = np.load(tmp_path / "vib" / "hessian.npz", allow_pickle=False)
    np.testing.assert_array_equal(saved["hessian_eV_A2"], result.hessian)
    frames = read(tmp_path / "vib" / "modes.extxyz", index=":")
    assert [frame.info["frequency_cm1"] for frame in frames] == pytest.approx(list(result.frequencies_cm1))
    np.testing.assert_allclose(frames[2].arrays["displacement"], result.modes[2], atol=1e-7)
    lines = (tmp_path / "vib" / "modes.molden").read_text().splitlines()
    assert lines[:2] == ["[Molden Format]", "[FREQ]"]
    oxygen = [float(x) for x in lines[lines.index("[FR-COORD]") + 1].split()[1:]]
    np.testing.assert_allclose(np.array(oxygen) * units.Bohr, water.positions[0], atol=1e-7)
    assert lines.count("[FR-NORM-COORD]") == 1
    assert sum(line.startswith("vibration") for line in lines) == 3


def test_differences_continue_where_they_stopped(tmp_path):
    water = molecule("H2O")

    class Interrupted(Springs):
        calls = 0

        def calculate(self, *args, **keywords):
            Interrupted.calls += 1
            if Interrupted.calls == 9:  # one evaluation of the start, then six an atom
                raise KeyboardInterrupt
            super().calculate(*args, **keywords)

    calculator = Interrupted(30.0, water.get_all_distances())
    with pytest.raises(KeyboardInterrupt):
        vibrations(water, calculator, out=tmp_path / "vib")
    Interrupted.calls = 100
    result = vibrations(water, calculator, out=tmp_path / "vib", resume=True)
    # The start, the two atoms that were left, and two rotations there and back, with the start between, whose cost was
    # doubtful.
    assert Interrupted.calls == 100 + 1 + 2 * 6 + 1 + 2 * 2
    np.testing.assert_allclose(result.frequencies_cm1, vibrations(water, springs(water)).frequencies_cm1)


def test_a_frequency_beyond_nature_is_noted(tmp_path):
    """As from positions in nm; hydrogen's own does not count as one."""
    pair = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    for stiffness, noted in ((36.0, False), (80.0, True)):  # some 4400 and 6600 cm^-1
        pair.calc = Springs(stiffness, pair.get_all_distances(), exact=True)
        vibrations(pair, pair.calc, delta=0.01, out=tmp_path / "vib", overwrite=True)
        log = (tmp_path / "vib" / "log.txt").read_text()
        assert ("faster than any vibration" in log) == noted
        assert "delta=0.01 was not used" in log


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"hessian": "exakt"}, ("choice-unknown", "exact")),
        ({"hessian": "exact"}, ("hessian-missing", "EMT", "get_hessian")),
        ({"delta": 0}, ("setting-out-of-range",)),
        ({"delta": float("nan")}, ("setting-out-of-range",)),
        ({"fmax": -1}, ("setting-out-of-range",)),
        ({"temperature_min_K": 300.0, "temperature_max_K": 200.0}, ("setting-out-of-range", 300, 200)),
        ({"temperature_step_K": 0.1, "temperature_max_K": 1e5}, ("setting-out-of-range", "999,000", "5,000")),
    ],
)
def test_bad_settings_are_refused_and_leave_nothing(tmp_path, options, refusal):
    with refused(*refusal):
        vibrations(molecule("H2O"), EMT(), out=tmp_path / "vib", **options)
    assert not (tmp_path / "vib").exists()
