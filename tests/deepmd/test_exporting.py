"""Exported models: back through the import they give the same numbers; what DeePMD-kit has no form for is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from deepmd_models import model_file, structure
from model_contract import assert_same
from refusals import refused
from systems import random_config, random_model, structures

from dp_sim.cli.main import status
from dp_sim.deepmd.exporting import export_model
from dp_sim.deepmd.importing import import_model, read_deepmd
from dp_sim.model.model_file import load_model, save_model

SEL = (90, 80, 70)
VARIANTS: dict[str, dict[str, Any]] = {
    "one-sided": {},
    "two-sided with steps": {"one_side": False, "residual_timestep": True},
    "silu": {"activation": "silu"},
    "skip in the first fitting layer": {"fitting": (48, 48)},
    "doubling in the first fitting layer": {"fitting": (96,), "one_side": False},
    "float32": {"precision": "float32"},
}


def written(folder: Path, **settings: Any) -> Path:
    config = random_config(**settings)
    save_model(folder / "own.pt", random_model(config, seed=3), config)
    return folder / "own.pt"


def same(first: Path, second: Path, atoms: Any, tolerance: float) -> None:
    one, two = (load_model(path).evaluate(atoms, virial=True) for path in (first, second))
    for field in ("atomic_energies", "forces", "virial"):
        assert_same(getattr(two, field), getattr(one, field), tolerance, field)


@pytest.mark.filterwarnings("ignore:.*which DeePMD-kit leaves out of a .pb")
@pytest.mark.parametrize(
    ("variant", "suffix"), [*((variant, "dp") for variant in VARIANTS), ("two-sided with steps", "yaml")]
)
def test_there_and_back(variant: str, suffix: str, tmp_path: Path) -> None:
    """With DeePMD-kit itself benchmarks/deepmd/validate.py does the same."""
    path = written(tmp_path, **VARIANTS[variant])
    export_model(path, tmp_path / f"m.{suffix}", SEL)
    import_model(tmp_path / f"m.{suffix}", tmp_path / "back.pt")
    for name in ("cluster", "TTT"):
        same(path, tmp_path / "back.pt", structures()[name], 2e-5 if variant == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("widths", "what"), [((48,), "48 to 48 neurons in layer 1"), ((10, 20), "10 to 20 neurons in")]
)
def test_skips_that_a_tensorflow_model_loses(widths: tuple[int, ...], what: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=rf"from {what} .*leaves out of a \.pb without a word: convert it to \.pth"):
        export_model(written(tmp_path, fitting=widths), tmp_path / "m.dp", SEL)


def test_statistics_differ_among_species() -> None:
    """Without this the factors k_c of the export would all be 1."""
    scale = random_model(random_config(), seed=3).descriptor.environment.scale[:, 0]
    assert float(scale.max() / scale.min()) > 1.05


@pytest.mark.filterwarnings("ignore:.*which DeePMD-kit leaves out of a .pb")
@pytest.mark.filterwarnings("ignore:.*excludes pairs of species and has a mean")
@pytest.mark.parametrize("name", ["mean.dp", "zero_mean.dp", "two_sided.dp", "hybrid.dp", "excluded_in_model.dp"])
def test_imported_models_go_back(name: str, tmp_path: Path) -> None:
    """What came from DeePMD-kit leaves as it came: settings, sel, statistics, weights."""
    import_model(model_file(name, tmp_path), tmp_path / "a.pt")
    export_model(tmp_path / "a.pt", tmp_path / "b.dp")
    before, after = read_deepmd(tmp_path / name), read_deepmd(tmp_path / "b.dp")
    assert [d.sel for d in after.descriptors] == [d.sel for d in before.descriptors]
    for old, new in zip(before.descriptors, after.descriptors, strict=True):
        assert (new.kind, new.excluded, new.cutoff, len(new.nets)) == (
            old.kind,
            old.excluded,
            old.cutoff,
            len(old.nets),
        )
        np.testing.assert_allclose(new.deviation, old.deviation, rtol=1e-12)
        np.testing.assert_allclose(new.mean, old.mean, rtol=1e-12)
        for old_net, new_net in zip(old.nets, new.nets, strict=True):
            np.testing.assert_allclose(new_net[0].w, old_net[0].w, rtol=1e-12)
    import_model(tmp_path / "b.dp", tmp_path / "c.pt")
    same(tmp_path / "a.pt", tmp_path / "c.pt", structure("bulk"), 1e-12)


@pytest.mark.parametrize("name", ["zero_mean.dp", "excluded_zero_mean.dp"])
def test_more_slots_for_an_imported_model(name: str, tmp_path: Path) -> None:
    """Room alone: the numbers stay."""
    import_model(model_file(name, tmp_path), tmp_path / "a.pt")
    export_model(tmp_path / "a.pt", tmp_path / "b.dp", SEL)
    assert read_deepmd(tmp_path / "b.dp").descriptors[0].sel == SEL
    import_model(tmp_path / "b.dp", tmp_path / "c.pt")
    same(tmp_path / "a.pt", tmp_path / "c.pt", structure("bulk"), 1e-12)


@pytest.mark.parametrize(
    ("name", "sel", "refusal"),
    [
        ("mean.dp", SEL, ("sel-fixed", "20", "26", "16")),
        ("radial.dp", SEL, ("sel-fixed",)),
        ("zero_mean.dp", (3, 4), ("sel-invalid", "--sel", "3", "4")),
    ],
)
def test_slots_that_are_part_of_the_numbers(
    name: str, sel: tuple[int, ...], refusal: tuple[str, ...], tmp_path: Path
) -> None:
    import_model(model_file(name, tmp_path), tmp_path / "a.pt")
    with refused(*refusal):
        export_model(tmp_path / "a.pt", tmp_path / "b.dp", sel)


def test_three_body_models_stay(tmp_path: Path) -> None:
    import_model(model_file("three_body_hybrid.dp", tmp_path), tmp_path / "a.pt")
    with refused("export-unsupported", "se_e3"):
        export_model(tmp_path / "a.pt", tmp_path / "b.dp")


def test_first_embedding_layer_with_a_skip_connection(tmp_path: Path) -> None:
    """Exact while the nets see s itself; with a mean of s there is no place for it."""
    config = random_config(embedding=(1, 4, 8), fitting=(10,))
    model = random_model(config)
    save_model(tmp_path / "m.pt", model, config)
    with refused("export-unsupported", "1", "3"):
        export_model(tmp_path / "m.pt", tmp_path / "m.dp", SEL)
    assert not (tmp_path / "m.dp").exists()
    model.descriptor.environment.mean.zero_()
    save_model(tmp_path / "m.pt", model, config)
    export_model(tmp_path / "m.pt", tmp_path / "m.dp", SEL)
    import_model(tmp_path / "m.dp", tmp_path / "back.pt")
    same(tmp_path / "m.pt", tmp_path / "back.pt", structures()["TTT"], 1e-12)


@pytest.mark.parametrize(
    ("settings", "sel", "refusal"),
    [
        ({"switch": "cosine"}, SEL, ("export-unsupported",)),
        ({"descriptor": "radial"}, SEL, ("export-unsupported",)),
        ({"activation": "gelu"}, SEL, ("export-unsupported",)),
        ({}, (), ("sel-missing", "--sel")),
        ({}, (3, 4), ("sel-missing", "3", "4")),
        ({}, (3, 0, 4), ("sel-missing", "3", "0", "4")),
    ],
)
def test_what_cannot_be_written_is_refused(
    settings: dict[str, Any], sel: tuple[int, ...], refusal: tuple[str, ...], tmp_path: Path
) -> None:
    with refused(*refusal):
        export_model(written(tmp_path, **settings), tmp_path / "m.dp", sel)
    assert not (tmp_path / "m.dp").exists()


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path)
    structures()["TTT"].write(tmp_path / "dense.extxyz")
    target = tmp_path / "m.dp"
    assert status(["export", str(path), "--data", str(tmp_path / "dense.extxyz"), "-o", str(target)]) == 0
    shown = capsys.readouterr().out
    assert "dp convert-backend" in shown
    batch, pairs = load_model(path).prepare(structures()["TTT"])
    most = torch.bincount(pairs.center * 3 + batch.species[pairs.neighbor]).view(-1, 3).amax(0)
    assert read_deepmd(target).descriptors[0].sel == tuple(int(np.ceil(4 / 3 * n)) for n in most.tolist())
    for arguments, message in (
        (["--sel", "3,x"], "--sel takes whole numbers"),
        (["--sel", "3,3,3", "--data", "a.xyz"], "give one of them"),
        (["--sel", "3,3,3", "--format", "deepmdd"], "did you mean 'deepmd'"),
    ):
        assert status(["export", str(path), *arguments, "-o", str(tmp_path / "new.dp")]) == 2
        assert message in capsys.readouterr().err
    assert status(["export", str(path), "--sel", "3,3,3", "-o", str(tmp_path / "m.pth")]) == 2
    assert "in .dp or .yaml" in capsys.readouterr().err
