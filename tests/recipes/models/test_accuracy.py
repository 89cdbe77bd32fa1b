"""Errors on labelled data: by hand on labels shifted by known amounts."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from refusals import refused
from systems import cluster, crystal, random_config, random_model

from dp_sim.model.model_file import load_model, save_model
from dp_sim.recipes.models.accuracy import errors_figure, measure_accuracy
from dp_sim.torchscript import script, to_bytes


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.pt"
    save_model(path, random_model(random_config()), random_config())
    return path


def labelled(atoms: Atoms, model_file: Path, energy: float, forces: float, virial: float = 0.0) -> Atoms:
    """The model's own numbers as labels, each shifted by a known amount."""
    output = load_model(model_file).evaluate(atoms, virial=True)
    assert output.forces is not None
    assert output.virial is not None
    results = {"energy": output.energy.item() + energy, "forces": output.forces.numpy() + forces}
    if atoms.pbc.all():
        results["stress"] = -(output.virial[0].numpy() + virial) / atoms.get_volume()
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=results["energy"], forces=results["forces"])
    copy.calc.results.update(results)
    return copy


@pytest.fixture
def data(model_file: Path, tmp_path: Path) -> Path:
    """Clusters of 8 atoms off by 0.8 and -1.6 eV and 0.3 eV/Angstrom, a crystal of 4 off by 0.4 eV, 0.1 and 0.2 eV."""
    frames = [
        labelled(cluster(1), model_file, 0.8, 0.3),
        labelled(cluster(2), model_file, -1.6, -0.3),
        labelled(crystal((True, True, True)), model_file, 0.4, 0.1, 0.2),
    ]
    ase.io.write(tmp_path / "data.traj", frames)
    return tmp_path / "data.traj"


def test_by_hand(model_file: Path, data: Path, tmp_path: Path) -> None:
    result = measure_accuracy(model_file, data, out=tmp_path / "test", progress=False)
    clusters, bulk = result.systems
    assert (clusters.frames, bulk.frames, result.total.frames) == (2, 1, 3)
    assert clusters.energy.mae == pytest.approx(0.15)
    assert clusters.energy.rmse == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    assert clusters.forces.mae == pytest.approx(0.3)
    assert (clusters.virial.mae, clusters.virial.rmse) == (None, None)
    assert bulk.energy.mae == pytest.approx(0.1)
    assert bulk.virial.rmse == pytest.approx(0.05)
    assert result.total.energy.mae == pytest.approx((0.1 + 0.2 + 0.1) / 3)
    assert result.total.forces.mae == pytest.approx((16 * 0.3 + 4 * 0.1) / 20)
    assert result.total.forces.rmse == pytest.approx(np.sqrt((16 * 0.09 + 4 * 0.01) / 20))
    content = json.loads((tmp_path / "test" / "result.json").read_text())["values"]
    assert content["forces_mae"] == {
        "value": pytest.approx(0.28 - 0.02),
        "unit": "eV/Angstrom",
        "error": None,
        "cause": "",
    }
    assert content[f"{clusters.system}_energy_mae"]["value"] == pytest.approx(0.15)
    assert f"{clusters.system}_virial_mae" not in content
    assert (tmp_path / "test" / "parity.png").stat().st_size > 0
    errors, shares = errors_figure(result.parities).axes[0].lines[0].get_data()
    assert errors == pytest.approx([100, 100, 200])  # meV/atom, of 8, 4 and 8 atoms
    assert shares == pytest.approx([100 / 3, 200 / 3, 100])


def test_parts_of_files_and_committees(model_file: Path, data: Path) -> None:
    result = measure_accuracy([model_file, model_file], [f"{data}@0", f"{data}@1"], progress=False)
    assert result.total.forces.mae == pytest.approx(0.3)
    assert len(result.systems) == 1
    assert not any(name.startswith("H4") for name in result.quantities())


def test_frames_without_some_labels(model_file: Path, tmp_path: Path) -> None:
    atoms = cluster()
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    ase.io.write(tmp_path / "energy.extxyz", atoms)
    result = measure_accuracy(model_file, tmp_path / "energy.extxyz", progress=False)
    assert result.total.energy.mae is not None
    assert result.total.forces.mae is None
    assert set(result.quantities()) == {"frames", "energy_mae", "energy_rmse"}
    assert "no frame has forces" in result.remarks[0]
    result.plot()


def test_refused(model_file: Path, data: Path, tmp_path: Path) -> None:
    with refused("calculator-kind", "EMT"):
        measure_accuracy(EMT(), data, progress=False)
    with refused("file-missing"):
        measure_accuracy(model_file, tmp_path / "nothing.extxyz", progress=False)
    neon = Atoms("Ne")
    neon.calc = SinglePointCalculator(neon, energy=0.0)
    ase.io.write(tmp_path / "neon.traj", neon)
    with refused("species-unknown", "neon.traj", "0"):
        measure_accuracy(model_file, tmp_path / "neon.traj", out=tmp_path / "test", progress=False)
    assert not (tmp_path / "test").exists()
    twice = Atoms("OHO", positions=[[0, 0, 3], [0, 0, 0], [0, 0, 0.001]])
    twice.calc = SinglePointCalculator(twice, energy=0.0)
    ase.io.write(tmp_path / "twice.traj", [*ase.io.read(data, "0:1"), twice])
    with refused("atoms-coincide", "twice.traj", "1", "2"):
        measure_accuracy(model_file, tmp_path / "twice.traj", progress=False)
    (tmp_path / "linear.pt").write_bytes(to_bytes(script(torch.nn.Linear(1, 1))))
    with refused("model-not-ours"):
        measure_accuracy(tmp_path / "linear.pt", data, progress=False)
