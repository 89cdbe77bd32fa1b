"""Frames as extended XYZ, DCD and HDF5: MDTraj reads back positions, cells, times and velocities."""

import json
import struct

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read
from refusals import refused
from systems_dynamics import IdealGas

from dp_sim.cli.main import status
from dp_sim.recipes import run_npt, run_nvt
from dp_sim.recipes.dynamics.frame_formats.topology import topology

md = pytest.importorskip("mdtraj", reason="MDTraj is the reader")


def triclinic() -> Atoms:
    """Copper in a cell that is neither upright nor in any axis, and left-handed."""
    atoms = bulk("Cu") * (2, 3, 2)
    atoms.rattle(0.05, seed=2)
    atoms.rotate(40, (1, 2, 3), rotate_cell=True)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    assert atoms.cell.handedness < 0
    return atoms


@pytest.mark.parametrize("form", ["dcd", "h5"])
def test_mdtraj_reads_a_triclinic_run_under_pressure(tmp_path, form):
    if form == "h5":
        pytest.importorskip("tables", reason="MDTraj reads HDF5 through it")
    run_npt(
        triclinic(), EMT(), temperature_K=600, pressure_bar=1e4, steps=40, timestep_fs=2, frame_every=20,
        trajectory=["extxyz", form], velocities=True, out=tmp_path / "run", progress=False,
    )  # fmt: skip
    frames = read(tmp_path / "run" / "trajectory.extxyz", ":")
    top = {"top": str(tmp_path / "run" / "topology.pdb")} if form == "dcd" else {}
    loaded = md.load(str(tmp_path / "run" / f"trajectory.{form}"), **top)
    assert loaded.n_frames == len(frames) == 3
    pairs = [(0, 5), (3, 11), (7, 1)]
    for n, frame in enumerate(frames):
        assert loaded.unitcell_volumes[n] * 1000 == pytest.approx(frame.get_volume(), rel=1e-5)
        distances = [frame.get_distance(*pair, mic=True) for pair in pairs]
        assert np.allclose(md.compute_distances(loaded[n], pairs)[0] * 10, distances, atol=1e-4)
    assert [atom.element.symbol for atom in loaded.topology.atoms] == frames[0].get_chemical_symbols()
    if form == "h5":
        assert np.allclose(loaded.time, [0, 0.04, 0.08])
        with md.formats.HDF5TrajectoryFile(str(tmp_path / "run" / "trajectory.h5")) as file:
            data = file.read()
        speeds = [np.linalg.norm(frame.get_velocities(), axis=1) * 98.22694788 for frame in frames]  # Angstrom/ps
        assert np.allclose(np.linalg.norm(data.velocities, axis=2) * 10, speeds, rtol=1e-4)
        energies = [frame.get_potential_energy() * 96.485332 for frame in frames]
        assert np.allclose(data.potentialEnergy, energies, rtol=1e-5)


def test_the_time_step_of_a_dcd_file(tmp_path):
    """In the header, in CHARMM's unit, as VMD and MDAnalysis read it; frames 20 steps of 2 fs apart."""
    run_nvt(
        triclinic(), EMT(), temperature_K=300, steps=40, timestep_fs=2, frame_every=20, trajectory="dcd",
        out=tmp_path / "run", progress=False,
    )  # fmt: skip
    head = (tmp_path / "run" / "trajectory.dcd").read_bytes()[:92]
    frames, first, every, steps = struct.unpack("<4i", head[8:24])
    (delta,) = struct.unpack("<f", head[44:48])
    assert (frames, first, every, steps) == (3, 0, 20, 40)
    assert delta * 0.04888821 == pytest.approx(0.002, rel=1e-6)


def test_a_resumed_run_writes_its_forms_again(tmp_path):
    settings = {"temperature_K": 300, "timestep_fs": 2, "frame_every": 20, "trajectory": "dcd", "progress": False}
    run_nvt(triclinic(), EMT(), steps=40, out=tmp_path / "run", **settings)
    run_nvt(triclinic(), EMT(), steps=80, out=tmp_path / "run", resume=True, **settings)
    loaded = md.load(str(tmp_path / "run" / "trajectory.dcd"), top=str(tmp_path / "run" / "topology.pdb"))
    assert loaded.n_frames == len(read(tmp_path / "run" / "trajectory.extxyz", ":")) == 5


def test_a_molecule_without_a_cell(tmp_path):
    atoms = Atoms("Ar3", [[0, 0, 0], [3.8, 0, 0], [0, 3.8, 0]])
    run_nvt(
        atoms, LennardJones(epsilon=0.0103, sigma=3.4), temperature_K=10, steps=20, timestep_fs=2, frame_every=10,
        trajectory=["dcd,h5"], out=tmp_path / "run", progress=False,
    )  # fmt: skip
    loaded = md.load(str(tmp_path / "run" / "trajectory.dcd"), top=str(tmp_path / "run" / "topology.pdb"))
    frames = read(tmp_path / "run" / "trajectory.extxyz", ":")
    assert loaded.unitcell_lengths is None
    assert np.allclose(loaded.xyz * 10, [frame.positions for frame in frames], atol=1e-4)
    assert not frames[0].has("momenta")
    assert (tmp_path / "run" / "trajectory.h5").exists()


def test_atoms_stay_in_their_order():
    """Water with all oxygens first: the atoms of a molecule do not follow one another."""
    one = molecule("H2O")
    two = one.copy()
    two.translate([5, 0, 0])
    both = (one + two)[[0, 3, 1, 2, 4, 5]]
    made = topology(both)
    indices = [atom["index"] for residue in made["chains"][0]["residues"] for atom in residue["atoms"]]
    assert indices == list(range(6))
    assert sorted(map(tuple, made["bonds"])) == [(0, 2), (0, 3), (1, 4), (1, 5)]
    assert [len(residue["atoms"]) for residue in topology(one + two)["chains"][0]["residues"]] == [3, 3]
    json.dumps(made)


def test_an_unknown_form_is_refused(tmp_path, monkeypatch):
    atoms = Atoms("Ar2", [[0, 0, 0], [5, 5, 5]], cell=[10] * 3, pbc=True)
    with refused("choice-unknown", "trajectory", "hdf5", "h5"):
        run_nvt(atoms, IdealGas(), temperature_K=300, steps=10, trajectory=["hdf5"])
    monkeypatch.chdir(tmp_path)
    bulk("Cu", cubic=True).write("cu.extxyz")
    command = ["nvt", "cu.extxyz", "--calculator", "emt", "-T", "300", "--steps", "10", "-q", "-o", "run"]
    assert status([*command, "--trajectory", "h5", "--trajectory", "dcd"]) == 3
    assert (tmp_path / "run" / "trajectory.h5").exists()
    assert (tmp_path / "run" / "trajectory.dcd").exists()
