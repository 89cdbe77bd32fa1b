"""Folders as dpdata writes them, of one composition and of mixed type, and other formats through dpdata."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from refusals import refused
from vasp_text import NELM, IonicStep, outcar

from dp_sim.config.training_input import read_config
from dp_sim.datasets.file_hash import hash_sources
from dp_sim.datasets.reading import read_all, read_frames
from dp_sim.datasets.remarks import Remarks

dpdata = pytest.importorskip("dpdata", reason="dpdata (extra dpdata) writes these folders")

CELL = [7.0, 8.0, 9.0]


def labelled(formula: str, seed: int) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms(formula, cell=CELL, pbc=True)
    atoms.set_scaled_positions(rng.uniform(size=(len(atoms), 3)))
    forces, stress = rng.normal(size=(len(atoms), 3)), rng.normal(size=6)
    atoms.calc = SinglePointCalculator(atoms, energy=-float(seed), forces=forces, stress=stress)
    return atoms


ATOMS = [labelled("H2O", 1), labelled("CH4", 2), labelled("H2O", 3)]


def systems() -> "dpdata.MultiSystems":  # type: ignore[name-defined]
    """Each of ATOMS as dpdata keeps it: virials are -V stress, eV."""
    made = dpdata.MultiSystems()
    for atoms in ATOMS:
        stress = atoms.get_stress(voigt=False)
        symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
        data = {
            "atom_names": symbols,
            "atom_numbs": [atoms.get_chemical_symbols().count(symbol) for symbol in symbols],
            "atom_types": np.array([symbols.index(symbol) for symbol in atoms.get_chemical_symbols()]),
            "orig": np.zeros(3),
            "cells": np.array(atoms.cell)[None],
            "coords": atoms.positions[None],
            "energies": np.array([atoms.get_potential_energy()]),
            "forces": atoms.get_forces()[None],
            "virials": -atoms.get_volume() * stress[None],
        }
        made.append(dpdata.LabeledSystem(data=data))
    return made


def check(path: Path | str) -> None:
    """The frames of ATOMS, in any order, atoms by element in any order."""
    frames = sorted(read_frames(path), key=lambda frame: -(frame.energy or 0.0))
    assert [frame.energy for frame in frames] == [-1.0, -2.0, -3.0]
    for frame, atoms in zip(frames, ATOMS, strict=True):
        assert sorted(frame.numbers) == sorted(atoms.numbers)
        assert frame.forces is not None
        for position, number, force in zip(atoms.positions, atoms.numbers, atoms.get_forces(), strict=True):
            nearest = int(np.linalg.norm(frame.positions - position, axis=1).argmin())
            assert frame.numbers[nearest] == number
            np.testing.assert_allclose(frame.forces[nearest], force, atol=1e-6)
        np.testing.assert_allclose(frame.virial, -atoms.get_volume() * atoms.get_stress(voigt=False), rtol=1e-5)


def test_nested_folders_of_one_composition_each(tmp_path: Path) -> None:
    systems().to_deepmd_npy(str(tmp_path / "all"))
    assert len(list((tmp_path / "all").iterdir())) == 2
    check(tmp_path / "all")


def test_mixed_type(tmp_path: Path) -> None:
    """Real types stand in the set; atoms of type -1 fill up smaller structures."""
    systems().to_deepmd_npy_mixed(str(tmp_path / "mixed"))
    assert list((tmp_path / "mixed").rglob("real_atom_types.npy"))
    check(tmp_path / "mixed")


def test_mixed_type_with_padding(tmp_path: Path) -> None:
    systems().to_deepmd_npy_mixed(str(tmp_path / "padded"), atom_numb_pad=8)
    types = np.concatenate([np.load(file) for file in (tmp_path / "padded").rglob("real_atom_types.npy")])
    assert (types == -1).any()
    check(tmp_path / "padded")


def test_other_formats_through_dpdata(tmp_path: Path) -> None:
    systems().to_deepmd_hdf5(str(tmp_path / "all.hdf5"))
    check(f"dpdata:deepmd/hdf5:{tmp_path / 'all.hdf5'}")
    steps = [IonicStep(), IonicStep(electronic=NELM, reached=False, free_energy=-6.6), IonicStep(free_energy=-7.6)]
    (tmp_path / "OUTCAR").write_text(outcar(steps))
    frames = read_frames(f"dpdata:vasp/outcar:{tmp_path / 'OUTCAR'}")
    assert [frame.energy for frame in frames] == [-7.5, -7.6], "TOTEN of what converged"
    with refused("file-unreadable", "all.hdf5", "vasp/xml"):
        read_frames(f"dpdata:vasp/xml:{tmp_path / 'all.hdf5'}")
    with refused("dpdata-source", "dpdata:FORMAT:FILE"):
        read_frames("dpdata:OUTCAR")
    assert hash_sources([f"dpdata:vasp/outcar:{tmp_path / 'OUTCAR'}"])[0] == hash_sources([tmp_path / "OUTCAR"])[0]


def test_raw_folders_are_sent_to_dpdata(tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    dpdata.LabeledSystem(data=systems()[0].data).to_deepmd_raw(str(folder))
    with refused("deepmd-folder-malformed", f"dpdata:deepmd/raw:{folder}"):
        read_frames(folder)
    assert len(read_frames(f"dpdata:deepmd/raw:{folder}")) >= 1


def test_sources_of_a_training_input_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("data: {train: ['dpdata:vasp/outcar:a/OUTCAR', b.extxyz]}\n")
    assert read_config(tmp_path / "in.yaml").data.train == (
        f"dpdata:vasp/outcar:{tmp_path}/a/OUTCAR",
        f"{tmp_path}/b.extxyz",
    )


def test_without_a_type_map_the_elements_are_not_guessed(tmp_path: Path) -> None:
    systems().to_deepmd_npy(str(tmp_path / "all"))
    missing = next((tmp_path / "all").rglob("type_map.raw"))
    missing.unlink()
    with refused("deepmd-type-map-missing", missing):
        read_frames(tmp_path / "all")


def test_extxyz_of_dpdata(tmp_path: Path) -> None:
    """Its writer names what it writes as ASE does, or as GPUMD does."""
    dpdata.LabeledSystem(data=systems()[0].data).to("extxyz", str(tmp_path / "a.xyz"))
    remarks = Remarks()
    frames = read_all([tmp_path / "a.xyz"], remarks=remarks)
    assert frames[0].forces is not None
    assert remarks.unread() == []
    by_dpdata = dpdata.LabeledSystem(str(tmp_path / "a.xyz"), fmt="extxyz")
    np.testing.assert_allclose(frames[0].virial, by_dpdata.data["virials"][0], rtol=1e-5)
    assert len(ase.io.read(tmp_path / "a.xyz", ":")) == len(frames)
