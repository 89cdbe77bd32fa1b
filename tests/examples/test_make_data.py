"""The scripts that make the example data run, and write data that are what their READMEs say."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from scripts import run_script

EXAMPLES = Path(__file__).resolve().parents[2] / "example_systems"
METHODS = {"ethanol": "GFN2-xTB", "hydrogen_cyanide": "GFN2-xTB", "water": "GFN1-xTB"}


@pytest.fixture(scope="module", params=sorted(METHODS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A system's name and the folder that `make_data.py --quick` filled."""
    pytest.importorskip("tblite.ase", reason="the example data are labelled with tblite", exc_type=ImportError)
    if request.param == "water":
        pytest.importorskip("openmm", reason="liquid water is sampled with OpenMM first", exc_type=ImportError)
    out = tmp_path_factory.mktemp(request.param)
    assert run_script(EXAMPLES / request.param / "make_data.py", "--out", out, "--seed", "3", "--quick") == 0
    return request.param, out


def frames(out: Path, split: str) -> list[Atoms]:
    read: list[Atoms] = ase.io.read(out / f"{split}.extxyz.gz", ":")
    return read


def test_labels_are_those_of_xtb(made: tuple[str, Path]) -> None:
    """Labels read back from the file belong to the structures of the file (so the rounding costs next to nothing)."""
    from tblite.ase import TBLite

    name, out = made
    for frame in frames(out, "test"):
        again = frame.copy()
        again.calc = TBLite(method=METHODS[name], accuracy=0.1, verbosity=0)
        assert frame.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=2e-5)
        np.testing.assert_allclose(frame.get_forces(), again.get_forces(), atol=2e-4)
        assert ("stress" in frame.calc.results) == bool(frame.pbc.all())
        if frame.pbc.all():
            np.testing.assert_allclose(frame.get_stress(), again.get_stress(), atol=1e-6)


def test_splits_share_no_trajectory(made: tuple[str, Path]) -> None:
    _, out = made
    parts = {split: {frame.info["part"] for frame in frames(out, split)} for split in ("train", "valid", "test")}
    assert all(parts.values())
    for first, second in itertools.combinations(parts.values(), 2):
        assert first.isdisjoint(second)


def test_only_the_data_are_left(made: tuple[str, Path]) -> None:
    """The parts are gone, and what is there is complete."""
    name, out = made
    extra = {
        "ethanol": {"ethanol.extxyz", "ethanol_gauche.extxyz"},
        "hydrogen_cyanide": {"hcn.extxyz", "hnc.extxyz"},
        "water": {"classical.extxyz", "water_molecule.extxyz"},
    }[name]
    expected = {"train.extxyz.gz", "valid.extxyz.gz", "test.extxyz.gz", *extra}
    assert {file.name for file in out.iterdir()} == expected


def test_existing_data_are_not_overwritten(made: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    name, out = made
    assert run_script(EXAMPLES / name / "make_data.py", "--out", out, "--quick") == 2
    assert "exists already" in capsys.readouterr().err


def test_an_interrupted_run_goes_on_to_the_same_data(tmp_path: Path) -> None:
    """Parts that are there are not made again, and the rest comes out as if nothing had happened."""
    pytest.importorskip("tblite.ase", reason="the example data are labelled with tblite", exc_type=ImportError)
    sys.path.insert(0, str(EXAMPLES))
    try:
        from labelled_parts import Part, write_data, xtb
    finally:
        sys.path.remove(str(EXAMPLES))
    sampled: list[str] = []

    def parts(fail_at: str) -> list[Part]:
        def part(split: str) -> Part:
            def sample(rng: np.random.Generator) -> Iterator[Atoms]:
                if split == fail_at:
                    raise KeyboardInterrupt
                sampled.append(split)
                atoms = Atoms("H2", [[0, 0, 0], [0, 0, rng.uniform(0.7, 0.8)]])
                atoms.calc = xtb("GFN2-xTB")
                yield atoms

            return Part(f"{split}-part", split, 1, sample)

        return [part(split) for split in ("train", "valid", "test")]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_data(parts(""), whole, 0, "tiny")
    sampled.clear()
    with pytest.raises(KeyboardInterrupt):
        write_data(parts("valid"), broken, 0, "tiny")
    assert not list(broken.glob("*.gz"))
    write_data(parts(""), broken, 0, "tiny")
    assert sampled == ["train", "valid", "test"]
    for split in ("train", "valid", "test"):
        np.testing.assert_array_equal(frames(whole, split)[0].positions, frames(broken, split)[0].positions)


def test_the_second_round_of_water(tmp_path: Path) -> None:
    """A model moves the atoms, xTB labels them; then a box of the model's own."""
    pytest.importorskip("tblite.ase", reason="the example data are labelled with tblite", exc_type=ImportError)
    pytest.importorskip("openmm", reason="liquid water is sampled with OpenMM first", exc_type=ImportError)
    folder, out = EXAMPLES / "water", tmp_path / "relaxed"
    model = ["--model", str(folder / "water.pt")]
    assert run_script(folder / "relaxed_liquid.py", *model, "--out", out, "--quick") == 0
    test_labels_are_those_of_xtb(("water", out))
    assert len(frames(out, "train")[0]) == 24
    box = tmp_path / "box.extxyz"
    start = ["--start", str(folder / "water.extxyz")]
    assert run_script(folder / "equilibrate.py", *model, *start, "--out", box, "--steps", "20") == 0
    assert len(ase.io.read(box)) == 192
