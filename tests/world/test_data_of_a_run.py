"""What a training run makes of its data: which files they were, which elements they have, which zero of energy."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from refusals import refused

import dp_sim
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes.models.accuracy import measure_accuracy
from dp_sim.recipes.models.train import TrainResult, train

ISOLATED_EV = {"C": -37.5, "O": -74.9, "H": -0.5}


def monoxide(seed: int) -> Atoms:
    """Labels of EMT, which knows C and O."""
    atoms = Atoms("COCO", positions=[[0, 0, 0], [0, 0, 1.15], [2.5, 0, 0], [2.5, 0.9, 0.8]])
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    labelled = atoms.copy()
    labelled.calc = SinglePointCalculator(labelled, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return labelled


def alone(symbol: str, energy: float, **info: Any) -> Atoms:
    atoms = Atoms(symbol, info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ase.io.write(tmp_path / "co.extxyz", [monoxide(seed) for seed in range(4)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(out: str = "run", *, resume: bool = False, model: dict[str, Any] | None = None, **data: Any) -> TrainResult:
    settings = {
        "model": {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8], **(model or {})},
        "data": {"train": ["co.extxyz"], **data},
        "training": {"steps": 2, "knots": 16},
    }
    return train(settings, out=out, resume=resume, progress=False)


# ---- which files ----


def test_the_hash_of_the_input_is_that_of_the_data_files(folder: Path) -> None:
    """What `sha256sum` and `cat a b | sha256sum` print."""
    content = (folder / "co.extxyz").read_bytes()
    assert run().provenance["input_sha256"] == hashlib.sha256(content).hexdigest()
    shutil.copy("co.extxyz", "valid.extxyz")
    both = run("both", valid=["valid.extxyz"])
    assert both.provenance["input_sha256"] == hashlib.sha256(2 * content).hexdigest()
    tested = measure_accuracy("run/model.pt", "co.extxyz", out="test", progress=False)
    assert tested.provenance["input_sha256"] == hashlib.sha256(content).hexdigest()
    assert json.loads(Path("test/result.json").read_text())["provenance"]["input_sha256"]


def test_resuming_on_data_that_changed_under_the_same_name(folder: Path) -> None:
    run()
    assert run(resume=True).converged
    ase.io.write("co.extxyz", [monoxide(seed) for seed in range(1, 5)])
    with refused("run-differs-data", "co.extxyz"):
        run(resume=True)


# ---- which elements ----


def test_an_element_without_data_is_named_and_refused_afterwards(folder: Path) -> None:
    result = run(model={"species": ["H", "C", "N", "O"]})
    assert any("no training data for H, N" in line for line in result.remarks)
    assert result.model.metadata.training["trained_species"] == ["C", "O"]
    model = dp_sim.load_model("run/model.pt")
    assert np.isfinite(model.evaluate(monoxide(0)).energy.item())
    for several in (Atoms("NO", positions=[[0, 0, 0], [0, 0, 1.1]]), [monoxide(0), Atoms("H")]):
        with refused("species-untrained", "train on structures"):
            model.evaluate(several)
    ammonia = Atoms("NC", positions=[[0, 0, 0], [0, 0, 1.1]], calculator=DPCalculator("run/model.pt"))
    with refused("species-untrained", "N"):
        ammonia.get_potential_energy()


def test_an_element_seen_only_as_an_atom_alone_is_known_only_there(folder: Path) -> None:
    """Isolated atoms of the whole table do not teach how nitrogen binds."""
    ase.io.write("n.extxyz", alone("N", -54.0))
    result = run(train=["co.extxyz", "n.extxyz"], model={"fitting": [4]})
    assert any(line.startswith("N: only as atoms alone") for line in result.remarks)
    boxed = Atoms("N", cell=[9.0] * 3, pbc=True)
    energies = [out.energy.item() for out in result.model.evaluate_each([Atoms("N"), monoxide(0), boxed])]
    assert energies[0] == energies[2]
    for bound in (Atoms("NO", positions=[[0, 0, 0], [0, 0, 1.1]]), Atoms("N", cell=[2.5] * 3, pbc=True)):
        with refused("species-untrained", "N"):
            result.model.evaluate(bound)
    with refused("species-untrained", "N"):
        result.model.species_index([7, 7])


def test_overwrite_keeps_the_earlier_run_where_the_data_are_refused(folder: Path) -> None:
    run()
    before = Path("run/model.pt").read_bytes()
    settings = {"data": {"train": ["absent.extxyz"]}}
    with refused("file-missing", "absent.extxyz"):
        train(settings, out="run", overwrite=True, progress=False)
    assert Path("run/model.pt").read_bytes() == before


def test_held_out_frames_of_another_element_are_refused_at_the_start(folder: Path) -> None:
    ase.io.write("h.extxyz", alone("H", -0.5))
    with refused("species-unknown", "h.extxyz, frame 0"):
        run(valid=["h.extxyz"], model={"species": ["H", "C", "O"]})
    assert not Path("run").exists()


# ---- which zero of energy ----


def test_isolated_atoms_fix_the_energy_bias(folder: Path) -> None:
    """One open, one in a cell and named so as MACE's files do."""
    boxed = alone("O", ISOLATED_EV["O"], config_type="IsolatedAtom")
    boxed.set_cell([12.0] * 3)
    boxed.pbc = True
    ase.io.write("atoms.extxyz", [alone("C", ISOLATED_EV["C"]), boxed])
    result = run(train=["co.extxyz", "atoms.extxyz"], energy_bias="isolated-atoms")
    bias = dict(zip(result.model.metadata.species, result.model.module.model.fitting.bias.tolist(), strict=True))
    assert bias == {"C": ISOLATED_EV["C"], "O": ISOLATED_EV["O"]}
    half = run("half", train=["co.extxyz", "atoms.extxyz"], energy_bias="isolated-atoms", valid_fraction=0.5)
    assert half.frames == 4, "two of CO, and both atoms alone, which are not held out"
    with refused("isolated-atoms-missing", "C"):
        run("missing", train=["co.extxyz", "atoms.extxyz@1"], energy_bias="isolated-atoms")
    ase.io.write("twice.extxyz", [alone("C", -37.0), alone("C", -37.5)])
    with refused("isolated-atoms-differ", "-37 eV", "-37.5 eV"):
        run("twice", train=["co.extxyz", "twice.extxyz"], energy_bias="isolated-atoms")


def test_names_of_labels_in_a_training_input(folder: Path) -> None:
    frames = [monoxide(seed) for seed in range(4)]
    for atoms in frames:
        atoms.info["pbe_energy"], atoms.arrays["pbe_forces"] = (
            atoms.calc.results["energy"],
            atoms.calc.results["forces"],
        )
        atoms.calc = None
    ase.io.write("pbe.extxyz", frames)
    with refused("labels-missing", "pbe_energy", "pbe_forces"):
        run("not", train=["pbe.extxyz"])
    named = run("named", train=["pbe.extxyz"], keys={"energy": "pbe_energy", "forces": "pbe_forces"})
    plain = run("plain")
    assert [point[:-1] for point in named.curve] == [point[:-1] for point in plain.curve]
    assert "energy: read from 'pbe_energy' (4 frames)" in named.remarks
    with refused("setting-invalid", "keys.energie"):
        run("typo", keys={"energie": "pbe_energy"})
    by_keys = measure_accuracy("named/model.pt", "pbe.extxyz", forces_key="pbe_forces", progress=False)
    assert by_keys.total.energy.mae is None
    assert by_keys.total.forces.mae is not None
