"""Readers of labelled frames: units and signs against known systems, and every bad file refused with its name."""

import warnings
from collections.abc import Iterator
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
from systems import Morse, crystal

from dp_sim.config.label_keys import LabelKeys
from dp_sim.datasets.formats.ase_files import read_ase
from dp_sim.datasets.frames import split
from dp_sim.datasets.label_reading.of_atoms import frame_from_atoms
from dp_sim.datasets.reading import read_all, read_frames
from dp_sim.datasets.remarks import Remarks


def copper(strain: float = 0.05) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * [1 + strain, 1.0, 1.0], scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    atoms.get_stress()
    return atoms


@pytest.fixture
def emt_file(tmp_path: Path) -> Path:
    path = tmp_path / "copper.extxyz"
    ase.io.write(path, [copper(s) for s in (-0.05, 0.0, 0.05)])
    return path


# ---- what ASE reads ----


def test_extxyz(emt_file: Path) -> None:
    frames = read_frames(emt_file)
    assert [f.name for f in frames] == [f"{emt_file}, frame {i}" for i in range(3)]
    expected = copper(-0.05)
    assert frames[0].energy == pytest.approx(expected.get_potential_energy())
    np.testing.assert_allclose(frames[0].forces, expected.get_forces(), atol=1e-7)
    np.testing.assert_allclose(frames[0].positions, expected.positions, atol=1e-7)
    assert frames[0].pbc.all()


def test_warnings_about_the_file_become_remarks_and_those_about_code_do_not(
    emt_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a newer NumPy ASE makes each structure with a DeprecationWarning."""

    def iread(*given: Any, **options: Any) -> Iterator[Atoms]:
        warnings.warn("skipping unhashable information", UserWarning, stacklevel=1)
        warnings.warn("setting the shape is deprecated", DeprecationWarning, stacklevel=1)
        yield copper()

    monkeypatch.setattr(ase.io, "iread", iread)
    remarks = Remarks()
    assert len(list(read_ase(str(emt_file), LabelKeys(), remarks))) == 1
    assert [line for line in remarks.decisions if "warns" in line] == ["ASE warns: skipping unhashable information"]


def test_virial_of_stress_pushes_out_when_compressed(emt_file: Path) -> None:
    """W = -V stress: positive along x when x is squeezed, negative when stretched, and -dE/d(strain) in between."""
    squeezed, _, stretched = read_frames(emt_file)
    assert squeezed.virial is not None
    assert stretched.virial is not None
    assert squeezed.virial[0, 0] > 1.0
    assert stretched.virial[0, 0] < -0.5
    energies = []
    for sign in (1, -1):
        atoms = copper(-0.05)
        atoms.set_cell(np.asarray(atoms.cell) @ (np.eye(3) + sign * np.diag([1e-5, 0, 0])), scale_atoms=True)
        energies.append(atoms.get_potential_energy())
    assert squeezed.virial[0, 0] == pytest.approx(-(energies[0] - energies[1]) / 2e-5, abs=1e-4)


@pytest.mark.parametrize("given", ["stress 9", "stress 3x3", "virial 9", "virial 3x3"])
def test_forms_of_stress_and_virial(given: str) -> None:
    atoms = copper()
    full = np.array([[1.0, 0.1, 0.2], [0.1, 2.0, 0.3], [0.2, 0.3, 3.0]])
    atoms.calc = SinglePointCalculator(atoms, energy=0.0)
    label, form = given.split()
    value = full.ravel() if form == "9" else full
    if label == "stress":
        atoms.calc.results["stress"] = value
        expected = -atoms.get_volume() * full
    else:
        atoms.info["virial"] = value
        expected = full
    np.testing.assert_allclose(frame_from_atoms(atoms, "x").virial, expected)


@pytest.mark.parametrize(
    ("index", "kept"),
    [("", [0, 1, 2]), ("@:", [0, 1, 2]), ("@1", [1]), ("@-1", [2]), ("@:2", [0, 1]), ("@::2", [0, 2])],
)
def test_slices(emt_file: Path, index: str, kept: list[int]) -> None:
    everything = read_frames(emt_file)
    assert [f.energy for f in read_frames(f"{emt_file}{index}")] == [everything[i].energy for i in kept]


def test_a_file_with_an_at_sign_in_its_name(emt_file: Path) -> None:
    renamed = emt_file.rename(emt_file.with_name("copper@300K.extxyz"))
    assert len(read_frames(renamed)) == 3
    assert len(read_frames(f"{renamed}@1:")) == 2


def test_other_formats_and_partial_labels(tmp_path: Path) -> None:
    with_energy = copper()
    with_energy.calc = SinglePointCalculator(with_energy, energy=-1.5)
    with_forces = copper()
    with_forces.calc = SinglePointCalculator(with_forces, forces=np.ones((4, 3)))
    ase.io.write(tmp_path / "a.traj", [with_energy, with_forces])
    first, second = read_frames(tmp_path / "a.traj")
    assert (first.energy, first.forces, first.virial) == (-1.5, None, None)
    assert second.energy is None
    np.testing.assert_array_equal(second.forces, 1.0)


def labelled(**results: Any) -> Atoms:
    atoms = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.8]])
    atoms.calc = SinglePointCalculator(atoms)
    atoms.calc.results = results
    return atoms


@pytest.mark.parametrize(
    ("results", "code", "named"),
    [
        ({"energy": 1.0, "forces": np.zeros((3, 3))}, "label-shape", ("forces", "(2, 3)", "(3, 3)")),
        ({"energy": 1.0, "forces": np.zeros(6)}, "label-shape", ("forces", "(2, 3)", "(6,)")),
        ({"energy": np.array([1.0, 2.0])}, "label-shape", ("energy", "()", "(2,)")),
        ({"energy": "low"}, "label-not-numbers", ("energy", "'low'")),
        ({"energy": float("nan")}, "label-not-finite", ("energy",)),
        ({"energy": 1.0, "forces": np.full((2, 3), np.inf)}, "label-not-finite", ("forces",)),
        ({"energy": 1.0, "virial": np.zeros(6)}, "label-shape", ("virial", "(3, 3)", "(6,)")),
    ],
)
def test_bad_labels(results: dict[str, Any], code: str, named: tuple[str, ...]) -> None:
    with refused(code, "this frame: ", *named):
        frame_from_atoms(labelled(**results), "this frame")


def test_stress_in_the_wrong_shape() -> None:
    atoms = copper()
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    atoms.calc.results["stress"] = np.zeros(5)
    with refused("label-shape", "6", "9", "5"):
        frame_from_atoms(atoms, "x")


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        (lambda atoms: atoms.positions.__setitem__((1, 2), np.nan), "position-not-finite", "atom 1"),
        (lambda atoms: atoms.positions.__setitem__((1, 2), 1e20), "position-too-far", "atom 1"),
        (lambda atoms: atoms.set_pbc(True), "cell-without-volume", "[0.0, 0.0, 0.0]"),
        (lambda atoms: atoms.set_cell([[3, 0, 0], [0, np.inf, 0], [0, 0, 3]]), "cell-not-finite", "inf"),
        (
            lambda atoms: (atoms.set_cell([[3, 0, 0], [6, 0, 0], [0, 0, 3]]), atoms.set_pbc(True)),
            "cell-without-volume",
            "[6.0, 0.0, 0.0]",
        ),
        (
            lambda atoms: (atoms.set_cell([1e-4, 0, 0]), atoms.set_pbc((True, False, False))),
            "cell-without-volume",
            "0.0001",
        ),
        (lambda atoms: atoms.set_atomic_numbers([1, 0]), "element-invalid", "atom 1 has the atomic number 0"),
        (lambda atoms: atoms.set_atomic_numbers([119, 1]), "element-invalid", "atom 0 has the atomic number 119"),
    ],
)
def test_bad_structures(change: Any, code: str, named: str) -> None:
    atoms = labelled(energy=1.0)
    results = atoms.calc.results
    change(atoms)
    atoms.calc = SinglePointCalculator(atoms)
    atoms.calc.results = results
    with refused(code, "x: ", named):
        frame_from_atoms(atoms, "x")


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("", ("file-unreadable", "bad.extxyz")),
        ("2\nenergy=1.0\nH 0 0 0\n", ("file-unreadable", "bad.extxyz")),
        ("1\nenergy=1.0\nH 0 0 zero\n", ("file-unreadable", "bad.extxyz")),
        ("1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n", ("labels-missing", "bad.extxyz", "0")),
        ("1\nenergy=nan\nH 0 0 0\n", ("label-not-finite", "bad.extxyz", "0")),
        ('1\nenergy="1 2"\nH 0 0 0\n', ("label-shape", "bad.extxyz", "0")),
        ("this is a text", ("file-unreadable", "bad.extxyz")),
    ],
)
def test_bad_files(tmp_path: Path, content: str, refusal: tuple[str, ...]) -> None:
    (tmp_path / "bad.extxyz").write_text(content)
    with refused(*refusal):
        read_frames(tmp_path / "bad.extxyz")


def test_absent_files_and_empty_slices(tmp_path: Path, emt_file: Path) -> None:
    with refused("file-missing", "nothing.extxyz"):
        read_frames(tmp_path / "nothing.extxyz")
    with refused("file-missing", "nothing.extxyz"):
        read_frames(f"{tmp_path}/nothing.extxyz@:3")
    with refused("frames-missing"):
        read_frames(f"{emt_file}@5:")
    with refused("file-unreadable", "copper.extxyz"):
        read_frames(f"{emt_file}@first")


# ---- DeePMD-kit's npy folders ----


def write_deepmd(folder: Path, arrays: dict[str, np.ndarray], types: str = "0 1 1\n", names: str = "O\nH\n") -> Path:
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text(types)
    (folder / "type_map.raw").write_text(names)
    for name, array in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", array)
    return folder


def deepmd_arrays() -> dict[str, np.ndarray]:
    """Two frames of three atoms, as DeePMD-kit writes them: one flat row a frame."""
    rng = np.random.default_rng(0)
    return {
        "coord": rng.uniform(0, 6, size=(2, 9)),
        "box": np.tile(np.diag([6.0, 7.0, 8.0]).ravel(), (2, 1)),
        "energy": np.array([-1.0, -2.0]),
        "force": rng.normal(size=(2, 9)),
        "virial": rng.normal(size=(2, 9)),
    }


def test_deepmd(tmp_path: Path) -> None:
    arrays = deepmd_arrays()
    folder = write_deepmd(tmp_path / "data", arrays)
    second = folder / "set.001"
    second.mkdir()
    for name in ("coord", "box"):
        np.save(second / f"{name}.npy", arrays[name][:1])
    np.save(second / "energy.npy", np.array([[-3.0]]))
    frames = read_frames(folder)
    assert [f.energy for f in frames] == [-1.0, -2.0, -3.0]
    assert frames[1].numbers.tolist() == [8, 1, 1]
    np.testing.assert_array_equal(frames[1].positions, arrays["coord"][1].reshape(3, 3))
    np.testing.assert_array_equal(frames[1].cell, np.diag([6.0, 7.0, 8.0]))
    np.testing.assert_array_equal(frames[1].forces, arrays["force"][1].reshape(3, 3))
    np.testing.assert_array_equal(frames[1].virial, arrays["virial"][1].reshape(3, 3))
    assert frames[1].pbc.all()
    assert frames[2].forces is None
    assert frames[2].name == f"{second}, frame 0"


def test_deepmd_without_periodicity(tmp_path: Path) -> None:
    arrays = deepmd_arrays()
    del arrays["box"]
    folder = write_deepmd(tmp_path / "data", arrays)
    with refused("deepmd-array-missing", "nopbc", "box.npy"):
        read_frames(folder)
    (folder / "nopbc").touch()
    assert not read_frames(folder)[0].pbc.any()


@pytest.mark.parametrize(
    ("name", "array", "refusal"),
    [
        ("force", np.zeros((2, 8)), ("array-shape", "force.npy", "2", "9")),
        ("force", np.zeros((3, 6)), ("array-shape", "force.npy", "2", "9")),
        ("coord", np.zeros((3, 6)), ("array-shape", "coord.npy", "9", "3")),
        ("energy", np.zeros(3), ("array-shape", "energy.npy", "2", "1")),
        ("energy", np.zeros(()), ("array-shape", "energy.npy")),
        ("virial", np.zeros((2, 6)), ("array-shape", "virial.npy", "2", "9")),
        ("box", np.zeros((2, 3)), ("array-shape", "box.npy", "2", "9")),
        ("box", np.zeros((2, 9)), ("cell-without-volume",)),
        ("energy", np.array(["a", "b"]), ("array-damaged", "energy.npy")),
        ("energy", np.array([1.0, None], dtype=object), ("array-damaged", "energy.npy")),
        ("real_atom_types", np.full((2, 3), 2), ("deepmd-folder-malformed", "real_atom_types")),
        ("fparam", np.zeros((2, 1)), ("deepmd-parameters", "fparam.npy")),
        ("aparam", np.zeros((2, 3)), ("deepmd-parameters", "aparam.npy")),
        ("atom_pref", -np.ones((2, 3)), ("weight-bad", "atom_pref.npy")),
    ],
)
def test_bad_deepmd_arrays(tmp_path: Path, name: str, array: np.ndarray, refusal: tuple[str, ...]) -> None:
    folder = write_deepmd(tmp_path / "data", {**deepmd_arrays(), name: array})
    with refused(*refusal):
        read_frames(folder)


@pytest.mark.parametrize(
    ("types", "names", "refusal"),
    [
        ("0 1 2", "O H", ("deepmd-folder-malformed",)),
        ("0 1 -1", "O H", ("deepmd-folder-malformed", "type.raw", "0")),
        ("", "O H", ("deepmd-folder-malformed", "type.raw", "0")),
        ("0 one 1", "O H", ("deepmd-folder-malformed",)),
        ("0 1 1", "O Hydrogen", ("deepmd-folder-malformed",)),
    ],
)
def test_bad_deepmd_types(tmp_path: Path, types: str, names: str, refusal: tuple[str, ...]) -> None:
    with refused(*refusal):
        read_frames(write_deepmd(tmp_path / "data", deepmd_arrays(), types, names))


def test_folders_that_are_none(tmp_path: Path) -> None:
    with refused("deepmd-folder-malformed"):
        read_frames(tmp_path)
    folder = write_deepmd(tmp_path / "data", {})
    with refused("deepmd-array-missing", "coord.npy"):
        read_frames(folder)
    (folder / "set.000").rmdir()
    with refused("frames-missing"):
        read_frames(folder)


def test_truncated_array(tmp_path: Path) -> None:
    folder = write_deepmd(tmp_path / "data", deepmd_arrays())
    path = folder / "set.000" / "force.npy"
    for size in (0, 60, 150):
        path.write_bytes(path.read_bytes()[:size] if size else b"")
        with refused("array-damaged", "force.npy"):
            read_frames(folder)
        np.save(path, deepmd_arrays()["force"])


# ---- splitting ----


def test_split_holds_out_each_frame_once_and_the_same_for_a_seed(emt_file: Path) -> None:
    frames = read_all([emt_file, emt_file]) * 5
    train, valid = split(frames, 0.2, seed=1)
    assert (len(train), len(valid)) == (24, 6)
    assert sorted(map(id, train + valid)) == sorted(map(id, frames))
    assert split(frames, 0.2, seed=1)[1] == valid
    assert split(frames, 0.0, seed=1) == (frames, [])


def test_the_oracle_of_the_training_tests_is_consistent() -> None:
    """Morse.labelled: forces and virial are the derivatives of its energy."""
    atoms = crystal((True, True, False))
    labels = Morse().labelled(atoms)
    assert labels.forces is not None
    assert labels.virial is not None
    moved, strained = atoms.copy(), atoms.copy()
    moved.positions[1, 2] += 1e-5
    deformation = np.eye(3)
    deformation[0, 1] = 1e-5
    strained.set_cell(np.asarray(atoms.cell) @ deformation)
    strained.positions = atoms.positions @ deformation
    energy = [Morse().labelled(a).energy for a in (moved, strained)]
    assert labels.energy is not None
    assert -(energy[0] - labels.energy) / 1e-5 == pytest.approx(labels.forces[1, 2], rel=1e-3)
    assert -(energy[1] - labels.energy) / 1e-5 == pytest.approx(labels.virial[0, 1], rel=1e-3)


@pytest.mark.parametrize("content", ["damaged", "cut", "objects", "archive"])
def test_a_corrupt_array_is_one_sentence_without_pickle(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "sys"
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("0")
    (folder / "type_map.raw").write_text("Ar")
    (folder / "nopbc").touch()
    file = folder / "set.000" / "coord.npy"
    if content == "objects":
        np.save(file, np.array([{"a": 1}], dtype=object))
    elif content == "archive":
        with file.open("wb") as target:
            np.savez(target, a=np.zeros(3))
    else:
        np.save(file, np.zeros((4, 3)))
        whole = file.read_bytes()
        file.write_bytes(whole[:-20] if content == "cut" else b"garbage" + whole)
    with refused("array-damaged", "coord.npy") as caught:
        read_frames(folder)
    assert "pickle" not in str(caught.value)
    assert str(file) in str(caught.value)
