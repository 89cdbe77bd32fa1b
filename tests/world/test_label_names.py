"""Labels under the names that other programs use, written by ASE's own writer as their users do."""

from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from refusals import refused

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.formats.ase_files import read_ase
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.label_reading.label_names import may_be_meant
from dp_sim.datasets.label_reading.of_atoms import frame_from_atoms
from dp_sim.datasets.reading import read_all, read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.structures.stated import refuse_state

FORCES = np.array([[0.1, -0.2, 0.3], [0.2, 0.1, -0.3], [-0.2, 0.3, 0.1], [-0.1, -0.2, -0.1]])
STRESS = np.array([[-0.02, 0.001, 0.002], [0.001, -0.03, 0.003], [0.002, 0.003, -0.01]])


def copper(info: dict[str, Any], arrays: dict[str, Any] | None = None) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.info.update(info)
    for name, array in (arrays or {}).items():
        atoms.arrays[name] = array
    return atoms


VOLUME = bulk("Cu", cubic=True).get_volume()
VIRIAL = -VOLUME * STRESS


def read(path: Path, atoms: Atoms | list[Atoms], **keys: str) -> tuple[list[Frame], Remarks]:
    ase.io.write(path / "data.extxyz", atoms)
    remarks = Remarks()
    return read_all([path / "data.extxyz"], keys=LabelKeys(**keys), remarks=remarks), remarks


# ---- the well-known names ----


@pytest.mark.parametrize(
    ("energy", "forces", "tensor"),
    [
        ("REF_energy", "REF_forces", "REF_stress"),  # MACE
        ("REF_energy", "REF_forces", "REF_virials"),  # MACE
        ("dft_energy", "dft_force", "dft_virial"),  # GAP
        ("DFT_energy", "DFT_forces", "DFT_stress"),
        ("Energy", "force", "virials"),  # GPUMD, dpdata
        ("E", "Forces", "Stress"),
        ("total_energy", "forces", "stresses"),
        ("toten", "force", "virial"),
    ],
)
def test_found_by_themselves_and_named(tmp_path: Path, energy: str, forces: str, tensor: str) -> None:
    full = STRESS if "tress" in tensor else VIRIAL
    info = {energy: -14.5, tensor: full if tensor == "virial" else full.ravel()}
    (frame,), remarks = read(tmp_path, copper(info, {forces: FORCES}))
    assert frame.energy == -14.5
    np.testing.assert_allclose(frame.forces, FORCES, atol=1e-8)
    np.testing.assert_allclose(frame.virial, VIRIAL, atol=1e-6)
    assert [set(remarks.sources[label]) for label in ("energy", "forces", "virial")] == [{energy}, {forces}, {tensor}]
    said = " ".join(remarks.lines())
    assert all(f"'{key}'" in said for key in (energy, forces, tensor) if key not in ("forces", "virial"))


def test_voigt_stress_of_mace_is_in_the_order_of_ase(tmp_path: Path) -> None:
    voigt = STRESS[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    (frame,), _ = read(tmp_path, copper({"REF_energy": 1.0, "REF_stress": voigt}, {"REF_forces": FORCES}))
    np.testing.assert_allclose(frame.virial, VIRIAL, atol=1e-6)


def test_six_numbers_of_a_virial_have_no_order_that_all_agree_on(tmp_path: Path) -> None:
    with refused("label-shape", "virials"):
        read(tmp_path, copper({"energy": 1.0, "virials": np.arange(6.0)}))


def test_the_calculators_own_labels(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    expected = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.energy == pytest.approx(expected[0])
    assert frame.virial is not None
    assert frame.virial[1, 2] == pytest.approx(-atoms.get_volume() * expected[2][3], abs=1e-6)
    assert "energy" in remarks.sources["energy"]


# ---- names that the user gives ----


def test_names_that_are_given_count_alone(tmp_path: Path) -> None:
    info = {"energy": -1.0, "pbe0_energy": -2.0, "stress": np.zeros(9), "my_virial": VIRIAL.ravel()}
    atoms = copper(info, {"pbe0_forces": FORCES, "forces": 2 * FORCES})
    keys = {"energy": "pbe0_energy", "forces": "pbe0_forces", "virial": "my_virial"}
    (frame,), remarks = read(tmp_path, atoms, **keys)
    assert frame.energy == -2.0
    np.testing.assert_allclose(frame.forces, FORCES, atol=1e-8)
    np.testing.assert_allclose(frame.virial, VIRIAL, atol=1e-6)
    assert {"energy", "forces", "stress"} <= set(remarks.unread())


def test_a_name_that_no_frame_has_is_refused(tmp_path: Path) -> None:
    with refused("label-key-missing", "PBE_energy"):
        read(tmp_path, copper({"energy": 1.0}, {"forces": FORCES}), energy="PBE_energy")


# ---- two candidates ----


def test_two_energies_that_differ_are_refused_and_equal_ones_are_one(tmp_path: Path) -> None:
    with refused("label-names-conflict", "REF_energy", "dft_energy"):
        read(tmp_path, copper({"REF_energy": -1.0, "dft_energy": -1.1}))
    (frame,), _ = read(tmp_path, copper({"REF_energy": -1.0, "dft_energy": -1.0}))
    assert frame.energy == -1.0
    with refused("label-names-conflict", "force", "REF_forces"):
        read(tmp_path, copper({"energy": -1.0}, {"force": FORCES, "REF_forces": 1.1 * FORCES}))


def test_zeros_beside_reference_labels_are_not_labels(tmp_path: Path) -> None:
    """ASE's writers leave energy=0 and forces=0 where a calculator was attached for its names only."""
    atoms = copper({"REF_energy": -3.0}, {"REF_forces": FORCES})
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((4, 3)))
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.energy == -3.0
    np.testing.assert_allclose(frame.forces, FORCES, atol=1e-8)
    assert sum("is zero beside" in line for line in remarks.lines()) == 2


def test_the_energy_of_a_structure_and_of_its_calculator() -> None:
    atoms = copper({"energy": -3.0})
    atoms.calc = SinglePointCalculator(atoms, energy=-4.0)
    with refused("label-names-conflict", "energy"):
        frame_from_atoms(atoms, "x")


# ---- energy and free energy ----


def test_the_free_energy_is_taken_where_the_two_differ(tmp_path: Path) -> None:
    """Forces are the gradient of VASP's TOTEN, which ASE calls free_energy."""
    atoms = bulk("Cu", cubic=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-14.9, free_energy=-14.95, forces=FORCES)
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.energy == -14.95
    assert any("'free_energy' is taken and not 'energy'" in line for line in remarks.lines())


def test_a_free_energy_alone_is_the_energy(tmp_path: Path) -> None:
    (frame,), remarks = read(tmp_path, copper({"free_energy": -14.95}, {"forces": FORCES}))
    assert frame.energy == -14.95
    assert "energy: read from 'free_energy' (1 frame)" in remarks.lines()


def test_equal_energies_need_no_word(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-14.9, free_energy=-14.9, forces=FORCES)
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.energy == -14.9
    assert remarks.lines() == []


# ---- virial and stress ----


@pytest.mark.parametrize(
    ("factor", "word"),
    [(-1.0, "signs are opposite"), (160.2176634, "GPa"), (-1602.176634, "kbar"), (1.01, "0.9901")],
)
def test_a_virial_and_a_stress_that_contradict_each_other(tmp_path: Path, factor: float, word: str) -> None:
    info = {"energy": 1.0, "virial": VIRIAL, "stress": factor * STRESS}
    with refused("virial-stress-conflict", "virial", "stress", word):
        read(tmp_path, copper(info, {"forces": FORCES}))
    (by_virial,), _ = read(tmp_path, copper(info, {"forces": FORCES}), virial="virial")
    np.testing.assert_allclose(by_virial.virial, VIRIAL, atol=1e-6)
    (by_stress,), _ = read(tmp_path, copper(info, {"forces": FORCES}), stress="stress")
    np.testing.assert_allclose(by_stress.virial, factor * VIRIAL, rtol=1e-6)


def test_a_virial_and_a_stress_that_agree_to_a_thousandth(tmp_path: Path) -> None:
    info = {"energy": 1.0, "virial": VIRIAL, "stress": 1.0005 * STRESS}
    (frame,), _ = read(tmp_path, copper(info, {"forces": FORCES}))
    np.testing.assert_allclose(frame.virial, VIRIAL, atol=1e-6)


def test_a_zero_virial_of_a_molecule_is_not_learnt(tmp_path: Path) -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], info={"energy": -1.0, "virial": np.zeros((3, 3))})
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.virial is None
    assert any("'virial' is zero" in line for line in remarks.lines())


def test_a_stress_without_a_volume_is_named(tmp_path: Path) -> None:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]], info={"energy": -1.0, "REF_stress": STRESS.ravel()})
    (frame,), remarks = read(tmp_path, atoms)
    assert frame.virial is None
    assert any("'REF_stress' is not used" in line for line in remarks.lines())


# ---- what is not read is named ----


@pytest.mark.parametrize(
    "extra",
    ["energy_sigma", "energy_per_atom", "formation_energy", "virial_sigma", "mace_energy", "max_force", "stress_norm"],
)
def test_other_quantities_are_named_and_neither_read_nor_advised(tmp_path: Path, extra: str) -> None:
    (frame,), remarks = read(tmp_path, copper({extra: 0.001}, {"forces": FORCES}))
    assert frame.energy is None
    assert remarks.unread() == [extra]
    assert any("no frame has energy" in line for line in remarks.lines()), "forces alone, said loudly"
    advised = [line for line in remarks.facts if f"'{extra}'" in line]
    assert bool(advised) == (extra == "mace_energy")


def test_charges_that_differ_and_units_of_everything_are_named(tmp_path: Path) -> None:
    """A model knows no charge: one for all frames is a property of the model, two are frames of different surfaces."""
    same = [copper({"energy": 1.0, "charge": 1}), copper({"energy": 2.0, "charge": 1})]
    assert not any("charge" in line for line in read(tmp_path, same)[1].lines())
    other = [copper({"energy": 1.0, "charge": 1}), copper({"energy": 2.0, "charge": 0, "units": "real"})]
    lines = read(tmp_path, other)[1].lines()
    assert any("'charge' is 1 (1 frame), 0 (1 frame)" in line for line in lines)
    assert any("'units' = real" in line for line in lines)


def test_what_may_be_meant() -> None:
    assert may_be_meant("pbe_energy")
    assert may_be_meant("xtb_forces")
    assert not any(
        map(may_be_meant, ("energy_per_atom", "energy_weight", "force_std", "atomization_energy", "comment"))
    )


def test_no_label_that_is_known_names_what_is_there(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.extxyz", copper({"xtb_energy": -1.0}))
    with refused("labels-missing", "xtb_energy", "--energy-key"):
        read_frames(tmp_path / "a.extxyz")


def test_streaming_holds_one_frame_at_a_time(tmp_path: Path) -> None:
    """The reader is asked for the first frame of a file whose second is damaged."""
    ase.io.write(tmp_path / "a.extxyz", copper({"energy": -1.0}))
    with open(tmp_path / "a.extxyz", "a") as file:
        file.write("1\nenergy=2\nCu 0 0 nought\n")
    frames = read_ase(str(tmp_path / "a.extxyz"), LabelKeys(), Remarks())
    assert next(frames).energy == -1.0
    with refused("file-unreadable", "a.extxyz"):
        next(frames)


# ---- what is no label that a model learns, and steps that did not converge ----


@pytest.mark.parametrize(
    "entry", [{"converged": False}, {"scf_converged": "F"}, {"SCF-converged": 0}, {"is_converged": "no"}]
)
def test_frames_that_say_they_did_not_converge_are_left_out_and_counted(tmp_path, entry):
    """As an OUTCAR's steps are; what converged, or says nothing, stays."""
    good = dict.fromkeys(entry, True)
    frames = [
        copper({"energy": -1.0, **good}, {"forces": FORCES}),
        copper({"energy": 500.0, **entry}, {"forces": FORCES}),
        copper({"energy": -2.0}, {"forces": FORCES}),
    ]
    read_back, remarks = read(tmp_path, frames)
    assert [frame.energy for frame in read_back] == [-1.0, -2.0]
    ((sentence, count),) = [(text, n) for text, n in remarks.decisions.items() if "converge" in text]
    assert count == 1
    assert sentence.startswith("left out")
    assert next(iter(entry)) in sentence


def test_a_file_without_a_converged_frame_says_why_it_is_empty(tmp_path):
    with refused("frames-missing", "converged"):
        read(tmp_path, copper({"energy": 500.0, "converged": False}))


@pytest.mark.parametrize("name", ["gradient", "gradients", "REF_gradients", "energy_gradient"])
def test_gradients_are_named_and_not_taken_for_forces(tmp_path, name):
    (frame,), remarks = read(tmp_path, copper({"energy": -1.0}, {name: -FORCES}))
    assert frame.forces is None
    (sentence,) = [line for line in remarks.lines() if f"'{name}'" in line]
    assert "negative" in sentence


@pytest.mark.parametrize("name", ["REF_dipole", "dipole", "polarizability", "REF_charges", "total_dipole_moment"])
def test_labels_that_no_model_learns_are_named(tmp_path, name):
    atoms = copper({"energy": -1.0}, {"forces": FORCES})
    if "charges" in name:
        atoms.arrays[name] = np.array([0.1, -0.1, 0.1, -0.1])
    else:
        atoms.info[name] = [0.0, 0.1, 0.2]
    _, remarks = read(tmp_path, atoms)
    assert any(f"not read: '{name}'" in line for line in remarks.lines())


@pytest.mark.parametrize("name", ["head", "functional", "spin"])
def test_methods_and_spins_that_differ_between_frames_are_named(tmp_path, name):
    """MACE's heads, say: of one structure with two energies, no model can learn both."""
    values = ["2", "1", "2"] if name == "spin" else ["pbe", "r2scan", "pbe"]
    frames = [copper({"energy": -1.0, name: value}, {"forces": FORCES}) for value in values]
    _, remarks = read(tmp_path, frames)
    assert any(f"'{name}' is {values[0]} (2 frames), {values[1]} (1 frame)" in line for line in remarks.lines())
    _, remarks = read(tmp_path, frames[:1])
    assert not any(f"'{name}'" in line for line in remarks.lines())


def test_many_values_are_not_all_listed(tmp_path):
    _, remarks = read(tmp_path, [copper({"energy": -1.0, "method": f"m{k}"}, {"forces": FORCES}) for k in range(20)])
    (line,) = [line for line in remarks.lines() if "'method'" in line]
    assert "14 others" in line


@pytest.mark.parametrize("name", ["electric_field", "REF_electric_field", "external_field"])
def test_labels_in_an_electric_field_are_named_and_structures_in_one_refused(tmp_path, name):
    _, remarks = read(tmp_path, copper({"energy": -1.0, name: np.array([0.0, 0.0, 0.1])}, {"forces": FORCES}))
    assert any(f"'{name}'" in line and "electric field" in line for line in remarks.lines())
    with refused("field-unsupported", name):
        refuse_state(copper({name: np.array([0.0, 0.0, 0.1])}))
    refuse_state(copper({name: np.zeros(3)}))
