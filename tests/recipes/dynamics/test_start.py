"""What a run of dynamics starts from: momenta, cells, constraints and temperatures, honoured, told or refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.constraints import FixAtoms, FixBondLength, FixCom, Hookean
from ase.io import read, write
from refusals import refused
from systems_dynamics import einstein_crystal

from dp_sim.recipes import run_npt, run_nve, run_nvt


def notes_of(result):
    return " ".join(result.provenance.get("notes", []))


def test_momenta_on_fixed_atoms(tmp_path):
    """Through a file: fixed copper with momenta read 443 K and drifted by 45 meV/atom/ns; it stays where it is."""
    slab = fcc111("Cu", (2, 2, 3), vacuum=8)
    slab.info = {}
    slab.set_constraint(FixAtoms([0, 1, 2, 3]))
    rng = np.random.default_rng(0)
    momenta = rng.normal(size=(12, 3))
    momenta *= np.sqrt(12 * 3 * 8.617333262e-5 * 300 / 2 / (momenta**2 / slab.get_masses()[:, None] / 2).sum())
    slab.set_array("momenta", momenta)
    write(tmp_path / "slab.extxyz", slab)
    loaded = read(tmp_path / "slab.extxyz")
    assert loaded.get_momenta()[:4].any()
    free = (momenta[4:] ** 2 / slab.get_masses()[4:, None] / 2).sum()
    result = run_nve(loaded, EMT(), steps=200, timestep_fs=2, sample_every=2, progress=False)
    assert result.degrees_of_freedom == 24
    assert result.rows[0].kinetic_eV == pytest.approx(free)
    assert result.rows[0].temperature_K == pytest.approx(2 * free / (24 * 8.617333262e-5))
    assert np.array_equal(result.atoms.positions[:4], loaded.positions[:4])
    assert np.ptp(result.series("total_eV")) < 2e-3
    assert "4 fixed atoms had momenta" in notes_of(result)


def test_a_structure_that_flies_and_turns_is_told():
    """N2 with 1 eV of drift and a given rotation: energies as Newton has them; the drift is taken away."""
    atoms = Atoms("Cu2", [[0, 0, -1.2], [0, 0, 1.2]])
    mass = atoms.get_masses()[0]
    drift = np.sqrt(2 * 1.0 / (2 * mass))  # velocity with which both carry 1 eV
    turn = np.sqrt(2 * 0.5 / (2 * mass))  # and turn with 0.5 eV
    atoms.set_velocities([[drift, turn, 0], [drift, -turn, 0]])
    result = run_nve(atoms, MorsePotential(epsilon=2.0, r0=2.4, rho0=6.0), steps=50, timestep_fs=1, progress=False)
    notes = notes_of(result)
    assert "(1 eV), which is taken away" in notes
    assert "(0.5 eV), which is kept" in notes
    assert result.rows[0].kinetic_eV == pytest.approx(0.5)
    assert np.abs(result.atoms.get_momenta().sum(axis=0)).max() < 1e-9
    quiet = run_nve(bulk("Cu", cubic=True), EMT(), temperature_K=300, steps=10, progress=False)
    assert "as a whole" not in notes_of(quiet)


@pytest.mark.parametrize(
    ("recipe", "constraint", "named"),
    [
        (run_nvt, FixBondLength(0, 1), ("FixBondLength",)),
        (run_nve, Hookean(0, 1, k=5.0, rt=3.0), ("Hookean",)),
        (run_nvt, FixCom(), ("FixCom",)),
        (run_npt, FixAtoms([0]), ("FixAtoms", "constant pressure")),
        (run_npt, FixBondLength(0, 1), ("FixBondLength",)),
    ],
)
def test_constraints_that_an_ensemble_cannot_take(recipe, constraint, named):
    atoms = bulk("Cu", cubic=True)
    atoms.set_constraint(constraint)
    with refused("constraint-unsupported", *named):
        recipe(atoms, EMT(), temperature_K=300, steps=10)


@pytest.mark.parametrize("temperature_K", [0, -5, -0.0])
@pytest.mark.parametrize("recipe", [run_nve, run_nvt, run_npt])
def test_temperatures_that_are_none(recipe, temperature_K):
    with refused("setting-out-of-range", "temperature_K", "above 0", "K"):
        recipe(bulk("Cu", cubic=True), EMT(), temperature_K=temperature_K, steps=10)


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_constant_pressure_needs_a_bulk(pbc):
    atoms = bulk("Cu", cubic=True)
    atoms.pbc = pbc
    with refused("periodicity-unsupported", "constant pressure", "nvt"):
        run_npt(atoms, EMT(), temperature_K=300, steps=10)


def test_a_cell_shorter_than_the_cutoff_is_told(request):
    """One molecule of water in a box of 3.5 Angstrom, the model reaches farther; not for another calculator."""
    folder = request.config.rootpath / "example_systems" / "water"
    atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[3.5, 6, 12], pbc=True)
    result = run_nvt(atoms, folder / "water.pt", temperature_K=300, steps=10, progress=False)
    assert "3.50 A high along a" in notes_of(result)
    assert "images" not in notes_of(run_nvt(bulk("Cu"), EMT(), temperature_K=300, steps=10, progress=False))


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("masses", lambda atoms: atoms.set_masses([39.0] * 6)),
        ("charges on atoms", lambda atoms: atoms.set_initial_charges([0.1, -0.1, 0, 0, 0, 0])),
        ("magnetic moments", lambda atoms: atoms.set_initial_magnetic_moments([1, -1, 0, 0, 0, 0])),
        ("momenta", lambda atoms: atoms.set_momenta(np.ones((6, 3)))),
        ("positions", lambda atoms: atoms.positions.__setitem__((0, 0), 0.1)),
        ("constraints", lambda atoms: atoms.set_constraint(FixAtoms([1]))),
    ],
)
def test_another_structure_is_not_resumed(tmp_path, what, change):
    atoms, calculator = einstein_crystal(6)
    settings = {"temperature_K": 300, "steps": 20, "out": tmp_path / "run", "progress": False}
    run_nvt(atoms, calculator, **settings)
    change(atoms)
    with refused("run-differs", what):
        run_nvt(atoms, calculator, **{**settings, "steps": 40}, resume=True)


def test_other_parameters_of_the_calculator_are_not_resumed(tmp_path):
    atoms = Atoms("Cu2", [[0, 0, 0], [0, 0, 2.4]])
    settings = {"temperature_K": 300, "steps": 20, "out": tmp_path / "run", "progress": False}
    run_nvt(atoms, MorsePotential(epsilon=2.0, r0=2.4), **settings)
    with refused("run-differs", "epsilon", "2.0", "3.0"):
        run_nvt(atoms, MorsePotential(epsilon=3.0, r0=2.4), **settings, resume=True)


@pytest.mark.parametrize("setting", [{"velocities": True}, {"relax": True}, {"timestep_fs": 3.0}])
def test_other_settings_are_not_resumed(tmp_path, setting):
    atoms, calculator = einstein_crystal(6)
    settings = {"temperature_K": 300, "steps": 20, "out": tmp_path / "run", "progress": False}
    run_nvt(atoms, calculator, **settings)
    with refused("run-differs", *setting):
        run_nvt(atoms, calculator, **settings, **setting, resume=True)
