"""pair_style dp_sim in LAMMPS gives the numbers of DPCalculator, on any number of ranks and with any boundary."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from model_contract import STRUCTURES, assert_same
from systems import cluster, crystal

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.lammps.box import LammpsBox
from dp_sim.plugins.lammps.evaluation import evaluate_in_lammps, run_lammps
from dp_sim.plugins.lammps.installed import Lammps

#: Sums of some hundred numbers in another order; energies are -20 to 3 eV an atom.
TOLERANCE = 1e-12


def expected_of(files: list[Path], atoms: Atoms) -> dict[str, np.ndarray]:
    output = DPCalculator(files).model.evaluate(atoms, virial=True)
    found = {"energy": output.energy[0], "forces": output.forces, "virial": output.virial[0]}
    if len(files) > 1:
        found["forces_std"] = output.forces_std
    return {name: values.numpy() for name, values in found.items()} | {
        "atomic_energies": output.atomic_energies.numpy()
    }


def left_handed() -> Atoms:
    atoms = crystal((True, True, True))
    atoms.set_cell(atoms.cell[[1, 0, 2]])
    return atoms


CASES = {
    "molecule": (cluster(), 1, ""),
    "molecule, two ranks": (cluster(), 2, ""),
    "molecule, empty ranks": (cluster(), 4, "processors 1 1 4"),
    "slab": (crystal((True, True, False)), 2, ""),
    "ghosts asked to be too near": (crystal((True, True, True)), 1, "comm_modify cutoff 0.5"),
    "wire": (crystal((False, True, False)), 1, ""),
    "triclinic, heights below the cutoff": (crystal((True, True, True)), 1, ""),
    "left-handed": (left_handed(), 2, ""),
    "one atom and its images": (STRUCTURES["primitive"], 1, ""),
    "bulk shorter than twice the cutoff": (bulk("Cu", a=3.8, cubic=True).repeat((1, 2, 2)), 4, "processors 1 2 2"),
    "atoms without neighbours": (STRUCTURES["lonely"], 2, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_same_numbers_as_in_ase(lammps: Lammps, plugins: Path, members: list[Path], tmp_path: Path, case: str) -> None:
    atoms, ranks, before = CASES[case]
    if case.startswith("bulk"):
        atoms = atoms.copy()
        atoms.rattle(0.1, seed=2)
    files = [members[0].with_suffix(".dpsim")]
    got = evaluate_in_lammps(lammps, plugins, files, atoms, tmp_path, ranks=ranks, before=before)
    expected = expected_of(members[:1], atoms)
    scale = max(1.0, np.abs(expected["virial"]).max())
    for name in ("energy", "atomic_energies", "forces"):
        assert_same(np.asarray(getattr(got, name)), expected[name], TOLERANCE, name)
    np.testing.assert_allclose(got.virial, expected["virial"], rtol=0, atol=1e-10 * scale)


COMMITTEE = """
units {units}
boundary {boundary}
atom_style atomic
box tilt large
read_data structure.lmp
pair_style dp_sim {models}
pair_coeff * * Cu H O
neighbor 1.0 bin
compute all_of_it all pair dp_sim
fix spread all pair 1 dp_sim force_spread 0
thermo_style custom step pe c_all_of_it[1] c_all_of_it[2] c_all_of_it[3]
run 0
print "spread $(c_all_of_it[1]:%.17g) $(c_all_of_it[2]:%.17g) $(c_all_of_it[3]:%.17g)"
print "energy $(pe:%.17g)"
write_dump all custom forces.txt id fx fy fz f_spread modify sort id format float %.17g
"""


@pytest.mark.parametrize(("ranks", "units", "factor"), [(2, "metal", 1.0), (1, "real", 23.060547830619026)])
def test_a_committee_drives_by_its_mean_and_tells_its_spread(
    lammps: Lammps, plugins: Path, members: list[Path], tmp_path: Path, ranks: int, units: str, factor: float
) -> None:
    """In units real too, where energies are in kcal/mol (23.0605... is N_A e/4184)."""
    atoms = crystal((True, True, False))
    box = LammpsBox(atoms)
    box.write(tmp_path / "structure.lmp", atoms, ["Cu", "H", "O"])
    models = " ".join(str(file.with_suffix(".dpsim")) for file in members)
    script = COMMITTEE.format(units=units, boundary=box.boundary, models=models)
    printed = run_lammps(lammps, plugins, script, tmp_path, ranks=ranks)
    lines = {
        line.split()[0]: [float(w) / factor for w in line.split()[1:]]
        for line in printed.splitlines()
        if line[:7] in ("spread ", "energy ")
    }
    rows = np.loadtxt(tmp_path / "forces.txt", skiprows=9) / factor
    output = DPCalculator(members).model.evaluate(atoms)
    assert output.forces is not None
    assert output.forces_std is not None
    assert output.energy_std is not None
    spread = np.linalg.norm(output.forces_std.numpy(), axis=1)
    assert_same(np.array(lines["energy"]), output.energy.numpy(), TOLERANCE, "energy")
    assert_same(box.from_lammps(rows[:, 1:4]), output.forces.numpy(), TOLERANCE, "forces")
    assert_same(rows[:, 4], spread, 1e-12, "spread of each atom")
    assert_same(
        np.array(lines["spread"]), np.array([spread.max(), spread.mean(), output.energy_std.item()]), 1e-12, "spread"
    )


HYBRID = """
units metal
boundary f f f
atom_style atomic
read_data structure.lmp
pair_style hybrid/overlay dp_sim {model} lj/cut 5.0
pair_coeff * * dp_sim NULL H O
pair_coeff 1 * lj/cut 0.01 2.5
pair_coeff 2 3 lj/cut 0.0 2.5
pair_coeff 2 2 lj/cut 0.0 2.5
pair_coeff 3 3 lj/cut 0.0 2.5
run 0
compute ours all pair dp_sim
thermo_style custom step c_ours pe
run 0
print "energy $(c_ours:%.17g)"
pair_coeff 1 * lj/cut 0.0 2.5
run 0
write_dump all custom forces.txt id fx fy fz modify sort id format float %.17g
"""


def test_atoms_that_another_style_treats(lammps: Lammps, plugins: Path, members: list[Path], tmp_path: Path) -> None:
    """hybrid/overlay with NULL: the model sees water alone, whatever stands beside it."""
    atoms = Atoms("OH2CuCu", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.3, 0.9, 0.1], [0, 0, 2.6], [0.2, -2.5, 0]])
    box = LammpsBox(atoms)
    box.write(tmp_path / "structure.lmp", atoms, ["Cu", "H", "O"])
    script = HYBRID.format(model=members[0].with_suffix(".dpsim"))
    printed = run_lammps(lammps, plugins, script, tmp_path, ranks=2)
    energy = next(float(line.split()[1]) for line in printed.splitlines() if line.startswith("energy "))
    expected = expected_of(members[:1], atoms[:3])
    rows = np.loadtxt(tmp_path / "forces.txt", skiprows=9)
    assert_same(np.array(energy), expected["energy"], TOLERANCE, "energy")
    assert_same(rows[:3, 1:], expected["forces"], TOLERANCE, "forces")
    assert np.array_equal(rows[3:, 1:], np.zeros((2, 3)))
