"""Labels by several workers at a time: the same file as by one, whatever becomes of a process."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from file_calculator import FileCalculator
from reference_calculators import Reference
from refusals import refused

from dp_sim.cli.main import status
from dp_sim.recipes import label_structures


@pytest.fixture(autouse=True)
def support_for_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calculators of the tests can be imported by processes, too."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support"))


STRUCTURES = [molecule(name) for name in ("H2O", "CO", "N2", "CH4", "NH3")]


def test_two_workers_write_the_file_of_one(tmp_path: Path) -> None:
    unknown = [*STRUCTURES, Atoms("U"), molecule("C2H6")]
    one = label_structures(unknown, EMT(), tmp_path / "one.extxyz")
    two = label_structures(unknown, EMT(), tmp_path / "two.extxyz", workers=2)
    assert (tmp_path / "two.extxyz").read_text() == (tmp_path / "one.extxyz").read_text()
    assert two.failed == one.failed
    assert list(two.failed) == [5]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.extxyz", "two.extxyz"]


def test_a_process_that_dies_takes_its_structure_alone(tmp_path: Path) -> None:
    labelled = label_structures(STRUCTURES, Reference(tmp_path / "calls", {2: "dies"}), workers=2)
    assert len(labelled.frames) == len(STRUCTURES) - 1
    assert [why.partition(": ")[2] for why in labelled.failed.values()] == [
        "the process of the calculator ended (status 9)"
    ]


def test_programs_that_talk_through_files_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    labelled = label_structures(STRUCTURES, FileCalculator(directory="run"), workers=2)
    for atoms, frame in zip(STRUCTURES, labelled.frames, strict=True):
        assert frame.get_potential_energy() == pytest.approx((atoms.positions**2).sum(), abs=1e-9)
        np.testing.assert_allclose(frame.get_forces(), -2 * atoms.positions, atol=1e-9)
    assert len(list(Path("run").iterdir())) == 2


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    molecule("H2O").write(tmp_path / "water.xyz")
    words = ["label", str(tmp_path / "water.xyz"), "--calculator", "emt", "-o", str(tmp_path / "out.extxyz")]
    for wrong, said in (
        (["--scheduler", "tcp://127.0.0.1:9"], "scheduler is of the engine dask"),
        (["--engine", "dusk"], "did you mean 'dask'"),
        (["--workers", "0"], "workers"),
    ):
        assert status([*words, *wrong]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out.extxyz").exists()

    class Own(EMT):
        def __reduce__(self) -> str:
            raise TypeError("it holds a library")

    with refused("calculator-not-copied", "SPEC"):
        label_structures(STRUCTURES, Own(), workers=2)
