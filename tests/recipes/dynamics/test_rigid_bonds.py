"""Rigid bonds without an engine: which are held, what of momenta, vibrations and pressure they leave."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.constraints import FixAtoms
from ase.io import read
from refusals import refused

from dp_sim import load_model
from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.engines.velocities import start_velocities
from dp_sim.recipes.dynamics.fastest_vibration import highest_frequency_cm1
from dp_sim.recipes.dynamics.remarks import stretch_remark
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds
from dp_sim.recipes.dynamics.rigid_bonds.pressure import group_virial, kinetic_tensor
from dp_sim.recipes.dynamics.rigid_bonds.search import find_rigid_bonds, rigid_bonds_words

WATER, WATER_MODEL = "example_systems/water/water.extxyz", "example_systems/water/water.pt"


def rates(bonds: RigidBonds, atoms: Atoms) -> np.ndarray:
    """d . (v_b - v_a) of each bond."""
    velocities = atoms.get_velocities()
    return np.einsum("ki,ki->k", bonds.vectors(atoms), velocities[bonds.pairs[:, 1]] - velocities[bonds.pairs[:, 0]])


def test_every_hydrogen_of_ethanol_and_of_the_liquid():
    ethanol = molecule("CH3CH2OH")
    bonds = find_rigid_bonds(ethanol)
    assert len(bonds) == 6
    assert (ethanol.numbers[bonds.pairs[:, 0]] > 1).all()
    assert bonds.inner_momenta == 3 * (9 - 3) - 6
    hydroxyl = ethanol.numbers[bonds.pairs[:, 0]] == 8
    assert bonds.lengths_A[hydroxyl] == pytest.approx([0.971], abs=1e-3)
    assert "6 bonds" in rigid_bonds_words(bonds, ethanol)
    assert "5 C-H of 1.09" in rigid_bonds_words(bonds, ethanol)
    water = read(WATER)
    water.wrap()
    liquid = find_rigid_bonds(water)
    assert len(liquid) == 128
    assert len(set(liquid.groups.tolist())) == 64
    whole = liquid.whole(water)
    lengths = np.linalg.norm(whole[liquid.pairs[:, 1]] - whole[liquid.pairs[:, 0]], axis=1)
    assert lengths == pytest.approx(liquid.lengths_A, abs=1e-12)
    assert "--relax" in rigid_bonds_words(liquid, water)  # a snapshot at 330 K


def test_momenta_on_the_bonds_that_are_held():
    """Maxwell-Boltzmann on 3 N - K directions: (f / 2) k_B T, with f k_B^2 T^2 / 2 as variance."""
    ethanol = molecule("CH3CH2OH")
    bonds, rng = find_rigid_bonds(ethanol), np.random.default_rng(1)
    conditions = Conditions(timestep_fs=1.0, temperature_K=300.0)
    kinetic = []
    for _ in range(2000):
        atoms = ethanol.copy()
        assert start_velocities(atoms, conditions, rng, rigid_bonds=bonds) == 27 - 6
        kinetic.append(atoms.get_kinetic_energy())
    assert np.abs(rates(bonds, atoms)).max() < 1e-12
    kT = units.kB * 300.0
    assert np.mean(kinetic) == pytest.approx(21 / 2 * kT, rel=4 * np.sqrt(2 / 21 / 2000))
    assert np.var(kinetic) == pytest.approx(21 / 2 * kT**2, rel=0.2)
    still = Conditions(timestep_fs=1.0, start_temperature_K=300.0)
    assert start_velocities(atoms, still, rng, rigid_bonds=bonds) == 27 - 6 - 3
    assert np.abs(rates(bonds, atoms)).max() < 1e-12
    assert np.abs(atoms.get_momenta().sum(axis=0)).max() < 1e-12


def test_momenta_of_the_structure_are_told_where_they_stretch():
    atoms = molecule("H2O")
    bonds = find_rigid_bonds(atoms)
    atoms.set_velocities(np.cross([0.1, 0.2, 0.3], atoms.positions))
    assert stretch_remark(atoms, bonds) == ""  # a rotation keeps all lengths
    atoms.set_velocities(atoms.positions - atoms.get_center_of_mass())
    assert "100 %" not in stretch_remark(atoms, bonds)  # the O moves, the angle opens
    assert "taken away" in stretch_remark(atoms, bonds)
    assert stretch_remark(atoms, None) == ""


def test_the_fastest_vibration_beside_the_bonds():
    """Of ethanol's 27 modes the O-H and C-H stretches (2900 to 3700 cm^-1) go; bends of 1500 cm^-1 are left."""
    ethanol = read("example_systems/ethanol/ethanol.extxyz")
    model = "example_systems/ethanol/ethanol.pt"
    from dp_sim.plugins.ase_calculator import DPCalculator

    calculator = DPCalculator(model)
    bonds = find_rigid_bonds(ethanol)
    assert highest_frequency_cm1(ethanol, calculator) > 3300
    held = highest_frequency_cm1(ethanol, calculator, 40, bonds)
    # Of the whole Hessian: P H P, with P the projection in mass-weighted coordinates.
    root = np.repeat(np.sqrt(ethanol.get_masses()), 3)
    hessian = calculator.get_hessian(ethanol) / np.outer(root, root)
    columns = [
        root * bonds.without_stretch((one / root).reshape(-1, 3), ethanol.get_masses(), bonds.vectors(ethanol)).ravel()
        for one in np.eye(27)
    ]
    projection = np.array(columns).T
    assert np.allclose(projection @ projection, projection)
    assert np.linalg.matrix_rank(projection) == 27 - 6
    largest = np.linalg.eigvalsh(projection @ hessian @ projection)[-1]
    assert held == pytest.approx(
        units._hbar * np.sqrt(largest * units._e / units._amu) * 1e10 / units._e / units.invcm, rel=2e-3
    )
    assert 1350 < held < 1650


def test_the_virial_of_groups_is_the_slope_of_the_energy():
    """-dU/dV with the centres of the molecules scaled and the molecules rigid, of a model of water."""
    model, atoms = load_model(WATER_MODEL, dtype="float64"), read(WATER)
    bonds = find_rigid_bonds(atoms)
    masses, positions = atoms.get_masses(), bonds.whole(atoms)
    atoms.positions = positions
    out = model.evaluate(atoms, forces=True, virial=True)
    virial = group_virial(bonds, out.virial[0].numpy(), masses, positions, out.forces.numpy())
    centres = np.array(
        [
            np.average(positions[bonds.groups == group], axis=0, weights=masses[bonds.groups == group])
            for group in range(64)
        ]
    )[bonds.groups]
    for strain in (np.eye(3), np.diag([1.0, 0, 0]), np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]])):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            step = sign * 1e-4 * strain
            moved.set_cell(atoms.cell.array @ (np.eye(3) + step))
            moved.positions = positions + centres @ step
            energies.append(float(model.evaluate(moved).energy))
        assert (virial * strain).sum() == pytest.approx(-(energies[0] - energies[1]) / 2e-4, rel=1e-5, abs=1e-4)
    # All atoms scaled, as without rigid bonds, is another number.
    assert abs(np.trace(out.virial[0].numpy()) - np.trace(virial)) > 1.0


def test_the_kinetic_part_is_that_of_the_centres():
    """<sum_g P_g^2 / M_g> = 3 k_B T a group, whatever turns within it."""
    atoms = read(WATER)
    bonds, rng = find_rigid_bonds(atoms), np.random.default_rng(2)
    conditions = Conditions(timestep_fs=1.0, temperature_K=300.0)
    found = []
    for _ in range(200):
        start_velocities(atoms, conditions, rng, rigid_bonds=bonds)
        found.append(np.trace(kinetic_tensor(bonds, atoms.get_masses(), atoms.get_velocities())))
    assert np.mean(found) == pytest.approx(3 * 64 * units.kB * 300, rel=4 * np.sqrt(2 / (3 * 64 * 200)))


def bridge() -> Atoms:
    return Atoms("OHOHH", [[0, 0, 0], [1.1, 0, 0], [2.2, 0, 0], [-0.6, 0.75, 0], [2.8, 0.75, 0]])


@pytest.mark.parametrize(
    ("atoms", "code", "named"),
    [
        (Atoms("Ar2", [[0, 0, 0], [4, 0, 0]]), "rigid-bonds-none", ("no hydrogen",)),
        (Atoms("HAr", [[0, 0, 0], [4, 0, 0]]), "rigid-bonds-none", ("1 hydrogens",)),
        (bridge(), "rigid-bond-bridge", ("atom 1 (H)", "0 (O) at 1.10", "2 (O)")),
        (Atoms(molecule("H2O"), constraint=FixAtoms([0])), "rigid-bond-fixed", ("atom 0", "FixAtoms")),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_cannot_be_held_is_refused(atoms, code, named, tmp_path):
    with refused(code, *named):
        find_rigid_bonds(atoms)


def test_ase_holds_none(tmp_path):
    with refused("option-not-for-engine", "rigid_bonds", "openmm", "ase"):
        run_nvt(
            molecule("H2O"), "example_systems/water/water.pt", temperature_K=300, steps=10, rigid_bonds="hydrogen",
            out=tmp_path / "run", progress=False,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
