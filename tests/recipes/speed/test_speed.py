"""What `dp-sim bench` reports: its arithmetic, its processes, and a comparison with a stand-in for DeePMD-kit."""

import csv
import sys
from pathlib import Path

import pytest
from ase.calculators.emt import EMT
from refusals import refused
from systems import crystal, random_config, random_model

from dp_sim.compiled import library
from dp_sim.model.compression import compress_file
from dp_sim.model.model_file import load_model, save_model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes.results.quantities import Quantity
from dp_sim.recipes.speed import measurement as speed
from dp_sim.recipes.speed import shares as speed_shares
from dp_sim.recipes.speed.measurement import SpeedResult, Timing, measure_speed
from dp_sim.recipes.speed.programs import Step

BULK = crystal([True, True, True])
#: A package by the name of deepmd: `convert-backend` copies, and the calculator reads back what was exported.
STAND_IN = {
    "__init__.py": "__version__ = '0.stand.in'",
    "__main__.py": "import shutil, sys\nassert sys.argv[1] == 'convert-backend'\nshutil.copy(*sys.argv[2:])",
    "calculator.py": """
import os, shutil
from dp_sim.deepmd.importing import import_model
from dp_sim.plugins.ase_calculator import DPCalculator

print("what libraries print does not disturb the answers")

def DP(model):
    shutil.copy(model, model + ".dp")
    import_model(model + ".dp", model + ".pt")
    return DPCalculator(model + ".pt")
""",
}


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "MATRIX", 256)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.pt"
    config = random_config(switch="polynomial")
    save_model(path, random_model(config), config)
    return path


@pytest.fixture(scope="module")
def compressed_file(model_file: Path) -> Path:
    path = model_file.with_name("compressed.pt")
    compress_file(model_file, path, spacing=0.02)
    return path


@pytest.fixture
def interpreter(tmp_path: Path) -> str:
    """A Python that has the stand-in."""
    package = tmp_path / "site" / "deepmd"
    package.mkdir(parents=True)
    for name, text in STAND_IN.items():
        (package / name).write_text(text)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={package.parent} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_numbers_from_seconds() -> None:
    """1 ms and 2 ms a step of 100 atoms at 0.5 fs: 10 us per atom; 86400 s / 1 ms * 0.5 fs = 43.2 ns."""
    own = Timing(100, tuple(Step(s, -50.0, 3_000_000) for s in (0.9e-3, 1e-3, 7e-3)))
    other = Timing(100, (Step(2e-3, -50.1, 9_000_000),))
    shares = {"neighbor_list": 0.1, "descriptor": 0.2, "fitting_net": 0.3, "derivative": 0.4}
    result = SpeedResult(
        converged=True, timings=(own,), shares=(shares,), timestep_fs=0.5, threads=1, device="cpu", dtype="float64",
        path="compiled", gflops=50.0, deepmd=Quantity("deepmd-kit 3"), deepmd_timings=(other,),
    )  # fmt: skip
    values = {name: quantity.value for name, quantity in result.quantities().items()}
    assert values["100_atoms_time_per_atom_and_step"] == pytest.approx(10.0)
    assert values["100_atoms_ns_per_day"] == pytest.approx(43.2)
    assert values["100_atoms_memory_above_imports"] == pytest.approx(3.0)
    assert values["100_atoms_share_fitting_net"] == pytest.approx(30.0)
    assert values["100_atoms_deepmd_time_per_atom_and_step"] == pytest.approx(20.0)
    assert values["100_atoms_deepmd_time_ratio"] == pytest.approx(2.0)
    assert values["100_atoms_deepmd_memory_above_imports"] == pytest.approx(9.0)
    assert values["100_atoms_deepmd_energy_difference"] == pytest.approx(1e-3)


def test_shares_by_hand(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that says: list 1 s, descriptor 3 s, fitting net 2 s, a whole evaluation 12 s; so 6 s are derivative."""
    times = iter([0.0, 1.0, 10.0, 13.0, 15.0, 20.0, 32.0] * 4)
    monkeypatch.setattr(speed_shares, "_now", lambda model: next(times))
    model = load_model(model_file)
    model.compiled = [None]
    shares = speed_shares.measure_shares(model, BULK, rounds=1)
    assert list(shares) == list(speed_shares.PARTS)
    assert list(shares.values()) == pytest.approx([1 / 12, 3 / 12, 2 / 12, 6 / 12])


def test_a_run_with_two_sizes(model_file: Path, tmp_path: Path) -> None:
    result = measure_speed(BULK, model_file, repeat=[2, 1], rounds=2, out=tmp_path / "bench", progress=False)
    assert [timing.atoms for timing in result.timings] == [4, 32]
    assert all(len(timing.steps) == 2 and timing.seconds > 0 for timing in result.timings)
    assert 0 < result.timings[0].megabytes_above_imports <= result.timings[1].megabytes_above_imports < 2000
    assert result.timings[0].energy_eV_per_atom == pytest.approx(
        load_model(model_file).evaluate(BULK).energy.item() / 4, abs=0.1
    )
    assert result.path == ("TorchScript" if library.register_operators() else "compiled")
    assert result.gflops > 0
    assert result.deepmd.value is None
    assert "deepmd-kit is not installed" in result.deepmd.cause
    with (tmp_path / "bench" / "timings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["program"], row["atoms"], row["round"]) for row in rows] == [
        ("dp-sim", atoms, turn) for atoms in ("4", "32") for turn in ("0", "1")
    ]
    assert {path.name for path in (tmp_path / "bench").glob("*.png")} == {"speed.png", "shares.png"}


@pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
def test_the_fast_path_says_so_and_has_the_same_parts(model_file: Path, compressed_file: Path) -> None:
    model = load_model(compressed_file)
    assert speed_shares.path_of(model) == "compiled"
    shares = speed_shares.measure_shares(model, BULK.repeat(2), rounds=3)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares["neighbor_list"], shares["descriptor"], shares["fitting_net"]) > 0
    both = load_model([compressed_file, model_file])
    both.compiled[1] = None
    assert speed_shares.path_of(both) == "TorchScript + compiled"
    assert sum(speed_shares.measure_shares(both, BULK, rounds=1).values()) == pytest.approx(1.0)


def test_deepmd_kit_gets_the_same_model_and_the_same_steps(model_file: Path, interpreter: str) -> None:
    result = measure_speed(BULK, model_file, rounds=2, deepmd=interpreter, progress=False)
    quantities = result.quantities()
    assert quantities["deepmd"].value == "deepmd-kit 0.stand.in"
    assert quantities["4_atoms_deepmd_energy_difference"].value < 1e-9
    assert quantities["4_atoms_deepmd_time_per_atom_and_step"].value > 0
    assert quantities["4_atoms_deepmd_memory_above_imports"].value > 0


def test_a_compressed_model_is_compared_through_the_one_it_was_made_from(
    compressed_file: Path, interpreter: str
) -> None:
    with refused("export-unsupported"):
        measure_speed(BULK, compressed_file, rounds=1, deepmd=interpreter, progress=False)


def test_equal_precision_or_none(model_file: Path, interpreter: str) -> None:
    single = DPCalculator(model_file, dtype="float32")
    with refused("precision-differs", "float64", "float32"):
        measure_speed(BULK, single, rounds=1, deepmd=interpreter, deepmd_model=model_file, progress=False)


def test_what_ails_deepmd_kit_is_told(model_file: Path, interpreter: str, tmp_path: Path) -> None:
    with refused("program-missing"):
        measure_speed(BULK, model_file, rounds=1, deepmd="no-such-python", progress=False)
    (tmp_path / "site" / "deepmd" / "calculator.py").write_text("raise ImportError('no libtensorflow')")
    with refused("program-failed", "1", "ImportError"):
        measure_speed(BULK, model_file, rounds=1, deepmd=interpreter, progress=False)
    (tmp_path / "site" / "deepmd" / "__main__.py").write_text("raise SystemExit('unknown command')")
    with refused("program-failed", "deepmd.dp", "deepmd.pth"):
        measure_speed(BULK, model_file, rounds=1, deepmd=interpreter, progress=False)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"rounds": 0}, ("setting-out-of-range", "1")),
        ({"repeat": [0]}, ("setting-out-of-range", "1")),
        ({"deepmd_model": "absent.pth"}, ("file-missing", "absent.pth")),
    ],
)
def test_settings_out_of_range(options: dict, refusal: tuple[str, ...], model_file: Path) -> None:
    with refused(*refusal):
        measure_speed(BULK, model_file, progress=False, **options)


def test_other_calculators_are_refused() -> None:
    with refused("calculator-kind", "EMT"):
        measure_speed(BULK, EMT(), progress=False)
