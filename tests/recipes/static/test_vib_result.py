"""What `vibrations` tells of a structure: verdict, spectra and tables at GFN2-xTB, isotopes, and what it refuses."""

import json

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refused

from dp_sim.recipes import optimize, vibrations


def gfn2(**keywords):
    return pytest.importorskip("tblite.ase", reason="tblite is an optional package").TBLite(verbosity=0, **keywords)


def four_point(atoms: Atoms, calculator) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (3N,), cm^-1, and intensities, km/mol: differences of fourth order, nothing projected out, SI units.

    f' = [8 f(h) - 8 f(-h) - f(2h) + f(-2h)] / 12 h; the error of f(h) - f(-h), of second order, cancels.
    """
    h, gradients, dipoles = 0.01, [], []
    for coordinate in range(3 * len(atoms)):
        gradient, dipole = np.zeros(3 * len(atoms)), np.zeros(3)
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = atoms.copy()
            moved.positions.flat[coordinate] += steps * h
            gradient -= weight * calculator.get_forces(moved).ravel() / (12 * h)
            dipole += weight * calculator.get_dipole_moment(moved) / (12 * h)
        gradients.append(gradient)
        dipoles.append(dipole)
    root = np.repeat(np.sqrt(atoms.get_masses() * units._amu), 3)
    hessian = (np.array(gradients) + np.array(gradients).T) / 2 * units._e * 1e20 / np.outer(root, root)
    values, vectors = np.linalg.eigh(hessian)
    frequencies = np.sign(values) * np.sqrt(np.abs(values)) / (2 * np.pi * units._c * 100)
    along = (vectors.T / root) @ (np.array(dipoles) * units._e)  # C / kg^1/2
    absorbed = units._Nav / (12 * units._eps0 * units._c**2) * (along**2).sum(axis=1) / 1000
    return frequencies, absorbed


def start(name: str) -> Atoms:
    if name == "HC6H":
        return Atoms(name, [[0, 0, z] for z in np.cumsum([0, 1.06, 1.21, 1.36, 1.21, 1.36, 1.21, 1.06])])
    return molecule(name)


@pytest.mark.parametrize("name", ["H2", "H2O", "CO2", "NH3", "HC6H", "CH3CH2OH"])
def test_against_differences_of_fourth_order_at_gfn2(name):
    atoms = optimize(start(name), gfn2(), fmax=0.002).atoms
    result = vibrations(atoms, gfn2(accuracy=0.01))
    frequencies, absorbed = four_point(atoms, gfn2(accuracy=0.01))
    modes = len(result.frequencies_cm1)
    np.testing.assert_allclose(result.frequencies_cm1, frequencies[-modes:], atol=1.0)
    # Degenerate modes share what they absorb.
    np.testing.assert_allclose(result.intensities_km_mol.sum(), absorbed[-modes:].sum(), rtol=0.01, atol=0.01)
    assert result.is_minimum


def test_an_atom_in_a_periodic_cell_is_no_gas(tmp_path):
    """The primitive cell of copper is not copper vapour, whose entropy is 166 J/mol/K; outside of a cell it is."""
    crystal = vibrations(bulk("Cu", a=3.59), EMT(), out=tmp_path / "crystal")
    table = crystal.thermochemistry([298.15])
    assert table.method == "harmonic"
    assert table.entropy_J_mol_K[0] == 0
    assert any("phonons" in note for note in crystal.provenance["notes"])
    with refused("method-needs-gas", "pbc"):
        crystal.thermochemistry([298.15], method="ideal-gas")
    vapour = vibrations(Atoms("Cu"), EMT()).thermochemistry([298.15], spin_multiplicity=2)
    assert vapour.entropy_J_mol_K[0] == pytest.approx(166.4, abs=0.1)


@pytest.mark.parametrize(
    ("name", "group", "entropy"), [("H2O", "C2v", 188.8), ("CO2", "Dinfh", 213.8), ("CH4", "Td", 186.3)]
)
def test_entropies_at_gfn2_are_those_of_published_tables(name, group, entropy):
    """Within what GFN2's frequencies (CO2's bend is 10 % low) and bond lengths allow."""
    pytest.importorskip("pymsym", reason="pymsym is an optional package")
    result = vibrations(molecule(name), gfn2(), relax=True)
    table = result.thermochemistry([298.15], 1.0)
    assert table.point_group == group
    assert table.entropy_J_mol_K[0] == pytest.approx(entropy, abs=0.6)


def planar_ammonia() -> Atoms:
    flat = Atoms("NH3", [[0, 0, 0], [1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]])
    return optimize(flat, gfn2(), fmax=0.002).atoms


def test_planar_ammonia_is_a_transition_state_in_words_and_first_on_the_page(tmp_path):
    result = vibrations(planar_ammonia(), gfn2(), out=tmp_path / "vib", symmetry_number=6)
    assert result.converged
    assert not result.is_minimum
    assert result.verdict == "transition state"
    page = (tmp_path / "vib" / "report.html").read_text()
    assert page.index("Transition state") < page.index("<table")
    content = json.loads((tmp_path / "vib" / "result.json").read_text())
    assert next(iter(content["values"])) == "verdict"
    assert content["outcome"].startswith("transition state")
    assert "transition state" in result.summary().splitlines()[0]
    # The motion through the plane is left out of the partition function.
    assert str(round(result.frequencies_cm1[0])) in result.thermochemistry([300.0]).notes[0]


class Field(Calculator):
    """E = sum_i k_i x_i^2 / 2 of one atom: curvatures as planted; half its charge makes the dipole."""

    implemented_properties = ("energy", "forces", "dipole")

    def __init__(self, *k: float):
        super().__init__()
        self.k = np.array(k)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        x = atoms.positions
        self.results = {"energy": np.sum(self.k * x**2) / 2, "forces": -self.k * x, "dipole": 0.5 * x.sum(axis=0)}


@pytest.mark.parametrize(
    ("curvatures", "verdict"),
    [
        ((1, 2, 3), "minimum"),
        ((-1, 2, 3), "transition state"),
        ((-1, 2, -3), "saddle point of order 2"),
        ((-0.001, 2, 3), "minimum"),  # 521 sqrt(0.001 / 40) = 3 cm^-1 cannot be told from a flat direction
    ],
)
def test_planted_curvatures(curvatures, verdict):
    result = vibrations(Atoms("Ar"), Field(*curvatures))
    assert result.verdict == verdict
    assert result.is_minimum == (verdict == "minimum")
    if verdict == "saddle point of order 2":
        assert "saddle point of order 2" in result.summary()
        with refused("structure-not-minimum", "order 2"):
            result.thermochemistry([300])


def test_downhill_ways_of_the_whole_are_told_from_those_of_the_molecule():
    """Argon on a saddle of its field turns and moves as a whole; planar ammonia turns over by itself."""
    assert "how the whole turns or moves" in vibrations(Atoms("Ar"), Field(-1, 2, 3)).outcome
    assert "the whole" not in vibrations(planar_ammonia(), gfn2()).outcome


def test_a_charge_in_a_field_absorbs_as_it_should():
    """A charge q of mass m: N_A q^2 / (12 eps_0 c^2 m) along each axis, whichever way the Hessian is made."""
    expected = units._Nav * (0.5 * units._e) ** 2 / (12 * units._eps0 * units._c**2 * 39.95 * units._amu) / 1000
    atoms = Atoms("Ar", masses=[39.95])
    for calculator in (Field(1, 2, 3), Field(1, 2, 3)):
        np.testing.assert_allclose(vibrations(atoms, calculator).intensities_km_mol, expected, rtol=1e-4)
        calculator.get_hessian = lambda _: np.diag([1.0, 2.0, 3.0])
        exact = vibrations(atoms, calculator)
        assert exact.hessian_source == "exact"
        np.testing.assert_allclose(exact.intensities_km_mol, expected, rtol=1e-4)
    periodic = Atoms("Ar", masses=[39.95], cell=[9, 9, 9], pbc=True)
    assert vibrations(periodic, Field(1, 2, 3)).intensities_km_mol is None


def test_the_time_step_is_a_twentieth_of_the_shortest_period():
    result = vibrations(Atoms("Ar", masses=[40.0]), Field(1, 2, 3))
    period_fs = 2 * np.pi * np.sqrt(40.0 * units._amu / (3 * units._e * 1e20)) * 1e15
    assert result.largest_timestep_fs == pytest.approx(period_fs / 20, rel=1e-4)


def test_an_unrelaxed_structure_gets_a_verdict_and_no_thermochemistry(tmp_path):
    result = vibrations(molecule("H2O"), EMT(), out=tmp_path / "vib")
    assert (result.verdict, result.is_minimum) == ("not relaxed", False)
    assert "--relax" in result.cause
    assert f"{result.fmax_eV_A:.3g}" in result.cause
    with refused("structure-not-stationary", "--relax"):
        result.thermochemistry([300])
    assert not (tmp_path / "vib" / "thermochemistry.csv").exists()


def test_relax_goes_first_and_is_kept(tmp_path):
    result = vibrations(molecule("H2O"), EMT(), relax=True, symmetry_number=2, out=tmp_path / "vib")
    assert result.verdict == "minimum"
    assert result.fmax_eV_A <= 0.002
    again = vibrations(molecule("H2O"), EMT(), relax=True, symmetry_number=2, out=tmp_path / "vib", resume=True)
    np.testing.assert_allclose(again.frequencies_cm1, result.frequencies_cm1, atol=1e-3)
    table = (tmp_path / "vib" / "thermochemistry.csv").read_text().splitlines()
    assert [float(line.split(",")[0]) for line in table[1:4]] == [100.0, 200.0, 298.15]


def test_isotopes_move_the_frequencies_of_a_diatomic_by_the_root_of_the_reduced_masses():
    hydrogen = optimize(molecule("H2"), EMT(), fmax=1e-3).atoms
    light, mixed, heavy = (
        vibrations(hydrogen, EMT(), isotopes=isotopes).frequencies_cm1[0]
        for isotopes in (["H=1H"], ["H=1H", "1=D"], ["H=D"])
    )
    assert light / heavy == pytest.approx(np.sqrt(2.01410178 / 1.00782503), rel=1e-6)
    assert light / mixed == pytest.approx(np.sqrt(2 * 2.01410178 / (1.00782503 + 2.01410178)), rel=1e-5)
    with refused("isotope-unknown", "13C"):
        vibrations(hydrogen, EMT(), isotopes=["H=13C"])


def test_a_crystal_is_harmonic_and_refuses_to_be_a_gas():
    result = vibrations(bulk("Cu") * (2, 1, 1), EMT())
    assert result.thermochemistry([300.0]).method == "harmonic"
    with refused("method-needs-gas", "harmonic"):
        result.thermochemistry([300.0], method="ideal-gas")


def test_an_atom_alone_is_a_gas_without_vibrations():
    result = vibrations(Atoms("Cu"), EMT(), spin_multiplicity=2)
    assert result.verdict == "minimum"
    assert result.largest_timestep_fs is None
    table = result.thermochemistry([298.15], 1.0)
    assert table.entropy_J_mol_K[0] == pytest.approx(166.40, abs=0.05)  # NIST-JANAF, Cu(g)
    assert table.zero_point_energy_eV == 0


def test_a_molecule_in_a_periodic_cell_is_the_same_gas():
    free = optimize(molecule("H2O"), EMT(), fmax=0.002).atoms
    boxed = Atoms(free.numbers, free.positions, cell=[12, 13, 14], pbc=True)
    boxed.wrap()
    tables = [vibrations(atoms, EMT(), symmetry_number=2).thermochemistry([298.15]) for atoms in (free, boxed)]
    np.testing.assert_allclose(tables[0].gibbs_energy_eV, tables[1].gibbs_energy_eV, atol=1e-6)


def test_a_hessian_that_does_not_fit_is_refused_before_it_is_begun(tmp_path, monkeypatch):
    """Of 9 mobile atoms of 10 it takes 10 * 8 * 27^2 bytes with its modes."""
    crystal = bulk("Cu") * (10, 1, 1)
    crystal.set_constraint(FixAtoms([0]))
    needed = 10 * 8 * 27**2
    monkeypatch.setattr("dp_sim.recipes.inputs.memory.free_memory", lambda: needed / 0.8 - 1)
    with refused("memory-too-small", "9 atoms", "FixAtoms"):
        vibrations(crystal, EMT(), out=tmp_path / "vib")
    assert not (tmp_path / "vib").exists()
    monkeypatch.setattr("dp_sim.recipes.inputs.memory.free_memory", lambda: needed / 0.8 + 1)
    vibrations(crystal, EMT(), out=tmp_path / "vib")
    assert "9 atoms, with its modes, takes some 5.8e-05 GB" in (tmp_path / "vib" / "log.txt").read_text()


class OnlyEnergy(Calculator):
    """A calculator without forces."""

    implemented_properties = ("energy",)

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0}


def test_a_calculator_without_forces_is_named():
    with refused("calculator-failed", "OnlyEnergy", "forces"):
        vibrations(molecule("H2O"), OnlyEnergy())


@pytest.mark.parametrize(
    "options",
    [
        {"pressure_bar": 0.0},
        {"temperature_min_K": 0.0},
        {"temperature_min_K": 500.0, "temperature_max_K": 400.0},
        {"temperature_step_K": -1.0},
        {"symmetry_number": 0},
        {"spin_multiplicity": 0},
        {"width_cm1": float("nan")},
    ],
)
def test_settings_out_of_range(options):
    with refused("setting-out-of-range", next(iter(options)).split("_")[0]):
        vibrations(molecule("H2O"), EMT(), **options)
