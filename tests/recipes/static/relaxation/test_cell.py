"""Relaxation of the cell: what may change does, what is kept stays, and the forces are the energy's derivative."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms, FixBondLength, FixCartesian
from ase.filters import FrechetCellFilter
from ase.io import read
from random_model import write_random_model
from refusals import refused

from dp_sim.recipes import optimize
from dp_sim.recipes.static.relaxation.cell_filter import StrainFilter
from dp_sim.recipes.static.relaxation.strain import strain_space
from dp_sim.units import EV_PER_A3_IN_GPA

#: Of EMT copper: a = 3.5900 Angstrom at zero stress (fit of its equation of state by ASE).
COPPER_A = 3.5900


def copper(a: float = 3.7, rattled: float = 0.1) -> Atoms:
    crystal = bulk("Cu", a=a, cubic=True)
    crystal.rattle(rattled, seed=1)
    crystal.calc = EMT()
    return crystal


def some_strain(seed: int = 3) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(scale=0.05, size=(3, 3))
    return (matrix + matrix.T) / 2


def test_the_whole_cell_moves_as_in_the_filter_of_ase():
    ours, theirs = copper(), copper()
    filter_ours = StrainFilter(ours, strain_space(ours), pressure_GPa=3.0)
    filter_theirs = FrechetCellFilter(theirs, scalar_pressure=3.0 / EV_PER_A3_IN_GPA)
    place = filter_ours.get_positions()
    place[:-3] += np.random.default_rng(1).normal(scale=0.05, size=(4, 3))
    place[-3:] = 2 * some_strain()  # sqrt(4) U
    filter_ours.set_positions(place)
    there = filter_theirs.get_positions()
    there[:-3], there[-3:] = place[:-3], there[-3:] + 4 * some_strain()
    filter_theirs.set_positions(there)
    np.testing.assert_allclose(ours.cell, theirs.cell, atol=1e-12)
    np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-12)
    np.testing.assert_allclose(filter_ours.get_positions(), place, atol=1e-12)
    mine, other = filter_ours.get_forces(), filter_theirs.get_forces()
    np.testing.assert_allclose(mine[:-3], other[:-3], atol=1e-11)
    symmetric = (other[-3:] + other[-3:].T) / 2  # its antisymmetric part would turn the crystal
    np.testing.assert_allclose(2 * mine[-3:], 4 * symmetric, atol=1e-9)
    assert filter_ours.get_potential_energy() == pytest.approx(filter_theirs.get_potential_energy(), abs=1e-12)


@pytest.mark.parametrize(
    "kept",
    [{}, {"keep_shape": True}, {"keep_volume": True}, {"components": ("xx", "xy")},
     {"components": ("xx", "zz"), "keep_shape": True}, {"components": ("yy", "zz", "yz"), "keep_volume": True}],
)  # fmt: skip
def test_forces_are_the_derivative_along_what_may_change(kept):
    """Differences of fourth order along a random direction in the space, away from the start."""
    crystal = copper()
    space = strain_space(crystal, **kept)
    cell = StrainFilter(crystal, space, pressure_GPa=2.0)
    place = cell.get_positions()
    place[-3:] = 2 * space.project(some_strain())
    direction = np.random.default_rng(5).normal(size=place.shape)
    direction[-3:] = space.project(direction[-3:])

    def energy(step: float) -> float:
        cell.set_positions(place + step * direction)
        return cell.get_potential_energy()

    h = 1e-3
    slope = (8 * (energy(h) - energy(-h)) - (energy(2 * h) - energy(-2 * h))) / (12 * h)
    energy(0.0)
    assert np.sum(cell.get_forces() * direction) == pytest.approx(-slope, rel=1e-6)
    if "keep_volume" in kept:
        assert crystal.get_volume() == pytest.approx(copper().get_volume(), rel=1e-12)


@pytest.mark.parametrize("optimizer", ["bfgs", "lbfgs", "precon-lbfgs", "fire2"])
def test_each_optimizer_finds_copper(optimizer):
    result = optimize(copper(), EMT(), cell=True, optimizer=optimizer, fmax=1e-3)
    assert result.converged
    assert result.optimizer == optimizer
    assert result.volume_A3 ** (1 / 3) == pytest.approx(COPPER_A, abs=2e-3)
    assert np.abs(result.stress_GPa).max() == pytest.approx(result.stress_left_GPa, rel=1e-6)
    # The bound that follows from fmax: V / N times the stress is the generalised force.
    assert result.stress_left_GPa * result.volume_A3 / 4 / EV_PER_A3_IN_GPA < 1.2e-3


def test_the_shape_or_the_volume_is_kept():
    start = copper()
    by_volume = optimize(start, EMT(), cell=True, keep_shape=True).atoms
    np.testing.assert_allclose(by_volume.cell / by_volume.cell[0, 0], start.cell / start.cell[0, 0], atol=1e-12)
    tetragonal = copper(rattled=0)
    tetragonal.set_cell(np.diag([3.6, 3.6, 3.8]), scale_atoms=True)
    by_shape = optimize(tetragonal, EMT(), cell=True, keep_volume=True, max_stress_GPa=0.001)
    assert by_shape.converged
    assert by_shape.volume_A3 == pytest.approx(3.6 * 3.6 * 3.8, rel=1e-10)
    np.testing.assert_allclose(by_shape.atoms.cell.lengths(), (3.6 * 3.6 * 3.8) ** (1 / 3), atol=1e-4)
    # What is left is that of what may relax: a pressure of several GPa stays.
    assert by_shape.stress_left_GPa < 0.001 < np.abs(by_shape.stress_GPa).max()


def test_a_mask_names_what_may_change():
    start = copper()
    result = optimize(start, EMT(), cell=True, cell_mask="xx, yy")
    change = result.atoms.cell.array - start.cell.array
    assert np.abs(np.diag(change)[:2]).min() > 0.1
    change[[0, 1], [0, 1]] = 0
    np.testing.assert_allclose(change, 0, atol=1e-12)
    assert abs(result.stress_GPa[2]) > 1 > result.stress_left_GPa


def test_a_slab_relaxes_in_its_plane():
    slab = fcc111("Cu", (1, 1, 4), a=3.75, vacuum=6)
    result = optimize(slab, EMT(), cell=True, fmax=0.003)
    assert result.converged
    np.testing.assert_allclose(result.atoms.cell[2], slab.cell[2])
    # A thin slab is not the crystal: within a percent of its nearest-neighbour distance.
    assert result.atoms.cell.lengths()[0] == pytest.approx(COPPER_A / np.sqrt(2), rel=0.015)


def test_vacuum_does_not_change_where_a_slab_of_our_models_comes_to_rest(tmp_path):
    """Twice the vacuum, half the stress: the bound follows from the generalised force."""
    model = write_random_model(tmp_path / "model.pt")
    cells = []
    for height in (12.0, 24.0):
        sheet = Atoms("OH2", [[0.1, 0, 5], [0.9, 0.5, 5.3], [2.0, 1.1, 4.8]], cell=[3.1, 3.3, height], pbc=[1, 1, 0])
        result = optimize(sheet, str(model), cell=True, steps=3)
        assert result.stress_GPa is not None
        cells.append(result.atoms.cell.array[:2, :2])
    np.testing.assert_allclose(cells[0], cells[1], atol=1e-9)
    assert not np.allclose(cells[0], np.diag([3.1, 3.3]), atol=1e-4)


def test_fixed_atoms_go_with_the_cell_and_the_page_says_so(tmp_path):
    crystal = copper()
    crystal.set_constraint(FixAtoms([0, 2]))
    result = optimize(crystal, EMT(), cell=True, out=tmp_path / "opt")
    assert result.converged
    np.testing.assert_allclose(
        result.atoms.get_scaled_positions()[[0, 2]], crystal.get_scaled_positions()[[0, 2]], atol=1e-9
    )
    assert "fixed atoms go with the cell" in (tmp_path / "opt" / "report.html").read_text()
    assert isinstance(read(tmp_path / "opt" / "optimized.extxyz").constraints[0], FixAtoms)


def test_a_cell_that_nothing_holds_together_is_said_to_run_away():
    """Repulsion alone: the LJ potential cut inside its minimum."""
    gas = bulk("Ar", a=1.5, cubic=True)
    result = optimize(gas, LennardJones(sigma=1.0, epsilon=1.0, rc=1.12, smooth=False), cell=True, pressure_GPa=-50.0)
    assert not result.converged
    assert result.ended_by == "cell runs away"
    assert "times that of the start" in result.cause


def test_all_atoms_fixed_is_no_obstacle_to_the_cell():
    crystal = copper(rattled=0)
    crystal.set_constraint(FixAtoms(range(4)))
    assert optimize(crystal, EMT(), cell=True).volume_A3 ** (1 / 3) == pytest.approx(COPPER_A, abs=3e-3)


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"cell": True, "cell_mask": "xx,zx"}, ("choice-unknown", "cell_mask", "zx", "xz")),
        ({"cell_mask": ["xx"]}, ("setting-without-cell", "cell_mask")),
        ({"keep_shape": True}, ("setting-without-cell", "keep_shape")),
        ({"max_stress_GPa": 0.1}, ("setting-without-cell", "max_stress_GPa")),
        ({"cell": True, "keep_shape": True, "keep_volume": True}, ("cell-not-free", "shape and volume")),
        ({"cell": True, "keep_shape": True, "cell_mask": "xy"}, ("cell-not-free", "xy")),
        ({"cell": True, "keep_volume": True, "pressure_GPa": 1.0}, ("pressure-without-volume",)),
        ({"symprec_A": 0.1}, ("setting-without-symmetry",)),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path, settings, refusal):
    with refused(*refusal):
        optimize(copper(), EMT(), out=tmp_path / "opt", **settings)
    assert not (tmp_path / "opt").exists()


def test_cells_that_cannot_be_relaxed_are_refused():
    slab = fcc111("Cu", (1, 1, 2), vacuum=6)
    for settings, refusal in (
        ({"pressure_GPa": 1.0}, ("pressure-on-vacuum", "True, True, False")),
        ({"cell_mask": "zz"}, ("component-not-periodic", "zz", "xx, yy, xy")),
    ):
        with refused(*refusal):
            optimize(slab, EMT(), cell=True, **settings)
    slab.rotate(30, "x", rotate_cell=True)
    with refused("cell-orientation", "rotate"):
        optimize(slab, EMT(), cell=True)
    with refused("periodicity-unsupported", "slab"):
        optimize(molecule("H2O"), EMT(), cell=True)
    bonded = copper()
    bonded.set_constraint(FixBondLength(0, 1))
    with refused("constraint-with-cell", "FixBondLengths"):
        optimize(bonded, EMT(), cell=True)

    class NoStress(EMT):
        implemented_properties = ("energy", "forces")

    with refused("stress-missing", "NoStress"):
        optimize(copper(), NoStress(), cell=True)


def test_nothing_that_could_move_is_refused():
    held = copper()
    held.set_constraint([FixAtoms([0, 1, 2]), FixCartesian([3])])
    with refused("atoms-all-fixed", "FixAtoms", "FixCartesian"):
        optimize(held, EMT())
    held.set_constraint(FixAtoms([17]))
    with refused("constraint-index", "17", "4 atoms"):
        optimize(held, EMT())
