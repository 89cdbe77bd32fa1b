"""The C interface of the kernels (kernels/interface/dp_sim.h) as another program calls it: files and given lists."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int64, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deepmd_random import ANGULAR, RADIAL, deepmd_config, deepmd_model, part
from model_contract import STRUCTURES, assert_same
from refusals import refused
from systems import CUTOFF, SPECIES, random_config, random_model

from dp_sim.compiled import library
from dp_sim.config.model import ModelConfig
from dp_sim.model.compression import compress
from dp_sim.model.kernel_export import export_for_kernels
from dp_sim.model.model_file import load_model, save_model
from dp_sim.model.potential import DeepPotential

pytestmark = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
DONE, NOT_FINITE, COINCIDE = 0, 2, 3


class Given(ctypes.Structure):
    """dp_sim_atoms."""

    _fields_ = (
        ("atoms", c_int64), ("positions", c_void_p), ("species", c_void_p), ("centers", c_int64), ("center", c_void_p),
        ("counts", c_void_p), ("lists", c_void_p), ("mask", c_int),
    )  # fmt: skip


class Outputs(ctypes.Structure):
    """dp_sim_outputs."""

    _fields_ = (
        ("energy", c_double), ("virial", c_double * 9), ("energies", c_void_p), ("forces", c_void_p),
        ("halved", c_void_p), ("centroid", c_void_p),
    )  # fmt: skip


@pytest.fixture(scope="module")
def kernels() -> Any:
    spec = find_spec("dp_sim.compiled._kernels")
    assert spec is not None
    found = ctypes.CDLL(spec.origin)
    found.dp_sim_open.restype = found.dp_sim_new_pairs.restype = c_void_p
    found.dp_sim_close.argtypes = found.dp_sim_free_pairs.argtypes = [c_void_p]
    found.dp_sim_find_pairs.argtypes = [
        c_void_p, POINTER(Given), c_double, c_double, POINTER(c_int64), c_char_p, ctypes.c_size_t
    ]  # fmt: skip
    found.dp_sim_evaluate.argtypes = [c_void_p, c_void_p, POINTER(Outputs), c_char_p, ctypes.c_size_t]
    return found


def written(model: DeepPotential, config: ModelConfig, folder: Path, **kept: Any) -> Path:
    save_model(folder / "model.pt", model, config, **kept)
    export_for_kernels(folder / "model.pt", folder / "model.dpsim")
    return folder / "model.dpsim"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights; the .pt is beside it."""
    config = random_config()
    return written(random_model(config), config, tmp_path_factory.mktemp("model"))


def opened(kernels: Any, file: Path) -> tuple[int | None, str]:
    message = ctypes.create_string_buffer(500)
    return kernels.dp_sim_open(str(file).encode(), message, 500), message.value.decode()


class Ghosts:
    """Atoms as a rank has them: the first of them its own, the rest ghosts, with lists over all."""

    def __init__(self, positions: np.ndarray, species: np.ndarray, own: int) -> None:
        n = len(positions)
        self.positions, self.own = np.array(positions), own
        self.species = species.astype(np.int32)
        self.center = np.arange(own, dtype=np.int32)[::-1].copy()  # in an order of LAMMPS's choice
        flag = np.int32(1 << 30)  # a bit that is no part of an index
        self.rows = [np.array([j | flag for j in range(n) if j != i], dtype=np.int32) for i in range(n)]
        self.counts = np.array([len(row) for row in self.rows], dtype=np.int32)
        self.lists = (c_void_p * n)(*[row.ctypes.data for row in self.rows])
        self.forces, self.energies = np.full((n, 3), np.nan), np.full(own, np.nan)
        self.halved, self.centroid = np.full((n, 3, 3), np.nan), np.full((n, 3, 3), np.nan)
        self.culprits = (c_int64 * 2)()
        self.outputs = Outputs()

    def find(self, kernels: Any, pairs: int) -> int:
        given = Given(
            len(self.positions), self.positions.ctypes.data, self.species.ctypes.data, self.own,
            self.center.ctypes.data, self.counts.ctypes.data, ctypes.addressof(self.lists), (1 << 29) - 1,
        )  # fmt: skip
        return int(kernels.dp_sim_find_pairs(pairs, byref(given), CUTOFF, 1e-2, self.culprits, None, 0))

    def evaluate(self, kernels: Any, file: Path) -> None:
        model, message = opened(kernels, file)
        assert model, message
        pairs = kernels.dp_sim_new_pairs()
        assert self.find(kernels, pairs) == DONE
        arrays = (self.energies, self.forces, self.halved, self.centroid)
        self.outputs = Outputs(0.0, (c_double * 9)(), *(array.ctypes.data for array in arrays))
        assert kernels.dp_sim_evaluate(model, pairs, byref(self.outputs), None, 0) == DONE
        kernels.dp_sim_free_pairs(pairs)
        kernels.dp_sim_close(model)


def of_cluster(own: int) -> Ghosts:
    atoms = STRUCTURES["cluster"]
    return Ghosts(atoms.positions, np.array([SPECIES.index(symbol) for symbol in atoms.get_chemical_symbols()]), own)


HYBRID = (part(ANGULAR, excluded=((0, 1),)), part(RADIAL, cutoff=3.1))


@pytest.mark.parametrize("kind", ["trained", "compressed", "hybrid"])
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_file_gives_the_models_numbers(kernels: Any, tmp_path: Path, kind: str, precision: str) -> None:
    """Own atoms and ghosts together: energies, and forces on both kinds, of the own atoms' energy."""
    config = random_config(precision=precision)
    model, kept = random_model(config), {}
    if kind == "hybrid":
        model = deepmd_model(*HYBRID, precision=precision)
        config = deepmd_config(*HYBRID, precision=precision)
    if kind == "compressed":
        model, done = compress(model, spacing=0.02)
        kept = {"compression": done}
    file = written(model, config, tmp_path, **kept)
    loaded = load_model(tmp_path / "model.pt")
    got = of_cluster(own=5)
    got.evaluate(kernels, file)
    batch, pairs = loaded.prepare(STRUCTURES["cluster"])
    positions = batch.positions.requires_grad_(True)
    atomic = loaded.modules[0](positions, *batch[1:], *pairs)[:5]
    gradient = torch.autograd.grad(atomic.sum(), positions)[0]
    tolerance = 1e-12 if precision == "float64" else 1e-4
    assert_same(got.energies, atomic.detach().numpy()[::-1], tolerance, "energies")
    assert_same(got.forces, -gradient.numpy(), tolerance, "forces")
    assert got.outputs.energy == pytest.approx(got.energies.sum(), rel=1e-13)
    virial = np.array(got.outputs.virial).reshape(3, 3)
    assert_same(virial, -np.einsum("ia,ib->ab", batch.positions.detach(), gradient), 10 * tolerance, "virial")
    for shares in (got.halved, got.centroid):
        assert_same(shares.sum(axis=0), virial, 1e-12, "virials of atoms, summed")


def test_centroid_virials_are_those_of_the_heat_flux(kernels: Any, file: Path) -> None:
    """W_i = sum_j (r_i - r_j) (x) -dE_j/dr_i, with the derivatives of each atomic energy by torch."""
    got = of_cluster(own=8)
    got.evaluate(kernels, file)
    model = load_model(file.with_suffix(".pt"))
    batch, pairs = model.prepare(STRUCTURES["cluster"])
    x = batch.positions.requires_grad_(True)
    energies = model.modules[0](x, *batch[1:], *pairs)
    expected = np.zeros((8, 3, 3))
    for j in range(8):
        slope = torch.autograd.grad(energies[j], x, retain_graph=True)[0].numpy()
        r = x.detach().numpy()
        expected += np.einsum("ia,ib->iab", r - r[j], -slope)
    assert_same(got.centroid, expected, 1e-12, "centroid virials")
    assert np.abs(got.centroid - got.centroid.transpose(0, 2, 1)).max() > 1e-3


def test_atoms_of_no_species_are_not_there(kernels: Any, file: Path) -> None:
    without, among = of_cluster(own=8), of_cluster(own=8)
    among.species[3] = -1
    among.evaluate(kernels, file)
    kept = np.arange(8) != 3
    atoms = STRUCTURES["cluster"][kept]
    expected = load_model(file.with_suffix(".pt")).evaluate(atoms)
    assert_same(among.forces[kept], expected.forces, 1e-12, "forces")
    assert np.array_equal(among.forces[3], np.zeros(3))
    assert among.energies[::-1][3] == 0.0
    without.evaluate(kernels, file)
    assert np.abs(without.forces - among.forces).max() > 1e-3


def test_positions_that_no_model_can_evaluate(kernels: Any) -> None:
    pairs = kernels.dp_sim_new_pairs()
    atoms = of_cluster(own=5)
    atoms.positions[6, 1] = np.nan
    assert atoms.find(kernels, pairs) == NOT_FINITE
    assert atoms.culprits[0] == 6
    atoms = of_cluster(own=5)
    atoms.positions[7] = atoms.positions[2] + 1e-4
    assert atoms.find(kernels, pairs) == COINCIDE
    assert set(atoms.culprits) == {2, 7}
    kernels.dp_sim_free_pairs(pairs)


def test_a_process_without_atoms(kernels: Any, file: Path) -> None:
    empty = Ghosts(np.zeros((0, 3)), np.zeros(0), own=0)
    empty.evaluate(kernels, file)
    assert empty.outputs.energy == 0.0
    assert list(empty.outputs.virial) == [0.0] * 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c[:-64], "truncated"),
        (lambda c: c[:50], "it is no model"),
        (lambda _: b"", "it is no model"),
        (lambda _: b"PK\x03\x04" + bytes(200), "a .pt of dp-sim or torch"),
        (lambda c: c[:12] + b"\x02\x00\x00\x00" + c[16:], "version 2.10, and this plugin reads version 1.10; upgrade"),
        (lambda c: c[:28] + b"\x01\x00\x00\x00" + c[32:], "version 1.1, and this plugin reads version 1.10; export"),
        (lambda c: c[:8] + c[11:7:-1] + c[12:], "another byte order"),
        (lambda c: c[:3000] + bytes([c[3000] ^ 1]) + c[3001:], "checksum"),
    ],
)
def test_files_that_are_no_whole_models(kernels: Any, file: Path, tmp_path: Path, change: Any, words: str) -> None:
    wrong = tmp_path / "wrong.dpsim"
    wrong.write_bytes(change(file.read_bytes()))
    model, message = opened(kernels, wrong)
    assert model is None
    assert words in message
    assert str(wrong) in message


def test_files_that_are_no_files(kernels: Any, tmp_path: Path) -> None:
    assert "No such file" in opened(kernels, tmp_path / "absent.dpsim")[1]
    assert "no regular file" in opened(kernels, tmp_path)[1]


def test_models_without_a_compiled_form_are_refused(tmp_path: Path) -> None:
    config = random_config(descriptor="local-frame")
    save_model(tmp_path / "model.pt", random_model(config), config)
    with refused("export-unsupported", "model.pt", "local-frame"):
        export_for_kernels(tmp_path / "model.pt", tmp_path / "model.dpsim")
    with refused("target-suffix", "model.bin"):
        export_for_kernels(tmp_path / "model.pt", tmp_path / "model.bin")


def test_species_without_training_data_are_marked(tmp_path: Path) -> None:
    config = random_config()
    file = written(random_model(config), config, tmp_path, training={"trained_species": ["H", "O"]})
    assert b"\ntrained 1 1 0\n" in file.read_bytes()
