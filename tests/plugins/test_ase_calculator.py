"""DPCalculator against finite differences, its own committee members, and ASE's protocol."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.optimize import BFGS
from finite_difference import finite_difference_forces
from refusals import refused

import dp_sim
from dp_sim.plugins.ase_calculator import DPCalculator


def energy_of(atoms, calculator, positions):
    moved = atoms.copy()
    moved.positions = positions
    moved.calc = calculator
    return moved.get_potential_energy()


@pytest.mark.parametrize("system", ["ethanol", "triclinic"])
def test_forces_are_the_gradient_and_energies_add_up(system, model_file, request):
    atoms = request.getfixturevalue(system)
    calculator = atoms.calc = DPCalculator(model_file)
    numerical = finite_difference_forces(lambda x: energy_of(atoms, calculator, x), atoms.positions, 1e-4)
    np.testing.assert_allclose(atoms.get_forces(), numerical, atol=1e-6)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_stress_is_the_strain_derivative_per_volume(model_file, triclinic):
    triclinic.calc = DPCalculator(model_file)
    stress = triclinic.get_stress(voigt=False)
    numerical, step = np.zeros((3, 3)), 1e-5
    for i, j in np.ndindex(3, 3):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step
            strained = triclinic.copy()
            strained.set_cell(triclinic.cell @ strain, scale_atoms=True)
            strained.calc = triclinic.calc
            energies.append(strained.get_potential_energy())
        numerical[i, j] = (energies[0] - energies[1]) / (2 * step) / triclinic.get_volume()
    np.testing.assert_allclose(stress, numerical, atol=1e-8)
    np.testing.assert_allclose(stress, stress.T, atol=1e-12)


def test_periodicity_is_per_axis(model_file, triclinic):
    """In a slab the vacuum does not matter, the periodic axes do, and there is no stress."""
    energies = {}
    for name, pbc, height in [("slab", (1, 1, 0), 9.0), ("more vacuum", (1, 1, 0), 30.0), ("cluster", (0, 0, 0), 9.0)]:
        atoms = triclinic.copy()
        atoms.cell[2] = [0.0, 0.0, height]
        atoms.pbc = pbc
        atoms.calc = DPCalculator(model_file)
        energies[name] = atoms.get_potential_energy()
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()
    assert energies["slab"] == pytest.approx(energies["more vacuum"], rel=1e-12)
    assert abs(energies["slab"] - energies["cluster"]) > 1e-3


def test_results_are_kept_until_the_structure_changes(model_file, triclinic, monkeypatch):
    triclinic.calc = DPCalculator(model_file)
    evaluate, calls = triclinic.calc.model.evaluate, []
    monkeypatch.setattr(triclinic.calc.model, "evaluate", lambda *a, **k: calls.append(1) or evaluate(*a, **k))
    triclinic.get_potential_energy(), triclinic.get_forces(), triclinic.get_stress(), triclinic.get_potential_energies()
    assert len(calls) == 1
    triclinic.set_initial_charges(np.arange(len(triclinic)) - (len(triclinic) - 1) / 2)
    with pytest.warns(UserWarning, match="charges on the atoms are not used"):
        triclinic.get_forces()
    assert len(calls) == 1
    triclinic.positions[0, 0] += 0.01
    triclinic.get_forces()
    triclinic.pbc = (True, True, False)
    triclinic.get_forces()
    assert len(calls) == 3


@pytest.mark.parametrize("system", ["ethanol", "triclinic"])
def test_hessian_is_the_derivative_of_the_forces(system, model_file, request):
    atoms = request.getfixturevalue(system)
    calculator = DPCalculator(model_file)
    hessian, step = calculator.get_hessian(atoms), 1e-4
    assert hessian.shape == (3 * len(atoms), 3 * len(atoms))
    numerical = []
    for index in np.ndindex(atoms.positions.shape):
        forces = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index] += sign * step
            moved.calc = calculator
            forces.append(moved.get_forces().ravel())
        numerical.append(-(forces[0] - forces[1]) / (2 * step))
    np.testing.assert_allclose(hessian, numerical, atol=1e-5 * np.abs(hessian).max())


def test_committee_gives_mean_and_spread_of_its_members(committee_files, ethanol):
    ethanol.calc = DPCalculator(committee_files)
    energy, forces = ethanol.get_potential_energy(), ethanol.get_forces()
    energies, all_forces = [], []
    for path in committee_files:
        member = ethanol.copy()
        member.calc = DPCalculator(path)
        energies.append(member.get_potential_energy())
        all_forces.append(member.get_forces())
    assert energy == pytest.approx(np.mean(energies), rel=1e-12)
    np.testing.assert_allclose(forces, np.mean(all_forces, axis=0), atol=1e-12)
    assert ethanol.calc.results["energy_std"] == pytest.approx(np.std(energies, ddof=1), rel=1e-10)
    np.testing.assert_allclose(ethanol.calc.results["forces_std"], np.std(all_forces, axis=0, ddof=1), atol=1e-12)


def test_a_calculator_says_what_its_model_does(model_file):
    calculator = DPCalculator(model_file)
    assert repr(calculator) == f"DPCalculator({calculator.model!r})"
    assert "cutoff" in repr(calculator)


def test_a_single_model_has_no_spread(model_file, ethanol):
    ethanol.calc = DPCalculator(model_file)
    ethanol.get_potential_energy()
    assert "energy_std" not in ethanol.calc.results


def test_float32_weights_cost_little(model_file, ethanol):
    exact, single = ethanol.copy(), ethanol.copy()
    exact.calc, single.calc = DPCalculator(model_file), DPCalculator(model_file, dtype="float32")
    error = np.abs(single.get_forces() - exact.get_forces()).max()
    assert 0 < error < 1e-5 * np.abs(exact.get_forces()).max()


def test_optimiser_goes_downhill(model_file, ethanol):
    ethanol.calc = DPCalculator(model_file)
    before, force = ethanol.get_potential_energy(), np.abs(ethanol.get_forces()).max()
    BFGS(ethanol, logfile=None).run(fmax=0.2 * force, steps=50)
    assert ethanol.get_potential_energy() < before
    assert np.abs(ethanol.get_forces()).max() < force


def test_sella_takes_the_exact_hessian(model_file, ethanol):
    Sella = pytest.importorskip("sella", reason="sella is not installed (extra test)").Sella
    ethanol.calc = DPCalculator(model_file)
    before = ethanol.get_potential_energy()
    Sella(ethanol, order=0, hessian_function=ethanol.calc.get_hessian, logfile=None).run(fmax=1e-3, steps=5)
    assert ethanol.get_potential_energy() < before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda calc: pickle.loads(pickle.dumps(calc))])
def test_copies_and_pickles_give_the_same_numbers(copied, committee_files, ethanol):
    ethanol.calc = DPCalculator(committee_files)
    energy, other = ethanol.get_potential_energy(), ethanol.copy()
    other.calc = copied(ethanol.calc)
    assert other.calc.results["energy"] == energy
    other.positions += 1.0  # elsewhere, so that it is computed anew
    assert other.get_potential_energy() == pytest.approx(energy, rel=1e-12)
    assert other.calc.todict() == ethanol.calc.todict()


def test_a_loaded_model_serves_as_well_as_its_file(model_file, ethanol):
    model = dp_sim.load_model(model_file)
    assert energy_of(ethanol, DPCalculator(model), ethanol.positions) == pytest.approx(
        energy_of(ethanol, DPCalculator(model_file), ethanol.positions), rel=1e-14
    )
    with refused("option-not-for-loaded-models", "load_model"):
        DPCalculator(model, dtype="float32")


def nan_position(atoms):
    atoms.positions[3] = np.nan


def two_on_one_spot(atoms):
    atoms.positions[1] = atoms.positions[0]


def unknown_element(atoms):
    atoms.symbols[0] = "Fe"


def flat_cell(atoms):
    atoms.pbc = True
    atoms.cell = [5.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (nan_position, ("position-not-finite", "3")),
        (two_on_one_spot, ("atoms-coincide",)),
        (unknown_element, ("species-unknown",)),
        (flat_cell, ("cell-without-volume",)),
    ],
)
def test_bad_structures_are_refused_by_name(spoil, refusal, model_file, ethanol):
    ethanol.calc = DPCalculator(model_file)
    ethanol.get_potential_energy()
    spoil(ethanol)
    with refused(*refusal):
        ethanol.get_potential_energy()
    with refused(*refusal):  # and again: nothing of the failed attempt is kept
        ethanol.get_forces()


def test_no_atoms_are_refused(model_file):
    with refused("atoms-missing"):
        Atoms(calculator=DPCalculator(model_file)).get_potential_energy()


@pytest.mark.parametrize("what", [None, 123])
def test_what_is_no_model_is_one_sentence(what):
    with refused("model-invalid", what):
        DPCalculator(what)


def test_threads_may_share_a_model(model_file, triclinic):
    model = dp_sim.load_model(model_file)
    rng = np.random.default_rng(6)
    trajectories = [[rng.normal(scale=0.02, size=(len(triclinic), 3)) for _ in range(30)] for _ in range(2)]

    def energies(steps):
        calculator = DPCalculator(model)
        return [energy_of(triclinic, calculator, triclinic.positions + step) for step in steps]

    expected = [energies(steps) for steps in trajectories]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(energies, trajectories))
    np.testing.assert_allclose(got, expected, rtol=1e-14)


@pytest.mark.parametrize(("array", "words"), [("initial_charges", "charges"), ("initial_magmoms", "magnetic moments")])
def test_what_atoms_state_and_a_model_does_not_know_is_said_once(array, words, model_file, ethanol):
    """Charges that sum to zero: a charge in all is refused."""
    ethanol.calc = DPCalculator(model_file)
    expected = ethanol.get_potential_energy()
    ethanol.set_array(array, np.array([0.4, -0.4] + [0.0] * (len(ethanol) - 2)))
    with pytest.warns(UserWarning, match=words):
        assert ethanol.get_potential_energy() == expected
    ethanol.rattle(0.01)
    ethanol.get_potential_energy()  # a second warning would be an error
    ethanol.info["charge"] = 1
    with refused("charge-unsupported"):
        ethanol.get_potential_energy()  # known already, of the neutral molecule
