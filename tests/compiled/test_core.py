"""The core of the compiled path: without torch, from C++; and the list of fields that it shares with Python."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from deepmd_random import ANGULAR, RADIAL, deepmd_model, part
from model_contract import STRUCTURES, assert_same, open_model
from systems import CUTOFF, random_config, random_model

from dp_sim.compiled import library
from dp_sim.compiled.fitting_layout import FittingLayout
from dp_sim.compiled.potential import CompiledPotential
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.model.compression import compress
from dp_sim.model.evaluator import Model
from dp_sim.model.potential import DeepPotential, Potential
from dp_sim.structures.batch import AtomicBatch, NeighborList

KERNELS = Path(__file__).parents[2] / "dp_sim" / "compiled" / "kernels"
pytestmark = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """core_without_torch.cpp, compiled against the installed library."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++")
    spec = find_spec("dp_sim.compiled._kernels")
    assert spec is not None
    assert spec.origin is not None
    target = tmp_path_factory.mktemp("core") / "core_without_torch"
    source = Path(__file__).with_name("core_without_torch.cpp")
    folder = Path(spec.origin).parent
    command = ["g++", "-std=c++17", f"-I{KERNELS}", source, spec.origin, f"-Wl,-rpath,{folder}", "-ldl", "-o", target]
    subprocess.run(command, check=True)
    return target


def run(program: Path, model: CompiledPotential, batch: AtomicBatch, pairs: NeighborList, centers: int) -> np.ndarray:
    """Energies of the first `centers` atoms, and forces and virial of their sum, one after another."""
    chosen = pairs.center < centers
    packed = (model.sizes, model.integers, model.doubles, model.numbers)
    header = [centers, len(batch.species), len(batch.cell), int(chosen.sum())]
    header += [int(model.numbers.dtype == torch.float32), *map(len, packed)]
    fields = (
        torch.tensor(header), batch.positions, batch.cell, batch.system[:centers], batch.species,
        pairs.center[chosen], pairs.neighbor[chosen], pairs.shift[chosen], *packed,
    )  # fmt: skip
    files = program.with_name("input"), program.with_name("output")
    files[0].write_bytes(b"".join(field.contiguous().numpy().tobytes() for field in fields))
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.fromfile(files[1])


def opened(model: DeepPotential, dtype: str) -> tuple[Model, CompiledPotential]:
    potential = Potential(model, CUTOFF).eval().requires_grad_(False)
    layout = compiled_layout(model.descriptor)
    assert layout is not None
    return open_model(potential, dtype), CompiledPotential(model.fitting, layout)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_program_without_torch_gives_the_same_numbers(program: Path, dtype: str) -> None:
    hybrid = deepmd_model(part(ANGULAR, excluded=((0, 1),)), part(RADIAL), precision=dtype)
    for trained in (hybrid, random_model(random_config(precision=dtype))):
        for network in (trained, compress(trained, spacing=0.02)[0]):
            model, compiled = opened(network, dtype)
            batch, pairs = model.prepare(STRUCTURES["TTT"])
            got = run(program, compiled, batch, pairs, centers=4)
            expected = model.evaluate(STRUCTURES["TTT"], virial=True)
            assert expected.forces is not None
            assert expected.virial is not None
            together = [expected.atomic_energies, expected.forces.flatten(), expected.virial.flatten()]
            assert_same(got, torch.cat(together).numpy(), 1e-13, "energies, forces and virial")


def test_atoms_that_another_process_owns_are_neighbours_only(program: Path) -> None:
    """The forces are the gradient of the energies of the centres, on all atoms."""
    model, compiled = opened(deepmd_model(part(ANGULAR)), "float64")
    batch, pairs = model.prepare(STRUCTURES["cluster"])
    positions = batch.positions.requires_grad_(True)
    energies = model.modules[0](positions, *batch[1:], *pairs)[:3]
    gradient = torch.autograd.grad(energies.sum(), positions)[0]
    got = run(program, compiled, batch._replace(positions=positions.detach()), pairs, centers=3)
    assert_same(got[:3], energies.detach().numpy(), 1e-13, "energies")
    assert_same(got[3:-9].reshape(-1, 3), -gradient.numpy(), 1e-12, "forces")
    assert np.abs(got[12:-9]).max() > 1e-3, "atoms that are no centres feel forces"


def test_the_core_knows_nothing_of_torch() -> None:
    core = [path for path in KERNELS.rglob("*.*") if "torch" not in path.relative_to(KERNELS).parts]
    assert len(core) > 20
    for path in core:
        included = re.findall(r'#include ["<](.*)[">]', path.read_text())
        assert not [name for name in included if "torch" in name or "abi" in name or "Python" in name], path


def test_both_sides_have_the_same_fields() -> None:
    layout = compiled_layout(random_model(random_config()).descriptor)
    assert layout is not None
    assert {field.name for field in library.part_fields()} == set(layout[0].fields())
    assert {field.name for field in library.fitting_fields()} == set(FittingLayout._fields)
    assert {field.stream for field in library.part_fields()} == {"integers", "doubles", "numbers"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.sizes.__setitem__(0, library.LAYOUT_VERSION - 1), "laid out by another version of dp-sim"),
        (lambda m: setattr(m, "doubles", m.doubles[:-1]), "the model's array 'bias' is not whole"),
        (lambda m: setattr(m, "sizes", m.sizes[:-1]), "array of sizes is too short"),
        (lambda m: setattr(m, "numbers", torch.cat([m.numbers, m.numbers[:1]])), "more values than its fields"),
        (lambda m: m.sizes.__setitem__(1, 4), "array 'scale' has 12 values, expected 16"),
    ],
)
def test_a_model_that_is_not_whole_is_refused(change: object, message: str) -> None:
    """As one may be that an earlier version wrote into a System of OpenMM."""
    model, compiled = opened(random_model(random_config()), "float64")
    change(compiled)  # type: ignore[operator]
    with pytest.raises(RuntimeError, match=message):
        compiled.energies_and_forces(*(field for part in model.prepare(STRUCTURES["TTT"]) for field in part))
