"""Files of earlier versions: the same numbers from their weights, put into the modules of today."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.build import molecule
from deepmd_random import ANGULAR, RADIAL, deepmd_model, part
from model_contract import assert_same, open_model
from systems import CUTOFF, random_config, random_model

from dp_sim.compiled.library import register_operators
from dp_sim.model.compression import compress
from dp_sim.model.evaluator import eager_model
from dp_sim.model.model_file import load_model
from dp_sim.model.potential import DeepPotential, Potential
from dp_sim.model.upgrade import STATE_VERSION, upgraded_state
from dp_sim.training.checkpoint import load_checkpoint

WATER = Atoms("OHH", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.4, 0.8, 0.1]])


#: Written by the first version, and kept as it is.
FIRST_VERSION = Path(__file__).parent / "files" / "water_version_1.pt"


def test_a_file_of_the_first_version_gives_the_numbers_of_the_shipped_model() -> None:
    """The shipped one was written anew from it, with checksums."""
    shipped = load_model(Path(str(files("dp_sim.example_systems"))) / "water" / "water.pt")
    with pytest.warns(UserWarning, match="no checksums"):
        first = load_model(FIRST_VERSION)
    for got, expected in zip(first.evaluate(WATER), shipped.evaluate(WATER), strict=True):
        if expected is not None:
            assert_same(got, expected, 1e-6, "first version")


def test_models_of_the_first_version_open_as_modules_again() -> None:
    """Their TorchScript code is that of the version that wrote them; their weights move into today's modules."""
    before = torch.get_rng_state()
    with pytest.warns(UserWarning, match="no checksums"):
        model = load_model(FIRST_VERSION)
    assert torch.equal(torch.get_rng_state(), before), "opening a file draws no random numbers"
    assert model.metadata.version < STATE_VERSION
    assert (model.compiled == [None]) == bool(register_operators()), "they take the compiled path all the same"
    rebuilt = open_model(Potential(eager_model(model), model.metadata.cutoff), model.metadata.dtype)
    rebuilt.members = (model.metadata,)
    rebuilt.metadata = model.metadata
    by_operators = model.evaluate(WATER, virial=True)
    rebuilt.compiled = model.compiled = [None]
    got, expected = (m.evaluate(WATER, virial=True) for m in (rebuilt, model))
    for field in ("atomic_energies", "forces", "virial"):
        assert_same(getattr(got, field), getattr(expected, field), 2e-6, field)
        # the operators keep distances in float64, a float32 model by itself does not
        assert_same(getattr(by_operators, field), getattr(expected, field), 1e-5, field)


def first_version(model: DeepPotential) -> dict[str, torch.Tensor]:
    """The state as version 1 named it."""
    state = {name.removeprefix("descriptor."): value for name, value in model.state_dict().items()}
    for name in ("mean", "deviation"):
        state[f"environment.{name}"] = state[f"environment.{name}"][0]
    return state


def test_checkpoints_of_the_first_version(tmp_path: Path) -> None:
    model = random_model(random_config(), seed=3)
    state = {"format": "dp-sim checkpoint", "version": 1, "model": first_version(model), "average": None}
    torch.save(state, tmp_path / "old.pt")
    loaded = load_checkpoint(tmp_path / "old.pt")
    assert loaded["average"] is None
    other = random_model(random_config(), seed=4)
    other.load_state_dict(loaded["model"])
    got, expected = (open_model(Potential(m, CUTOFF), "float64").evaluate(WATER[[0, 1]]) for m in (other, model))
    assert torch.equal(got.energy, expected.energy)


def test_settings_of_imported_models_under_their_earlier_names() -> None:
    """Written before `sel` was called so in the settings: a hybrid of se_e2_a with a mean and DPA-1 with gates."""
    model = load_model(FIRST_VERSION.with_name("imported_with_places.pt"))
    with pytest.warns(UserWarning, match="at most 1"):
        output = model.evaluate(molecule("H2O"))
    assert float(output.energy) == pytest.approx(1.6019119491998093, abs=1e-10)
    assert [(part["sel"], part["shared_sel"]) for part in model.metadata.config["parts"]] == [
        ([1, 1], False),
        ([3], True),
    ]
    assert eager_model(model).descriptor.parts[1].n_slots == 3


def test_todays_state_is_left_alone() -> None:
    state = random_model(random_config()).state_dict()
    assert upgraded_state(state, STATE_VERSION) == state


def test_places_of_version_2() -> None:
    """They are the knots of tables, and sel of imported descriptors, also within a hybrid."""
    trained = deepmd_model(part(ANGULAR), part(RADIAL))
    for model in (
        trained,
        compress(trained, spacing=0.05)[0],
        compress(random_model(random_config()), spacing=0.05)[0],
    ):
        state = model.state_dict()
        old = {re.sub(r"\.(knots|sel)$", ".places", name): value for name, value in state.items()}
        assert old.keys() != state.keys()
        assert upgraded_state(old, 2) == state


def test_local_frames_with_saved_mirror_signs(tmp_path: Path) -> None:
    """Version 2 saved the signs, as `fitting.hand`; they follow from the settings."""
    config = random_config(descriptor="local-frame")
    model = random_model(config)
    state = {**model.state_dict(), "fitting.hand": model.descriptor.mirror_signs()}
    torch.save({"format": "dp-sim checkpoint", "version": 2, "model": state, "average": None}, tmp_path / "old.pt")
    assert load_checkpoint(tmp_path / "old.pt")["model"].keys() == model.state_dict().keys()
