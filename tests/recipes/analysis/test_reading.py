"""Trajectories of other programs: the same numbers from every form, and what does not fit is refused."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.io import write
from refusals import refused
from synthetic_trajectories import TRICLINIC, walk_steps, wrapped

from dp_sim.recipes import analyse
from dp_sim.recipes.analysis.reading import read_source
from dp_sim.recipes.analysis.settings import AnalyseSettings

SYMBOLS = "ArNe2" * 4
ELEMENTS = ["Ar", "Ne", "Ne"] * 4


@pytest.fixture(scope="module")
def frames():
    positions = walk_steps(np.random.default_rng(1), 200, 12, 0.3, 0.05)
    found = wrapped(positions + np.random.default_rng(2).random((12, 3)) * 5, TRICLINIC, SYMBOLS)
    for frame in found:
        frame.set_velocities(np.random.default_rng(3).normal(0, 2, (12, 3)) / (1000 * units.fs))
    return found


@pytest.fixture(scope="module")
def topology(frames, tmp_path_factory):
    file = tmp_path_factory.mktemp("topology") / "atoms.pdb"
    write(file, frames[0])
    return str(file)


def source_of(file, **settings):
    return read_source(file, AnalyseSettings.check(settings))


def same_frames(source, frames, tolerance):
    assert len(source.frames) == len(frames)
    for number in (0, 1, 57, -1):
        ours, theirs = source.frames[number], frames[number]
        assert ours.get_chemical_symbols() == theirs.get_chemical_symbols()
        assert ours.positions == pytest.approx(theirs.positions, abs=tolerance)
        assert ours.cell.array == pytest.approx(theirs.cell.array, abs=tolerance)
        assert ours.pbc.all()
    assert [one.positions[0, 0] for one in source.frames.part(3, 20, 5)] == pytest.approx(
        [one.positions[0, 0] for one in frames[3:20:5]], abs=tolerance
    )


@pytest.mark.parametrize("name", ["run.extxyz", "run.traj"])
def test_files_of_ase(name, frames, tmp_path):
    write(tmp_path / name, frames)
    source = source_of(tmp_path / name, frame_fs=50.0)
    same_frames(source, frames, 1e-7)
    assert source.frame_ps == pytest.approx(0.05)
    assert source.frames[4].get_velocities() == pytest.approx(frames[4].get_velocities(), abs=1e-7)


@pytest.mark.filterwarnings("ignore:.*netCDF4:UserWarning")
@pytest.mark.parametrize("name", ["run.dcd", "run.xtc", "run.h5", "run.nc"])
def test_files_that_mdtraj_writes(name, frames, topology, tmp_path):
    mdtraj = pytest.importorskip("mdtraj")
    if name.endswith("h5"):
        pytest.importorskip("tables", reason="MDTraj reads and writes HDF5 with PyTables")
    atoms = mdtraj.Topology()
    residue = atoms.add_residue("GAS", atoms.add_chain())
    for symbol in ELEMENTS:
        atoms.add_atom(symbol, mdtraj.element.get_by_symbol(symbol), residue)
    trajectory = mdtraj.Trajectory(np.array([one.positions for one in frames]) / 10, atoms, time=np.arange(200) * 0.05)
    trajectory.unitcell_vectors = np.array([one.cell.array for one in frames]) / 10
    trajectory.save(str(tmp_path / name))
    own = {} if name.endswith("h5") else {"topology": topology}
    time = {"frame_fs": 50.0} if name.endswith("dcd") else {}
    source = source_of(tmp_path / name, **own, **time)
    same_frames(source, frames, 0.006)  # XTC keeps 0.01 Angstrom
    assert source.frame_ps == pytest.approx(0.05, rel=1e-4)
    if not name.endswith("dcd"):
        with refused("time-contradicted", "50 fs", "frame_fs is 20"):
            source_of(tmp_path / name, frame_fs=20.0, **own)
    if own:
        with refused("topology-missing", name):
            source_of(tmp_path / name, frame_fs=50.0)
        short = tmp_path / "short.pdb"
        write(short, frames[0][:-1])
        with refused("topology-mismatch", 12, 11):
            source_of(tmp_path / name, topology=str(short), frame_fs=50.0)


def test_elements_of_the_trajectory_itself_are_not_overruled(tmp_path):
    """An HDF5 trajectory names its atoms; another topology of as many atoms is none of this run."""
    mdtraj = pytest.importorskip("mdtraj")
    topology = mdtraj.Topology()
    residue = topology.add_residue("HOH", topology.add_chain())
    for symbol in "OHH":
        topology.add_atom(symbol, mdtraj.element.Element.getBySymbol(symbol), residue)
    positions = np.arange(27.0).reshape(3, 3, 3) / 10
    mdtraj.Trajectory(positions, topology, time=np.arange(3.0)).save_hdf5(str(tmp_path / "run.h5"))
    for symbols in ("OHH", "HHO"):
        write(tmp_path / f"{symbols}.xyz", Atoms(symbols, positions[0]))
    source_of(tmp_path / "run.h5", topology=str(tmp_path / "OHH.xyz"))
    with refused("topology-mismatch", "atom 0 is O", "H in the topology", "2 of 3"):
        source_of(tmp_path / "run.h5", topology=str(tmp_path / "HHO.xyz"))


def test_the_trr_of_a_gromacs_run_with_its_velocities(tmp_path):
    """physical_validation ships trajectories that GROMACS wrote."""
    mdtraj = pytest.importorskip("mdtraj")
    found = importlib.util.find_spec("physical_validation")
    run = Path(found.origin).parent / "tests/test_system_database/Water5/gromacs_files/NVT" if found else Path("none")
    if not (run / "traj.trr").is_file():
        pytest.skip("physical_validation brings no GROMACS trajectory here")
    with mdtraj.open(str(run / "traj.trr")) as file:
        positions, time, *_ = file.read()
    water = Atoms(["O", "H", "H"] * (positions.shape[1] // 3), positions=positions[0] * 10)
    write(tmp_path / "water.extxyz", water)
    source = source_of(run / "traj.trr", topology=str(tmp_path / "water.extxyz"))
    assert source.frame_ps == pytest.approx(time[1] - time[0], rel=1e-3)
    assert source.frames[-1].positions == pytest.approx(positions[-1] * 10, abs=1e-4)
    # Rigid molecules: 6 of 9 momenta move, so that 300 K show as 200 K, and a few molecules scatter about it.
    assert 80 < np.mean([frame.get_temperature() for frame in source.frames]) < 350


def dump_text(frames, steps, columns="id type x y z vx vy vz"):
    """What LAMMPS writes with `units real` in a triclinic box, atoms in another order in each frame."""
    text = []
    for number, (frame, step) in enumerate(zip(frames, steps, strict=True)):
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = frame.cell.array
        text += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(frame))]
        text += ["ITEM: BOX BOUNDS xy xz yz pp pp pp"]
        low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
        text += [f"{low} {lx + high} {xy}", f"{min(0, yz)} {ly + max(0, yz)} {xz}", f"0 {lz} {yz}"]
        text += [f"ITEM: ATOMS {columns}"]
        velocities = frame.get_velocities() * units.fs
        for atom in np.random.default_rng(number).permutation(len(frame)):
            kind = 1 + (frame.symbols[atom] == "Ne")
            values = " ".join(f"{value:.10f}" for value in (*frame.positions[atom], *velocities[atom]))
            text.append(f"{atom + 1} {kind} {values}")
    return "\n".join(text) + "\n"


def test_a_dump_of_lammps(frames, tmp_path):
    file = tmp_path / "run.lammpstrj"
    file.write_text(dump_text(frames, range(0, 20_000, 100)), encoding="utf-8")
    known = {"units": "real", "types": ["Ar", "Ne"]}
    source = source_of(file, timestep=0.5, **known)
    assert source.frame_ps == pytest.approx(0.05)
    same_frames(source, frames, 1e-6)
    assert source.frames[3].get_velocities() == pytest.approx(frames[3].get_velocities(), rel=1e-5)
    for missing, code in (("units", "units-missing"), ("types", "types-missing")):
        with refused(code, "run.lammpstrj"):
            source_of(file, **{name: value for name, value in known.items() if name != missing})
    with refused("time-contradicted", "50 fs"):
        source_of(file, timestep=0.5, frame_fs=10.0, **known)
    with refused("types-too-few", 1):
        source_of(file, timestep=0.5, units="real", types=["Ar"]).frames[0]
    with refused("time-unknown", "timestep"):
        analyse(file, only=["diffusion"], progress=False, **known)
    file.write_text(dump_text(frames[:3], [0, 100, 300]), encoding="utf-8")
    with refused("frames-uneven", 100, 300):
        source_of(file, **known)
    file.write_text(dump_text(frames[:3], [0, 100, 200]).replace("ATOMS id", "ATOMS tag"), encoding="utf-8")
    with refused("dump-columns", "id"):
        source_of(file, **known)


def test_a_frame_that_was_cut_off_does_not_count(frames, tmp_path):
    file = tmp_path / "run.extxyz"
    write(file, frames)
    file.write_bytes(file.read_bytes()[:-40])
    source = source_of(file, frame_fs=50.0)
    assert len(source.frames) == 199
    assert "cut off" in source.notes[0]


def test_a_compressed_file_is_read_as_it_is(frames, tmp_path):
    write(tmp_path / "run.extxyz", frames)
    packed = tmp_path / "run.extxyz.gz"
    packed.write_bytes(gzip.compress((tmp_path / "run.extxyz").read_bytes()))
    same_frames(source_of(packed, frame_fs=50.0), frames, 1e-7)
    packed.write_bytes(packed.read_bytes()[:-500])
    with refused("file-damaged", "run.extxyz.gz"):
        source_of(packed, frame_fs=50.0)


def test_settings_that_a_source_has_no_use_for_are_refused(frames, topology, tmp_path):
    write(tmp_path / "run.extxyz", frames)
    with refused("option-not-for-source", "topology"):
        source_of(tmp_path / "run.extxyz", topology=topology)
    with refused("option-not-for-source", "units", "types"):
        source_of(tmp_path / "run.extxyz", units="real", types=["Ar"])
    with refused("file-missing", "nothing.xtc"):
        source_of(tmp_path / "nothing.xtc")
    with refused("run-unknown", "config.yaml"):
        source_of(tmp_path)
    with refused("source-kind"):
        source_of(3)
