"""Settings: bad ones are refused in one sentence that names the key."""

from pathlib import Path
from typing import Any

import pytest

from dp_sim.config.reading import parse_config, read_config
from dp_sim.config.training import TrainConfig
from dp_sim.errors import InputError

DATA = {"data": {"train": ["frames.extxyz"]}}


def test_only_the_data_are_needed() -> None:
    config = parse_config(DATA)
    assert config.model.cutoff == 6.0
    assert config.training.batch_size == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": {"cutof": 5.0}}, r"unknown key 'model\.cutof'; did you mean 'cutoff'\?"),
        ({"modle": {}}, r"unknown key 'modle'; did you mean 'model'\?"),
        ({"training": {"learningrate": 1e-3}}, r"unknown key 'training\.learningrate'; did you mean 'learning_rate'\?"),
        ({"loss": {"force": [1, 1]}}, r"unknown key 'loss\.force'; did you mean 'forces'\?"),
        ({"data": {"train": ["a"], "vaild": ["b"]}}, r"unknown key 'data\.vaild'; did you mean 'valid'\?"),
        ({"model": {"cutoff": -1}}, r"model\.cutoff: .*greater than 0; got -1"),
        ({"model": {"cutoff": float("inf")}}, r"model\.cutoff: .*finite"),
        ({"model": {"cutoff": float("nan")}}, r"model\.cutoff: .*finite"),
        ({"model": {"cutoff": "six"}}, r"model\.cutoff: .*number.*; got 'six'"),
        (
            {"model": {"cutoff": 2.0, "switch_start": 2.0}},
            r"switch_start \(2\.0\) must be smaller than cutoff \(2\.0\)",
        ),
        ({"model": {"embedding": []}}, "embedding and fitting need at least one width each"),
        ({"model": {"embedding": [4, 8], "axis_width": 9}}, r"axis_width \(9\) must not exceed .* \(8\)"),
        ({"model": {"embedding": [4, 0]}}, r"model\.embedding\.1: .*greater than 0; got 0"),
        ({"model": {"switch": "cosin"}}, r"model\.switch: .*'polynomial' or 'cosine'; got 'cosin'"),
        ({"model": {"activation": "relu"}}, r"model\.activation: .*'tanh'.*; got 'relu'"),
        ({"model": {"precision": "float16"}}, r"model\.precision: .*'float32' or 'float64'; got 'float16'"),
        ({"model": {"species": ["H", "Oxygen"]}}, r"model\.species: 'Oxygen' is no element symbol"),
        ({"model": {"species": ["H", "X"]}}, r"model\.species: 'X' is no element symbol"),
        ({"model": {"species": ["H", "O", "H"]}}, r"model\.species: every element must be named once only"),
        (
            {"model": {"descriptor": "local-frame", "embedding": [4, 8]}},
            "embedding belongs to the descriptor deeppot-se and radial, not to local-frame, which has angular_neigh",
        ),
        (
            {"model": {"descriptor": "deep-potential", "radial_neighbors": 4}},
            "radial_neighbors belongs to the descriptor local-frame, not to deep-potential",
        ),
        ({"model": {"axes": {}}}, "axes belongs to the descriptor local-frame and deep-potential, not to deeppot-se"),
        (
            {"model": {"descriptor": "local-frame", "angular_neighbors": {"H": 4}}},
            "angular_neighbors names H; it must name each of species, which is empty",
        ),
        (
            {"model": {"descriptor": "local-frame", "species": ["H", "O"], "axes": {"H": ["O", "C"]}}},
            r"axes names C, which is not in species \(H, O\); add it there",
        ),
        (
            {"model": {"descriptor": "local-frame", "radial_neighbors": [1, 2]}},
            r"model\.radial_neighbors: expected a whole number, or one for each species like .*; got \[1, 2\]",
        ),
        (
            {"model": {"descriptor": "local-frame", "species": ["H"], "axes": {"H": ["H"]}}},
            r"model\.axes: expected two species for each, like .*; got \{'H': \['H'\]\}",
        ),
        ({"model": {"descriptor": "local-frame", "angular_neighbors": -1}}, r"model\.angular_neighbors.*; got -1"),
        ({"model": {"descriptor": "local_frame"}}, r"model\.descriptor: .*; got 'local_frame'"),
        ({"training": {"steps": 0}}, r"training\.steps: .*greater than 0; got 0"),
        ({"training": {"steps": 10.5}}, r"training\.steps: .*integer.*; got 10\.5"),
        ({"training": {"learning_rate": 1e-4, "learning_rate_end": 1e-3}}, r"learning_rate_end .* must not exceed"),
        ({"training": {"optimizer": "lkf"}}, r"training\.optimizer: .*'soap' or 'rlekf'; got 'lkf'"),
        (
            {"training": {"optimizer": "rlekf", "learning_rate": 1e-3}},
            "learning_rate belongs to the optimizer adam and soap, not to rlekf, which has block_size, force_groups, ",
        ),
        (
            {"training": {"optimizer": "rlekf", "weight_decay": 0.0}},
            "weight_decay belongs to the optimizer adam and soap",
        ),
        (
            {"training": {"block_size": 64}},
            "block_size belongs to the optimizer rlekf, not to adam, which has learning_",
        ),
        ({"training": {"optimizer": "rlekf", "forgetting": 1.1}}, r"training\.forgetting: .*equal to 1; got 1\.1"),
        ({"training": {"optimizer": "rlekf", "forgetting": 0}}, r"training\.forgetting: .*greater than 0; got 0"),
        ({"training": {"optimizer": "rlekf", "block_size": 0}}, r"training\.block_size: .*greater than 0; got 0"),
        (
            {
                "loss": {"energy": [1, 0], "forces": [1, 0], "virial": [1, 0]},
                "training": {"optimizer": "rlekf"},
            },
            "rlekf weighs errors by the second of the loss's prefactors; one must be positive",
        ),
        ({"training": {"average": 1.0}}, r"training\.average: .*less than 1; got 1\.0"),
        ({"training": {"seed": -1}}, r"training\.seed: .*greater than or equal to 0; got -1"),
        ({"loss": {"energy": [1.0]}}, r"loss\.energy"),
        ({"loss": {"energy": [-1.0, 1.0]}}, "prefactors must not be negative"),
        ({"loss": {"energy": [0, 0], "forces": [0, 0], "virial": [0, 0]}}, "one at least must be positive"),
        ({"data": {}}, r"data\.train: Field required"),
        ({"data": {"train": ["a"], "valid_fraction": 1.0}}, r"data\.valid_fraction: .*less than 1; got 1\.0"),
        ({"data": None}, r"data: "),
    ],
)
def test_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_config({**DATA, **settings}, "input.yaml")
    assert str(caught.value).startswith("input.yaml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", [None, [], "data", 3])
def test_no_mapping(settings: Any) -> None:
    with pytest.raises(InputError, match="expected a mapping with the keys model, data, loss, training"):
        parse_config(settings)


def test_a_misspelt_section_is_named_not_the_one_it_leaves_missing() -> None:
    with pytest.raises(InputError, match=r"unknown key 'dta'; did you mean 'data'\?"):
        parse_config({"dta": {"train": ["a"]}})
    with pytest.raises(InputError, match=r"unknown key 'data\.trian'; did you mean 'train'\?"):
        parse_config({"data": {"trian": ["a"]}})


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
    ("content", "message"),
    [
        (b"data: [", "is no valid YAML"),
        (b"\xff\xfe\x00", "is no valid YAML"),
        (b"", "expected a mapping"),
        (b"data: {train: [a]}\nmodel: {cutof: 5}\n", "input.yaml: unknown key 'model.cutof'; did you mean 'cutoff'"),
    ],
)
def test_bad_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "input.yaml").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "input.yaml")


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nothing\.yaml: No such file"):
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
