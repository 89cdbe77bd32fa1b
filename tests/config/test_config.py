"""Settings: bad ones are refused in one sentence that names the key."""

from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config, read_config

DATA = {"data": {"train": ["frames.extxyz"]}}


def test_only_the_data_are_needed() -> None:
    config = parse_config(DATA)
    assert config.model.cutoff == 6.0
    assert config.training.batch_size == 1


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"model": {"cutof": 5.0}}, ("setting-invalid", "model.cutof", "cutoff")),
        ({"modle": {}}, ("setting-invalid", "modle", "model")),
        ({"training": {"learningrate": 1e-3}}, ("setting-invalid", "training.learningrate", "learning_rate")),
        ({"loss": {"force": [1, 1]}}, ("setting-invalid", "loss.force", "forces")),
        ({"data": {"train": ["a"], "vaild": ["b"]}}, ("setting-invalid", "data.vaild", "valid")),
        ({"model": {"cutoff": -1}}, ("setting-invalid", "model.cutoff", "0", "-1")),
        ({"model": {"cutoff": float("inf")}}, ("setting-invalid", "model.cutoff")),
        ({"model": {"cutoff": float("nan")}}, ("setting-invalid", "model.cutoff")),
        ({"model": {"cutoff": "six"}}, ("setting-invalid", "six", "model.cutoff")),
        (
            {"model": {"cutoff": 2.0, "switch_start": 2.0}},
            ("setting-invalid", "switch_start", "2.0"),
        ),
        ({"model": {"embedding": []}}, ("setting-invalid",)),
        ({"model": {"embedding": [4, 8], "axis_width": 9}}, ("setting-invalid", "axis_width", "9", "8")),
        ({"model": {"embedding": [4, 0]}}, ("setting-invalid", "model.embedding.1", "0")),
        ({"model": {"switch": "cosin"}}, ("setting-invalid", "polynomial", "cosine", "cosin")),
        ({"model": {"activation": "relu"}}, ("setting-invalid", "tanh", "relu", "model.activation")),
        ({"model": {"precision": "float16"}}, ("setting-invalid", "float32", "float64", "float16")),
        ({"model": {"species": ["H", "Oxygen"]}}, ("setting-invalid", "Oxygen", "model.species")),
        ({"model": {"species": ["H", "X"]}}, ("setting-invalid", "X", "model.species")),
        ({"model": {"species": ["H", "O", "H"]}}, ("setting-invalid", "model.species")),
        (
            {"model": {"descriptor": "local-frame", "embedding": [4, 8]}},
            ("setting-invalid", "angular_neigh"),
        ),
        (
            {"model": {"descriptor": "deep-potential", "radial_neighbors": 4}},
            ("setting-invalid", "radial_neighbors"),
        ),
        ({"model": {"axes": {}}}, ("setting-invalid",)),
        (
            {"model": {"descriptor": "local-frame", "angular_neighbors": {"H": 4}}},
            ("setting-invalid", "angular_neighbors"),
        ),
        (
            {"model": {"descriptor": "local-frame", "species": ["H", "O"], "axes": {"H": ["O", "C"]}}},
            ("setting-invalid",),
        ),
        (
            {"model": {"descriptor": "local-frame", "radial_neighbors": [1, 2]}},
            ("setting-invalid", "model.radial_neighbors", "1", "2"),
        ),
        (
            {"model": {"descriptor": "local-frame", "species": ["H"], "axes": {"H": ["H"]}}},
            ("setting-invalid", "H", "model.axes"),
        ),
        (
            {"model": {"descriptor": "local-frame", "angular_neighbors": -1}},
            ("setting-invalid", "model.angular_neighbors", "-1"),
        ),
        ({"model": {"descriptor": "local_frame"}}, ("setting-invalid", "local_frame", "model.descriptor")),
        ({"training": {"steps": 0}}, ("setting-invalid", "training.steps", "0")),
        ({"training": {"steps": 10.5}}, ("setting-invalid", "training.steps", "10.5")),
        ({"training": {"learning_rate": 1e-4, "learning_rate_end": 1e-3}}, ("setting-invalid", "learning_rate_end")),
        ({"training": {"optimizer": "lkf"}}, ("setting-invalid", "soap", "rlekf", "lkf")),
        (
            {"training": {"optimizer": "rlekf", "learning_rate": 1e-3}},
            ("setting-invalid", "learning_rate", "block_size", "force_groups"),
        ),
        (
            {"training": {"optimizer": "rlekf", "weight_decay": 0.0}},
            ("setting-invalid", "weight_decay"),
        ),
        (
            {"training": {"block_size": 64}},
            ("setting-invalid", "block_size", "learning_"),
        ),
        (
            {"training": {"optimizer": "rlekf", "forgetting": 1.1}},
            ("setting-invalid", "training.forgetting", "1", "1.1"),
        ),
        ({"training": {"optimizer": "rlekf", "forgetting": 0}}, ("setting-invalid", "training.forgetting", "0")),
        ({"training": {"optimizer": "rlekf", "block_size": 0}}, ("setting-invalid", "training.block_size", "0")),
        (
            {
                "loss": {"energy": [1, 0], "forces": [1, 0], "virial": [1, 0]},
                "training": {"optimizer": "rlekf"},
            },
            ("setting-invalid",),
        ),
        ({"training": {"average": 1.0}}, ("setting-invalid", "training.average", "1", "1.0")),
        ({"training": {"seed": -1}}, ("setting-invalid", "training.seed", "0", "-1")),
        ({"loss": {"energy": [1.0]}}, ("setting-invalid", "loss.energy")),
        ({"loss": {"energy": [-1.0, 1.0]}}, ("setting-invalid",)),
        ({"loss": {"energy": [0, 0], "forces": [0, 0], "virial": [0, 0]}}, ("setting-invalid",)),
        ({"data": {}}, ("setting-invalid", "data.train")),
        ({"data": {"train": ["a"], "valid_fraction": 1.0}}, ("setting-invalid", "data.valid_fraction", "1", "1.0")),
        ({"data": None}, ("setting-invalid",)),
    ],
)
def test_refused(settings: dict[str, Any], refusal: tuple[str, ...]) -> None:
    with refused(*refusal) as caught:
        parse_config({**DATA, **settings}, "input.yaml")
    assert str(caught.value).startswith("input.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [None, [], "data", 3])
def test_no_mapping(settings: Any) -> None:
    with refused("config-malformed"):
        parse_config(settings)


def test_a_misspelt_section_is_named_not_the_one_it_leaves_missing() -> None:
    with refused("setting-invalid", "dta", "data"):
        parse_config({"dta": {"train": ["a"]}})
    with refused("setting-invalid", "data.trian", "train"):
        parse_config({"data": {"trian": ["a"]}})


def test_one_file_needs_no_list() -> None:
    data = parse_config({"data": {"train": "a.extxyz", "valid": "b.extxyz"}}).data
    assert (data.train, data.valid) == (("a.extxyz",), ("b.extxyz",))
    with refused("setting-invalid", "data.train", "a list", "7"):
        parse_config({"data": {"train": 7}})


def test_the_network_of_the_paper_is_the_default_of_its_descriptor() -> None:
    for descriptor in ("local-frame", "deep-potential"):
        assert parse_config({**DATA, "model": {"descriptor": descriptor}}).model.fitting == (240, 120, 60, 30, 10)
        assert parse_config({**DATA, "model": {"descriptor": descriptor, "fitting": [9]}}).model.fitting == (9,)
    assert parse_config(DATA).model.fitting == (240, 240, 240)


@pytest.mark.parametrize("descriptor", ["deeppot-se", "radial", "local-frame", "deep-potential"])
def test_what_is_saved_is_read_again(descriptor: str) -> None:
    """Keys of other descriptors are not saved, so that they are not refused afterwards."""
    config = parse_config({**DATA, "model": {"descriptor": descriptor, "cutoff": 5.0}})
    for mode in ("json", "python"):
        again = parse_config(config.model_dump(mode=mode))
        assert again.model == config.model
        assert again.model_dump() == config.model_dump()
    assert ("axes" in config.model.model_dump()) == (descriptor in ("local-frame", "deep-potential"))


@pytest.mark.parametrize("optimizer", ["adam", "soap", "rlekf"])
def test_settings_of_other_optimizers_are_not_saved(optimizer: str) -> None:
    config = parse_config({**DATA, "training": {"optimizer": optimizer}})
    again = parse_config(config.model_dump(mode="json"))
    assert again.training == config.training
    assert again.model_dump() == config.model_dump()
    saved = config.model_dump()["training"]
    assert ("learning_rate" in saved, "forgetting" in saved) == (optimizer != "rlekf", optimizer == "rlekf")


def test_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_config(DATA).model.cutoff = 3.0  # type: ignore[misc]


def test_file(tmp_path: Path) -> None:
    (tmp_path / "input.yaml").write_text(
        "data: {train: [a.extxyz, sub/b@:10], valid: [/c.extxyz]}\nmodel: {cutoff: 5}\n"
    )
    config = read_config(tmp_path / "input.yaml")
    assert config.model.cutoff == 5.0
    assert config.data.train == (str(tmp_path / "a.extxyz"), str(tmp_path / "sub/b@:10"))
    assert config.data.valid == ("/c.extxyz",)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"data: [", ("file-unreadable", "YAML")),
        (b"\xff\xfe\x00", ("file-unreadable", "YAML")),
        (b"", ("config-malformed",)),
        (b"data: {train: [a]}\nseed: 1\nseed: 2\n", ("file-unreadable", "input.yaml", "'seed'", "line 2", "line 3")),
        (b"data: {train: [a]}\nmodel: {cutof: 5}\n", ("setting-invalid", "model.cutof", "cutoff", "input.yaml")),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, refusal: tuple[str, ...]) -> None:
    (tmp_path / "input.yaml").write_bytes(content)
    with refused(*refusal):
        read_config(tmp_path / "input.yaml")


def test_absent_file(tmp_path: Path) -> None:
    with refused("file-unreadable", "nothing.yaml"):
        read_config(tmp_path / "nothing.yaml")


def test_config_of_a_run_is_an_input_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config.yaml that a run leaves in its own folder means the same data, though they lie elsewhere."""
    import yaml

    monkeypatch.chdir(tmp_path)
    Path("input.yaml").write_text("data: {train: [frames.extxyz]}\n")
    first = read_config("input.yaml")
    Path("run").mkdir()
    Path("run/config.yaml").write_text(yaml.safe_dump({"recipe": "train", "seed": 0, **first.model_dump(mode="json")}))
    assert read_config("run/config.yaml") == first
    assert isinstance(first, TrainConfig)
