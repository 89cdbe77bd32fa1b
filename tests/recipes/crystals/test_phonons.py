"""Phonons: springs with analytic dispersion, phonopy's own route on copper, laws of any harmonic crystal."""

import itertools

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.constraints import FixSymmetry
from ase.neighborlist import neighbor_list
from ase.units import kB
from phonopy.structure.atoms import PhonopyAtoms
from random_model import write_random_model
from refusals import refused
from spring_crystal import SpringCrystal, fcc_frequencies_THz

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import phonons
from dp_sim.recipes.static.hessian import difference_rows
from dp_sim.uncertainty.derived import SpreadWorth

#: EMT's copper at the minimum of its energy, Angstrom.
COPPER_A = 3.5898


@pytest.fixture(scope="module")
def copper():
    return phonons(bulk("Cu", a=COPPER_A), EMT(), supercell="3", mesh_A=40, delta=0.01)


def test_springs_have_their_analytic_dispersion():
    """To 3e-6 of the highest: what differences of 0.001 Angstrom leave of the next order."""
    atoms = bulk("Al", a=4.0)
    rest = 4.0 / np.sqrt(2)
    result = phonons(atoms, SpringCrystal(2.0, rest, 3.2), supercell="2", mesh_A=20, delta=0.001)
    reciprocal = 2 * np.pi * np.linalg.inv(result.atoms.cell.array).T
    expected = [fcc_frequencies_THz(2.0, atoms.get_masses()[0], 4.0, q @ reciprocal) for q in result.path.wave_vectors]
    np.testing.assert_allclose(result.bands_THz, expected, atol=1e-4)
    assert result.path.points.keys() >= {"Γ", "X", "L", "W", "K"}


def test_copper_agrees_with_phonopys_own_route(copper):
    """Another supercell (of the primitive cell), both signs of each displacement, no symmetry used."""
    cell = bulk("Cu", a=COPPER_A)
    unit = PhonopyAtoms(numbers=cell.numbers, cell=cell.cell.array, scaled_positions=cell.get_scaled_positions())
    matrix = 3 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    direct = phonopy.Phonopy(unit, matrix, primitive_matrix="P", is_symmetry=False)
    direct.generate_displacements(distance=0.01, is_plusminus=True)
    forces = []
    for one in direct.supercells_with_displacements:
        displaced = Atoms(numbers=one.numbers, cell=one.cell, positions=one.positions, pbc=True, calculator=EMT())
        forces.append(displaced.get_forces())
    direct.forces = forces
    direct.produce_force_constants(show_drift=False)
    cartesian = copper.path.wave_vectors @ np.linalg.inv(copper.atoms.cell.array).T
    there = cartesian @ direct.primitive.cell.T  # the same vectors in the other basis
    expected = direct.run_qpoints(there).frequencies
    assert np.abs(copper.bands_THz - expected).max() < 1e-4
    assert copper.crystal.number == 225


def test_laws_of_a_harmonic_crystal(copper):
    assert np.abs(copper.force_constants.sum(axis=1)).max() < 1e-12  # acoustic sum rule
    gamma = np.flatnonzero(np.all(copper.path.wave_vectors == 0, axis=1))
    assert np.abs(copper.bands_THz[gamma]).max() < 1e-5
    step = np.diff(copper.density.frequencies_THz)[0]
    assert copper.density.total.sum() * step == pytest.approx(3, rel=5e-3)
    hot = copper.thermal.heat_capacity_eV_per_K[-1]
    assert 298.15 in copper.thermal.temperatures_K
    assert 0.99 * 3 * kB < hot < 3 * kB
    assert copper.thermal.entropy_eV_per_K[0] == 0


def test_copper_is_near_its_measured_frequencies(copper):
    """L and X points: 7.25 and 5.1 THz (longitudinal, transverse at X), 7.30 and 3.42 at L; EMT is 13 % off at most.

    E. C. Svensson, B. N. Brockhouse and J. M. Rowe, Phys. Rev. 155, 619 (1967), room temperature.
    """
    at_x = copper.phonon.run_qpoints([copper.path.points["X"]]).frequencies[0]
    at_l = copper.phonon.run_qpoints([copper.path.points["L"]]).frequencies[0]
    np.testing.assert_allclose(at_x, [5.1, 5.1, 7.25], rtol=0.13)
    np.testing.assert_allclose(at_l, [3.42, 3.42, 7.30], rtol=0.13)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("model") / "cu.pt", species=("Cu", "O"))


def test_exact_force_constants_against_displacements(model_file):
    """Cu2O: six atoms in the primitive cell, three of them alike; differences of 0.002 Angstrom."""
    atoms = cuprite()
    exact = phonons(atoms, model_file, supercell="2", mesh_A=15)
    differences = phonons(atoms, model_file, supercell="2", mesh_A=15, hessian="differences", delta=0.002)
    assert exact.force_constants_source == "exact (compiled)"
    assert "0.002" in differences.force_constants_source
    np.testing.assert_allclose(
        exact.force_constants, differences.force_constants, atol=2e-5 * np.abs(exact.force_constants).max()
    )
    np.testing.assert_allclose(exact.bands_THz, differences.bands_THz, atol=1e-3 * exact.bands_THz.max())


def cuprite() -> Atoms:
    """Cu2O, Pn-3m: every atom at a site where symmetry allows no force."""
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25] * 3, [0.25, 0.75, 0.75], [0.75, 0.25, 0.75], [0.75, 0.75, 0.25]]
    return Atoms("O2Cu4", scaled_positions=places, cell=4.27 * np.eye(3), pbc=True)


def test_any_cell_of_the_crystal_gives_the_same(copper):
    """A rattled supercell in another orientation: within the tolerance it is the same crystal."""
    atoms = bulk("Cu", a=COPPER_A) * (2, 1, 1)
    atoms.rattle(1e-3, seed=2)
    atoms.rotate(30, (1, 2, 3), rotate_cell=True)
    other = phonons(atoms, EMT(), supercell="3", mesh_A=40)
    assert len(other.atoms) == 1
    np.testing.assert_allclose(other.bands_THz, copper.bands_THz, atol=1e-6)
    assert 5e-4 < other.crystal.moved_A < 1e-2


#: Ordered alloys on the sites of fcc, bcc and hcp: every centring, polar groups, several places.
ALLOYS = {
    "R3m": (bulk("Cu", a=3.8), [[1, 0, 0], [0, 1, 0], [0, 0, 4]], ["Cu", "Cu", "Au", "Pt"]),
    "P6_3/mmc": (bulk("Cu", "hcp", a=2.7, c=4.4), np.eye(3, dtype=int), ["Cu", "Cu"]),
    "Imm2": (bulk("Cu", a=3.8), [[1, 0, 0], [0, 1, 1], [0, -1, 2]], ["Cu", "Au", "Pt"]),
    "Cm": (bulk("Cu", a=3.8), [[1, 0, 1], [0, 1, 1], [-1, 0, 3]], ["Cu", "Cu", "Au", "Pt"]),
    "Fmm2": (bulk("Cu", "bcc", a=3.0), [[1, 0, 0], [0, 1, 0], [0, 0, 3]], ["Cu", "Au", "Pt"]),
}


@pytest.mark.parametrize("name", ALLOYS)
def test_waves_that_fit_the_conventional_cell_are_its_modes(name):
    """The wave vectors that fold onto Γ of the conventional cell have the eigenvalues of its own Hessian."""
    base, multiples, symbols = ALLOYS[name]
    atoms = make_supercell(base, multiples)
    atoms.set_chemical_symbols(symbols)
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    found = phonons(atoms, EMT(), relax=True, cell=True, supercell="1", mesh_A=10, points=3, temperature_step_K=500)
    whole = found.crystal.conventional.copy()
    whole.calc = EMT()
    hessian, _ = difference_rows(whole, delta=0.01, mobile=np.arange(len(whole)), partial=None, progress=False)
    root = np.sqrt(np.repeat(whole.get_masses(), 3))
    squares = np.linalg.eigvalsh((hessian + hessian.T) / 2 / np.outer(root, root))
    expected = np.sign(squares) * np.sqrt(np.abs(squares)) * found.phonon.unit_conversion_factor
    folded = {
        tuple(np.round((q := np.linalg.inv(found.crystal.multiples) @ k) - np.floor(q + 1e-9), 6))
        for k in itertools.product(range(-3, 4), repeat=3)
    }
    assert len(folded) * len(found.atoms) == len(whole)
    frequencies = found.phonon.run_qpoints(list(folded)).frequencies.ravel()
    np.testing.assert_allclose(np.sort(frequencies), expected, atol=4e-3)
    assert found.crystal.symbol == name


def test_files_open_in_phonopy(copper, tmp_path, monkeypatch):
    copper.save(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    again = phonopy.load("phonopy.yaml", produce_fc=False, log_level=0)
    from phonopy.file_IO import parse_FORCE_CONSTANTS

    again.force_constants = parse_FORCE_CONSTANTS("FORCE_CONSTANTS", p2s_map=again.primitive.p2s_map)
    found = again.run_qpoints(copper.path.wave_vectors).frequencies
    np.testing.assert_allclose(found, copper.bands_THz, atol=1e-6)
    table = np.genfromtxt("thermal.csv", delimiter=",", names=True)
    assert table["entropy_J_mol_K"][-1] == pytest.approx(table["entropy_eV_per_K"][-1] * 96485.3, rel=1e-5)


def test_what_is_no_relaxed_crystal_is_refused(monkeypatch, tmp_path):
    copper = bulk("Cu", a=COPPER_A)
    with refused("periodicity-unsupported", "pbc"):
        phonons(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.3]], cell=[10, 10, 10], pbc=[1, 1, 0]), EMT())
    shifted = Atoms("CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.45, 0.52]], cell=[2.8, 2.8, 3.8], pbc=True)
    with refused("structure-not-relaxed", "fmax", "relax"):
        phonons(shifted, EMT(), supercell="2", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with refused("memory-too-small", "4,000,000"):
        phonons(copper, EMT(), supercell="100")
    with refused("supercell-invalid", "3x3"):
        phonons(copper, EMT(), supercell="3x3")
    with refused("supercell-twice", "length_A"):
        phonons(copper, EMT(), supercell="3", length_A=10)
    with refused("cell-without-relax"):
        phonons(copper, EMT(), cell=True)
    with refused("hessian-missing", "EMT"):
        phonons(copper, EMT(), supercell="2", hessian="exact")


def test_a_symmetry_that_is_kept_is_no_hindrance(copper):
    """What an optimisation with FixSymmetry has written: these recipes keep the symmetry anyhow."""
    atoms = bulk("Cu", a=COPPER_A)
    atoms.set_constraint(FixSymmetry(atoms))
    found = phonons(atoms, EMT(), supercell="3", mesh_A=40, delta=0.01)
    np.testing.assert_allclose(found.bands_THz, copper.bands_THz, atol=1e-5)
    assert not found.atoms.constraints


def test_constraints_charge_and_a_broken_tolerance_are_refused():
    from ase.constraints import FixAtoms

    held = bulk("Cu", a=COPPER_A)
    held.set_constraint(FixAtoms([0]))
    with refused("constraint-unsupported", "FixAtoms"):
        phonons(held, EMT())
    near = Atoms("Cu2", [[0, 0, 0], [0, 0, 0.4]], cell=np.eye(3) * 4, pbc=True)
    with refused("symmetry-not-found", "0.5"):
        phonons(near, EMT(), symprec_A=0.5)


def test_without_phonopy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "phonopy", None)
    with refused("package-missing", "dp-sim[phonons]"):
        phonons(bulk("Cu", a=COPPER_A), EMT())


def test_relaxing_finds_the_cell(copper):
    found = phonons(bulk("Cu", a=3.7), EMT(), relax=True, cell=True, supercell="1", mesh_A=20)
    assert found.atoms.cell.lengths()[0] * np.sqrt(2) == pytest.approx(COPPER_A, abs=2e-4)
    assert abs(found.start.pressure_GPa) < 0.05


def test_a_lattice_that_shears_downhill_is_called_unstable():
    """EMT's copper is fcc; bcc is a saddle point between two fcc lattices, and relaxing keeps its symmetry."""
    found = phonons(bulk("Cu", "bcc", a=2.9), EMT(), relax=True, cell=True, supercell="3", mesh_A=30)
    assert found.crystal.number == 229
    assert not found.is_stable
    assert found.converged
    assert "unstable" in found.summary()
    assert "at N" in found.lowest.words
    assert found.thermal is None
    assert "thermal" not in found.figures()


def test_a_committee_spreads(tmp_path):
    """The spread is the standard deviation of what each member alone gives."""
    files = [write_random_model(tmp_path / f"{seed}.pt", seed=seed, species=("Cu", "O")) for seed in (1, 2)]
    options = {"supercell": "2", "mesh_A": 10, "fmax": 1.0, "points": 5}
    together = phonons(cuprite(), files, **options)
    alone = [phonons(cuprite(), file, **options) for file in files]
    expected = np.std([one.bands_THz for one in alone], axis=0, ddof=1)
    np.testing.assert_allclose(together.bands_std_THz, expected, atol=1e-8)
    np.testing.assert_allclose(together.force_constants, np.mean([one.force_constants for one in alone], axis=0))
    numbers, worth = together.quantities(), SpreadWorth.of(2, None)
    assert numbers["largest_frequency_model_error"].value == pytest.approx(worth.forces.factor * expected.max())
    at_gamma = np.std([one.gamma_frequencies_THz for one in alone], axis=0, ddof=1)
    np.testing.assert_allclose(numbers["gamma_frequencies"].model_error, worth.forces.factor * at_gamma * 33.35641)
    assert "nobody has measured" in numbers["model_errors_from"].value


def test_thermal_properties_of_a_committee_spread(tmp_path):
    """That of what each member alone gives; a member that calls the crystal unstable leaves none."""
    files = {seed: write_random_model(tmp_path / f"{seed}.pt", seed=seed, species=("Cu", "O")) for seed in (1, 4, 5)}
    options = {"supercell": "2", "mesh_A": 10, "points": 5, "temperature_step_K": 100.0}
    atoms = bulk("Cu", a=4.2)  # with these weights stable, and with the first unstable
    together = phonons(atoms, [files[4], files[5]], out=tmp_path / "run", **options)
    alone = [phonons(atoms, files[seed], **options).thermal for seed in (4, 5)]
    for field in ("free_energy_eV", "entropy_eV_per_K", "heat_capacity_eV_per_K", "zero_point_energy_eV"):
        expected = np.std([getattr(one, field) for one in alone], axis=0, ddof=1)
        np.testing.assert_allclose(getattr(together.thermal_std, field), expected, rtol=1e-5, atol=1e-12)
    assert "free_energy_std_eV" in (tmp_path / "run" / "thermal.csv").read_text()
    free, factor = together.quantities()["free_energy_298.15_K"], SpreadWorth.of(2, None).forces.factor
    at = int(np.argmin(np.abs(together.thermal.temperatures_K - 298.15)))
    assert free.model_error == pytest.approx(factor * together.thermal_std.free_energy_eV[at])
    assert free.total_ci95[0] < free.value < free.total_ci95[1]
    np.testing.assert_allclose(together.phonon.force_constants, together.force_constants)
    torn = phonons(atoms, [files[4], files[1]], out=tmp_path / "torn", **options)
    assert torn.thermal_std is None
    assert any("unstable with member 2" in note for note in torn.provenance["notes"])


def test_parts_of_elements_add_up_and_ions_are_spoken_of(model_file, tmp_path):
    found = phonons(cuprite(), model_file, supercell="1", mesh_A=15, out=tmp_path / "run")
    step = np.diff(found.density.frequencies_THz)[0]
    counts = {element: part.sum() * step for element, part in found.density.partial.items()}
    assert counts == pytest.approx({"Cu": 12, "O": 6}, rel=0.01)
    np.testing.assert_allclose(sum(found.density.partial.values()), found.density.total, atol=1e-9)
    assert any("BORN" in note for note in found.provenance["notes"])
    assert (tmp_path / "run" / "dos.csv").read_text().startswith("frequency_THz,total_per_THz,Cu_per_THz,O_per_THz")


def test_heavier_isotopes_slow_by_the_root_of_their_mass(copper):
    heavy = phonons(bulk("Cu", a=COPPER_A), EMT(), isotopes=["Cu=127.092"], supercell="3", mesh_A=20)
    np.testing.assert_allclose(heavy.bands_THz * np.sqrt(2), copper.bands_THz, atol=1e-4)
    mixed = bulk("Cu", a=COPPER_A, cubic=True)
    found = phonons(mixed, EMT(), isotopes=["0=60"], supercell="1", mesh_A=20)
    assert len(found.atoms) == 4  # one atom of four differs: the lattice is simple cubic
    assert found.crystal.number == 221


def test_length_sets_the_heights_of_the_supercell():
    """A hexagonal cell: the height over a face is shorter than the edge."""
    found = phonons(bulk("Ti", "hcp", a=2.6, c=4.2), EMT_LIKE, length_A=7.0, mesh_A=10, fmax=1.0)
    heights = 1 / np.linalg.norm(np.linalg.inv(found.phonon.supercell.cell), axis=0)
    assert heights.min() >= 7.0
    assert np.diag(found.supercell).tolist() == [4, 4, 2]  # 3 edges of 2.6 reach 7.8, but their height 6.75


EMT_LIKE = SpringCrystal(2.0, 2.6, 3.2)


class Interrupted(EMT):
    """EMT, which is interrupted at the supercell after the first few."""

    def __init__(self, patience: int):
        super().__init__()
        self.patience, self.supercells = patience, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        if len(atoms) > 8:
            self.supercells += 1
            if self.supercells > self.patience:
                raise KeyboardInterrupt
        super().calculate(atoms, properties, system_changes)


def test_displacements_go_on_where_they_stopped(tmp_path):
    """A finished run takes another mesh without new forces, too."""
    atoms = Atoms("CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.8, 2.8, 3.7], pbc=True)
    options = {"supercell": "2", "fmax": 5.0, "mesh_A": 10.0, "points": 3, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        phonons(atoms, Interrupted(1), **options)
    second = Interrupted(100)
    resumed = phonons(atoms, second, resume=True, **options)
    whole = phonons(atoms, EMT(), **options | {"out": None})
    np.testing.assert_allclose(resumed.force_constants, whole.force_constants, atol=1e-12)
    assert second.supercells == 1  # of two
    third = Interrupted(0)
    other = phonons(atoms, third, resume=True, **options | {"mesh_A": 15.0})
    assert third.supercells == 0
    assert other.density.total.shape == resumed.density.total.shape
    assert "earlier session" in (tmp_path / "run" / "log.txt").read_text()


def test_a_supercell_of_other_proportions_is_remarked(tmp_path):
    found = phonons(bulk("Cu", a=COPPER_A), EMT(), supercell="2x2x1", mesh_A=10, points=3, out=tmp_path / "run")
    assert any("less symmetry" in note for note in found.provenance["notes"])


class WithHessian(EMT):
    """EMT with the Hessian of another program: differences of 0.001 Angstrom."""

    def get_hessian(self, atoms):
        whole = atoms.copy()
        whole.calc = EMT()
        return difference_rows(whole, delta=0.001, mobile=np.arange(len(atoms)), partial=None, progress=False)[0]


def test_the_hessian_of_another_calculator_is_taken_where_asked(copper):
    atoms, options = bulk("Cu", a=COPPER_A), {"supercell": "1", "mesh_A": 10, "points": 5}
    exact = phonons(atoms, WithHessian(), hessian="exact", **options)
    assert exact.force_constants_source == "exact"
    differences = phonons(atoms, WithHessian(), **options)
    assert "1 displacement" in differences.force_constants_source
    np.testing.assert_allclose(exact.bands_THz, differences.bands_THz, atol=2e-3)


class Antiferromagnet(Calculator):
    """Atoms of opposite moments attract, those of like moments do not see each other."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        moments = atoms.get_initial_magnetic_moments()
        i, j, r, vector = neighbor_list("ijdD", atoms, 3.4)
        seen = moments[i] * moments[j] < 0
        tension = np.where(seen, 2.0 * (r - 2.6), 0.4 * (r - 2.6))
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, (tension / r)[:, None] * vector)
        energy = (np.where(seen, 1.0, 0.2) * (r - 2.6) ** 2).sum() / 2
        self.results = {"energy": float(energy), "forces": forces}


def test_opposite_moments_are_two_kinds_of_atoms():
    """Layers of up and down on an fcc lattice: twice the cell, tetragonal; supercells keep the moments."""
    atoms = bulk("Fe", "fcc", a=2.6 * np.sqrt(2), cubic=True)
    atoms.set_initial_magnetic_moments(np.where(atoms.positions[:, 2] > 0.1, -2.0, 2.0))
    found = phonons(atoms, Antiferromagnet(), supercell="2", mesh_A=10, points=5)
    assert found.crystal.number == 123
    assert found.atoms.get_initial_magnetic_moments().tolist() in ([2, -2], [-2, 2])
    at_gamma = found.gamma_frequencies_THz
    assert len(at_gamma) == 6
    assert at_gamma[3] == pytest.approx(at_gamma[4], abs=1e-6)  # along the layers, and another across them
    assert abs(at_gamma[5] - at_gamma[4]) > 0.5
    free = phonons(bulk("Fe", "fcc", a=2.6 * np.sqrt(2)), Antiferromagnet(), supercell="2", mesh_A=10, points=5)
    assert free.crystal.number == 225


def test_layers_of_opposite_moments_move_together():
    """Up, up, down, down: the elements alone have the symmetry of fcc, which would hold the layers apart."""
    atoms = bulk("Fe", "fcc", a=2.6 * np.sqrt(2), cubic=True) * (1, 1, 2)
    layer = np.rint(atoms.positions[:, 2] / (1.3 * np.sqrt(2))).astype(int)
    atoms.set_initial_magnetic_moments(np.array([2.0, 2.0, -2.0, -2.0])[layer])
    atoms.set_cell(atoms.cell.array @ np.diag([1.0, 1.0, 1.02]), scale_atoms=True)
    found = phonons(atoms, Antiferromagnet(), relax=True, supercell="1", mesh_A=10, points=5)
    heights = np.sort(found.crystal.conventional.get_scaled_positions()[:, 2])
    assert np.ptp(np.diff(np.unique(np.round(heights, 6)))) > 0.005


class TwiceTheModel(DPCalculator):
    """A subclass that does more than its model: here the same once again."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        for name in ("energy", "forces", "stress"):
            self.results[name] = 2 * self.results[name]


def test_what_is_more_than_its_model_has_forces_alone(model_file):
    """The Hessian of the model would leave out the rest."""
    options = {"supercell": "1", "mesh_A": 10, "points": 5, "delta": 0.002}
    once = phonons(cuprite(), model_file, **options)
    twice = phonons(cuprite(), TwiceTheModel(model_file), **options)
    assert "differences" in twice.force_constants_source
    largest = np.abs(once.force_constants).max()
    np.testing.assert_allclose(twice.force_constants, 2 * once.force_constants, atol=1e-4 * largest)
