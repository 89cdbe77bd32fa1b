"""Atoms that move, come and go in LAMMPS: the trajectory is ASE's, and ranks and threads change nothing."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io import read
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from model_contract import assert_same

from dp_sim.model.kernel_export import export_for_kernels
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.lammps.box import LammpsBox
from dp_sim.plugins.lammps.evaluation import evaluate_in_lammps, run_lammps
from dp_sim.plugins.lammps.installed import Lammps

WATER = Path(__file__).parents[3] / "example_systems" / "water"
#: LAMMPS's own factor from eV/Angstrom/amu to Angstrom/ps^2 in units metal; CODATA's is 2e-8 larger.
LAMMPS_FACTOR = 1.0 / 1.0364269e-4
FACTOR = (1000.0 * units.fs) ** 2
NVE = """
units metal
boundary {boundary}
atom_style atomic
read_data structure.lmp
pair_style dp_sim water.dpsim
pair_coeff * * H O
neighbor 0.5 bin
neigh_modify every 1 delay 0 check yes
fix integrate all nve
timestep 0.0005
thermo 10
run 100
write_dump all custom end.txt id xu yu zu vx vy vz modify sort id format float %.17g
"""


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("water") / "water.dpsim"
    export_for_kernels(WATER / "water.pt", target, dtype="float64")
    return target


def test_a_trajectory_of_100_steps_is_that_of_ase(lammps: Lammps, plugins: Path, water: Path, tmp_path: Path) -> None:
    """Liquid water at some 600 K: lists are built anew, and atoms change ranks and cross the boundary."""
    atoms = read(WATER / "water.extxyz")
    thermalize_momenta(atoms, temperature_K=600, rng=np.random.default_rng(5))
    box = LammpsBox(atoms)
    box.write(tmp_path / "structure.lmp", atoms, ["H", "O"], velocities=True)
    (tmp_path / "water.dpsim").symlink_to(water)
    printed = run_lammps(lammps, plugins, NVE.format(boundary=box.boundary), tmp_path, ranks=2)
    builds = next(int(line.split()[-1]) for line in printed.splitlines() if line.startswith("Neighbor list builds"))
    assert builds > 3
    rows = np.loadtxt(tmp_path / "end.txt", skiprows=9)
    start = atoms.positions.copy()
    velocities = atoms.get_velocities()
    atoms.set_masses(atoms.get_masses() * FACTOR / LAMMPS_FACTOR)  # so that accelerations are LAMMPS's
    atoms.set_velocities(velocities)
    atoms.calc = DPCalculator(WATER / "water.pt", dtype="float64")
    VelocityVerlet(atoms, 0.5 * units.fs).run(100)
    moved = box.positions_from_lammps(rows[:, 1:4]) - atoms.positions
    moved -= np.round(moved @ np.linalg.inv(atoms.cell)) @ atoms.cell  # images of atoms that started outside the box
    assert np.abs(atoms.positions - start).max() > 0.5
    assert np.abs(moved).max() < 1e-8
    assert_same(box.from_lammps(rows[:, 4:7]) / (1000.0 * units.fs), atoms.get_velocities(), 1e-8, "velocities")


GOES = """
units metal
boundary p p p
atom_style atomic
read_data structure.lmp
pair_style dp_sim {model}
pair_coeff * * Cu
mass 1 63.546
region upper block INF INF INF INF 1 INF
region slot block 0.1 8.7 0.1 8.7 0.1 4.3
fix gone all evaporate 3 1 upper 3
fix come all deposit 2 1 2 7 region slot near 1.0 attempt 300
neighbor 1.0 bin
thermo 1
run 8
write_dump all custom end.txt id x y z fx fy fz modify sort id format float %.17g
"""


def test_atoms_that_come_and_go(lammps: Lammps, plugins: Path, members: list[Path], tmp_path: Path) -> None:
    """After evaporation and deposition the forces are those of the atoms that are there."""
    atoms = bulk("Cu", a=4.4, cubic=True).repeat((2, 2, 1))
    atoms.rattle(0.1, seed=2)
    box = LammpsBox(atoms)
    box.write(tmp_path / "structure.lmp", atoms, ["Cu"])
    script = GOES.format(model=members[0].with_suffix(".dpsim"))
    run_lammps(lammps, plugins, script, tmp_path, ranks=2)
    rows = np.loadtxt(tmp_path / "end.txt", skiprows=9)
    assert rows[:, 0].max() > 16, "an atom has come"
    assert set(range(1, 17)) - set(rows[:, 0].astype(int)), "an atom has gone"
    left = Atoms(f"Cu{len(rows)}", rows[:, 1:4], cell=box.cell, pbc=True)
    left.calc = DPCalculator(members[0])
    assert_same(rows[:, 4:7], left.get_forces(), 1e-11, "forces")


GCMC = """
units metal
region box block 0 40 0 40 0 40
create_box 3 box
mass * 63.546
create_atoms 1 random 6 87 NULL
pair_style dp_sim model.dpsim
pair_coeff * * Cu H O
neighbor 4.0 bin
fix exchange all gcmc 1 15 0 1 2949 1000 {potential:.12g} 0.5 full_energy
thermo_style custom step atoms pe f_exchange[4] f_exchange[6]
run 40
print "found $(atoms) $(pe:%.12g) $(f_exchange[4]) $(f_exchange[6])"
"""


def test_grand_canonical_exchange(lammps: Lammps, plugins: Path, members: list[Path], tmp_path: Path) -> None:
    """So thin that it is an ideal gas of <N> = 6, mu = e + k T ln(6 Lambda^3 / V): as many leave as come.

    What fix gcmc tries to delete stays in LAMMPS's arrays; its energy e as a lone atom must not count.
    """
    (tmp_path / "model.dpsim").symlink_to(members[0].with_suffix(".dpsim"))
    atom = Atoms("Cu", calculator=DPCalculator(members[0], dtype="float64"))
    lone, kT = atom.get_potential_energy(), 1000 * units.kB
    wave_A = 1e10 * units._hplanck / np.sqrt(2 * np.pi * 63.546 * units._amu * units._k * 1000)
    potential = lone + kT * np.log(6 * wave_A**3 / 40**3)
    printed = run_lammps(lammps, plugins, GCMC.format(potential=potential), tmp_path)
    line = next(line for line in printed.splitlines() if line.startswith("found "))
    count, energy, came, left = map(float, line.split()[1:])
    assert energy == pytest.approx(count * lone, rel=1e-9)
    assert count == 6 + came - left
    assert came + left > 200
    assert abs(came - left) < 10


def test_threads_and_ranks_give_the_same_numbers(lammps: Lammps, plugins: Path, water: Path, tmp_path: Path) -> None:
    atoms = read(WATER / "water.extxyz")
    found = [
        evaluate_in_lammps(lammps, plugins, [water], atoms, tmp_path, ranks=ranks, threads=threads, before=grid)
        for ranks, threads, grid in ((1, 1, ""), (1, 3, ""), (2, 2, "processors 1 1 2"), (4, 1, "processors 4 1 1"))
    ]
    assert "dp_sim: 1 thread(s) a rank" in (tmp_path / "log.lammps").read_text()
    for other in found[1:]:
        assert_same(other.forces, found[0].forces, 1e-12, "forces")
        assert_same(other.virial, found[0].virial, 1e-12, "virial")


def test_the_threads_of_a_rank_are_those_asked_for(lammps: Lammps, plugins: Path, water: Path, tmp_path: Path) -> None:
    evaluate_in_lammps(lammps, plugins, [water], read(WATER / "water_molecule.extxyz"), tmp_path, threads=3)
    assert "dp_sim: 3 thread(s) a rank" in (tmp_path / "log.lammps").read_text()
