"""The compiled operators with embedding nets: the laws, the numbers of the model's own path, and what can go wrong.

Each activation, residual steps and skips of all kinds are tested against DeePMD-kit's numbers (tests/deepmd).
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model_contract import STRUCTURES, ModelContract, assert_same, on_path, open_model
from systems import CUTOFF, SPECIES, random_config, random_model

from dp_sim.compiled import evaluation, library
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.model.compression import compress
from dp_sim.model.evaluator import Model
from dp_sim.model.metadata import ModelMetadata
from dp_sim.model.potential import DeepPotential, Potential
from dp_sim.networks.activations import ACTIVATIONS, make_activation

has_library = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
KINDS = ("networks", "tables")


def random_of(kind: str) -> DeepPotential:
    model = random_model(random_config())
    return compress(model, spacing=0.01)[0] if kind == "tables" else model


def opened(model: DeepPotential, on_fast_path: bool = True) -> Model:
    potential = Potential(model, CUTOFF).eval().requires_grad_(False)
    return on_path(open_model(potential, "float64"), potential, on_fast_path)


@has_library
class TestNetworks(ModelContract):
    corners_only = False
    compiled = True

    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config()), CUTOFF)


@has_library
class TestTwoSidedCosine(ModelContract):
    compiled = True

    @classmethod
    def make(cls) -> Potential:
        config = random_config(one_side=False, switch="cosine", activation="silu", residual_timestep=True)
        return Potential(random_model(config), CUTOFF)


@has_library
class TestRadialFloat32(ModelContract):
    compiled = True
    dtype = "float32"
    tolerance = 2e-5
    step, step_tolerance = 1e-2, 5e-3

    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config(descriptor="radial", precision="float32")), CUTOFF)


@has_library
@pytest.mark.parametrize(
    "settings",
    [
        {"embedding": (1,)},
        {"embedding": (8, 16, 32)},
        {"embedding": (25, 50, 100)},
        {"embedding": (7, 7, 9), "activation": "gelu"},
        {"embedding": (30, 20), "activation": "softplus", "one_side": False},
        {"embedding": (5, 10), "activation": "sigmoid", "descriptor": "radial"},
    ],
)
def test_same_numbers_as_the_other_path(settings: dict[str, object]) -> None:
    """Widths that fill vectors of the processor and widths that do not; layers with and without skips."""
    model = random_model(random_config(**{"axis_width": 1, **settings}))
    fast, plain = opened(model), opened(model, on_fast_path=False)
    for name, structure in STRUCTURES.items():
        got, expected = (m.evaluate(structure, virial=True) for m in (fast, plain))
        for field in ("energy", "atomic_energies", "forces", "virial"):
            assert_same(getattr(got, field), getattr(expected, field), 1e-13, f"{field} of {name}")


@has_library
@pytest.mark.parametrize(
    "fitting",
    [
        {"fitting": (1,)},
        {"fitting": (25, 25)},
        {"fitting": (9, 18, 18, 5), "residual_timestep": True},
        {"fitting": (64, 64), "embedding": (8, 16), "axis_width": 4, "activation": "softplus"},
        {"fitting": (128,), "embedding": (8, 16), "axis_width": 4},
        {"fitting": (20,), "embedding": (10, 20), "axis_width": 1, "residual_timestep": True},
    ],
)
def test_fitting_nets_of_any_shape(fitting: dict[str, object]) -> None:
    """Layers that hand their input on, once and twice, the first one too, which then needs the whole descriptor."""
    model = random_model(random_config(**fitting))
    fast, plain = opened(model), opened(model, on_fast_path=False)
    got, expected = (m.evaluate(STRUCTURES["TTT"], virial=True) for m in (fast, plain))
    for field in ("atomic_energies", "forces", "virial"):
        assert_same(getattr(got, field), getattr(expected, field), 1e-13, field)


@has_library
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_atom_is_the_same_whichever_others_are_evaluated_with_it(kind: str, precision: str) -> None:
    """To the last bit, though atoms are taken in pieces that depend on how many there are."""
    model = random_model(random_config(precision=precision))
    model = compress(model, spacing=0.01)[0] if kind == "tables" else model
    potential = open_model(Potential(model, CUTOFF).eval().requires_grad_(False), precision)
    structure = STRUCTURES["TTT"]
    alone = potential.evaluate(structure).atomic_energies
    for copies in (2, 7, 40):
        together = potential.evaluate([structure] * copies).atomic_energies
        assert torch.equal(together, torch.cat([alone] * copies))


@has_library
@pytest.mark.parametrize("kind", KINDS)
def test_time_of_the_parts(kind: str) -> None:
    model = opened(random_of(kind))
    seconds = torch.zeros(3, dtype=torch.float64)
    batch, pairs = model.prepare([STRUCTURES["TTT"]] * 50)
    model.compiled[0].timed(*batch, *pairs, seconds, torch.empty(0, dtype=torch.float64))  # type: ignore[union-attr]
    assert bool((seconds > 0).all())


@has_library
def test_saturated_and_tiny_inputs_of_tanh() -> None:
    """Biases from 1e-9 to 1e9: its slope vanishes without a NaN, and small arguments keep their digits."""
    model = random_model(random_config())
    for net in model.descriptor.embedding.nets.children():
        layer = next(net.layers.children())
        layer.bias.data = torch.logspace(-9, 9, len(layer.bias), dtype=torch.float64) * (-1.0) ** torch.arange(
            len(layer.bias)
        )
        layer.weight.data *= 1e-3
    fast, plain = (opened(model, which).evaluate(STRUCTURES["TTT"]) for which in (True, False))
    assert plain.forces.abs().max() > 1e-6
    assert_same(fast.energy, plain.energy, 1e-14, "energy")
    assert float((fast.forces - plain.forces).abs().max() / plain.forces.abs().max()) < 1e-12


@has_library
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("where", ["embedding", "fitting"])
def test_weights_that_are_not_numbers_are_not_hidden(where: str, activation: str) -> None:
    model = random_model(random_config())
    nets = model.descriptor.embedding.nets if where == "embedding" else model.fitting.nets
    for net in nets.children():
        for layer in net.layers.children():
            layer.activation = make_activation(activation)
            layer.weight.data[0] = torch.nan
    output = opened(model).evaluate(STRUCTURES["TTT"])
    assert bool(output.energy.isnan().all())


@has_library
def test_a_table_that_is_not_a_number_is_not_hidden() -> None:
    model = random_of("tables")
    model.descriptor.table.values[:] = torch.nan
    assert bool(opened(model).evaluate(STRUCTURES["TTT"]).energy.isnan().all())


@has_library
@pytest.mark.parametrize("setting", ["OMP_THREAD_LIMIT=1", "OMP_DYNAMIC=true", "OMP_NUM_THREADS=3"])
def test_forces_are_whole_however_many_threads_there_are(setting: str) -> None:
    """A limit may leave fewer threads than were asked for."""
    code = f"""
import sys, torch
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from systems import CUTOFF, SPECIES, crystal, random_config, random_model
from dp_sim.model.evaluator import Model
from dp_sim.model.metadata import ModelMetadata
from dp_sim.model.potential import Potential
torch.set_num_threads(2)
potential = Potential(random_model(random_config()), CUTOFF).eval().requires_grad_(False)
model = Model([potential], [ModelMetadata(SPECIES, CUTOFF, "float64", {{}}, "", "")], "cpu")
assert model.compiled != [None]
fast = model.evaluate(crystal((True, True, True)), virial=True)
model.compiled = [None]
plain = model.evaluate(crystal((True, True, True)), virial=True)
assert (fast.forces - plain.forces).abs().max() < 1e-12, (fast.forces, plain.forces)
assert (fast.virial - plain.virial).abs().max() < 1e-12
"""
    name, value = setting.split("=")
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, name: value}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_on_another_device_there_is_no_fast_path(kind: str) -> None:
    """The device "meta", which has no numbers, stands for a GPU."""
    elsewhere = Potential(random_of(kind), CUTOFF).to("meta")
    members = [ModelMetadata(SPECIES, CUTOFF, "float64", {}, "", "")]
    assert Model([elsewhere], members, "meta").compiled == [None]


@has_library
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_beyond_the_cutoff_add_nothing(kind: str) -> None:
    """What a neighbour list with a skin relies on."""
    model = opened(random_of(kind))
    wider = Potential(random_of(kind), CUTOFF + 1.5)
    batch, pairs = model.prepare(STRUCTURES["TTT"])
    more = wider.neighbors(batch.positions, batch.cell[0], torch.tensor([True] * 3))
    assert len(more[0]) > len(pairs.center)
    expected, got = (model.compiled[0].energies_and_forces(*batch, *p) for p in (pairs, more))  # type: ignore[union-attr]
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_without_the_library_it_says_once_that_it_is_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evaluation, "register_operators", lambda: "no compiler")
    evaluation._say_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger="dp_sim"):
        models = [open_model(Potential(random_of(kind), CUTOFF), "float64") for kind in KINDS]
    assert [model.compiled for model in models] == [[None], [None]]
    assert [record.message for record in caplog.records] == [
        "models run several times slower here than they could: no compiler"
    ]


def test_other_descriptors_have_no_fast_path_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    frames = {"H": 2, "O": 2, "Cu": 2}
    config = random_config(descriptor="local-frame", angular_neighbors=frames, radial_neighbors=0)
    model = DeepPotential(config)
    assert compiled_layout(model.descriptor) is None
    with caplog.at_level(logging.WARNING, logger="dp_sim"):
        assert open_model(Potential(model, CUTOFF), "float64").compiled == [None]
    assert not caplog.records


@has_library
def test_a_library_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "OPERATORS_VERSION", 0)
    assert "another version of dp-sim; install dp-sim again" in library.open_library.__wrapped__()


@has_library
@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_of_a_wrong_kind_is_refused(kind: str) -> None:
    model = opened(random_of(kind))
    batch, pairs = model.prepare(STRUCTURES["TTT"])
    module = model.compiled[0]
    assert module is not None
    with pytest.raises(RuntimeError, match="wrong dtype, layout or size"):
        module.energies_and_forces(*batch._replace(system=batch.system.to(torch.int32)), *pairs)
