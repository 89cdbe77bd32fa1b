"""What `info` and `train` find in data: each fault put into good data, and good data without a word."""

import dataclasses
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from refusals import refused
from systems import Morse, frame, scattered

from dp_sim.datasets.findings import FindingCollector, trained_on_too
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.statistics import NeighborCounter

KCAL_PER_MOL = 23.060548


def argon(count: int, formula: str = "Ar5") -> list[Frame]:
    """Clusters with labels of one surface, 4.5 Angstrom across."""
    return [
        Morse().labelled(scattered(formula, 4.5 * np.eye(3), [False] * 3, seed=k, nearest=1.6), f"frame {k}")
        for k in range(count)
    ]


def kinds(frames: list[Frame]) -> dict[str, tuple[str, ...]]:
    collector, neighbors = FindingCollector(), NeighborCounter(3.0)
    for one in frames:
        collector.add(one, neighbors.add(one))
    return {finding.kind: finding.frames for finding in collector.findings()}


def test_good_data_have_none() -> None:
    assert kinds(argon(40)) == {}


def test_one_frame_in_kcal_per_mol_among_forty() -> None:
    frames = argon(40)
    wrong = frames[17]
    assert wrong.energy is not None
    assert wrong.forces is not None
    frames[17] = dataclasses.replace(wrong, energy=KCAL_PER_MOL * wrong.energy, forces=KCAL_PER_MOL * wrong.forces)
    assert kinds(frames) == {"energy-outlier": ("frame 17",), "force-outlier": ("frame 17",)}


def test_a_failed_calculation_far_above_the_rest() -> None:
    frames = argon(12)
    frames[3] = dataclasses.replace(frames[3], energy=500.0)
    assert kinds(frames) == {"energy-outlier": ("frame 3",)}


def test_compositions_with_another_zero_of_energy() -> None:
    """Ar4 and Ar5 with totals of an all-electron code, Ar6 and Ar7 with cohesive energies."""
    frames = []
    for n, zero in ((4, -14350.0), (5, -14350.0), (6, 0.0), (7, 0.0)):
        for one in argon(2, f"Ar{n}"):
            assert one.energy is not None
            frames.append(dataclasses.replace(one, name=f"Ar{n}", energy=one.energy + n * zero))
    assert set(kinds(frames)) == {"energy-offset"}


def test_a_sum_over_elements_explains_other_energies() -> None:
    frames = [
        frame(molecule(name), energy=-450.0 * atoms.symbols.count("O") - 16.0 * atoms.symbols.count("H"))
        for name in ("H2O", "H2", "O2", "H2O2")
        for atoms in [molecule(name)]
    ]
    assert kinds(frames) == {}


def test_atoms_nearer_than_half_a_bond() -> None:
    """O and H: half of 0.66 + 0.31 Angstrom is 0.485."""
    near, far = (frame(Atoms("OH", positions=[[0, 0, 0], [0, 0, d]])) for d in (0.48, 0.49))
    assert kinds([near, far]) == {"close-atoms": ("test",)}


def test_forces_that_do_not_add_up() -> None:
    one = argon(1)[0]
    assert one.forces is not None
    pushed = one.forces.copy()
    pushed[0] += [0.0, 0.0, 1.0]
    assert kinds([dataclasses.replace(one, forces=pushed)]) == {"net-force": ("frame 0",)}


def test_stress_in_gpa_and_stress_never_computed() -> None:
    cell = Atoms("Ar4", scattered("Ar4", 5 * np.eye(3), [True] * 3, 1, 1.6).positions, cell=[5.0] * 3, pbc=True)
    good = Morse().labelled(cell)
    assert good.virial is not None
    assert kinds([good]) == {}
    gpa = dataclasses.replace(good, virial=160.2 * good.virial)
    assert set(kinds([gpa])) == {"large-stress"}
    assert set(kinds([dataclasses.replace(good, virial=np.zeros((3, 3)))])) == {"zero-virial"}


def test_labels_of_zeros() -> None:
    """One energy may be the zero, and one structure at rest; not two energies, nor all forces."""
    frames = argon(3)
    assert kinds([dataclasses.replace(frames[0], energy=0.0), *frames[1:]]) == {}
    assert kinds([dataclasses.replace(frames[0], forces=np.zeros((5, 3))), *frames[1:]]) == {}
    assert set(kinds([*(dataclasses.replace(one, energy=0.0) for one in frames[:2]), frames[2]])) == {"zero-energy"}
    assert set(kinds([dataclasses.replace(one, forces=np.zeros((5, 3))) for one in frames])) == {"zero-forces"}


def test_repeated_structures_and_held_out_ones_that_are_trained_on() -> None:
    frames = argon(3)
    again = dataclasses.replace(frames[1], name="again")
    other = dataclasses.replace(frames[2], name="other", energy=(frames[2].energy or 0.0) + 1.0)
    assert kinds([*frames, again, other]) == {"repeated": ("again",), "repeated-other-energy": ("other",)}
    collector = FindingCollector()
    for one in frames:
        collector.add(one)
    assert [f.frames for f in trained_on_too(collector, [again])] == [("again",)]
    assert trained_on_too(collector, argon(5)[3:]) == []


# ---- as a user meets them ----


def copper(seed: int) -> Atoms:
    atoms = Atoms("Cu4", positions=2.4 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]))
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    copy = atoms.copy()
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return copy


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    frames = [copper(seed) for seed in range(12)]
    frames[5].calc.results["energy"] += 90.0
    ase.io.write(tmp_path / "wrong.extxyz", frames)
    ase.io.write(tmp_path / "good.extxyz", [frames[0], *frames[6:]])
    monkeypatch.chdir(tmp_path)
    return tmp_path


MODEL = {"cutoff": 4.0, "embedding": [4, 8], "axis_width": 2, "fitting": [8]}
TRAINING = {"steps": 2, "knots": 16}


def settings(**data: object) -> dict[str, object]:
    return {"model": MODEL, "data": {"train": ["wrong.extxyz"], **data}, "training": TRAINING}


def test_training_says_what_is_odd_and_strict_refuses_it(folder: Path) -> None:
    from dp_sim.recipes.models.train import train

    with refused("data-findings", "wrong.extxyz, frame 5"):
        train(settings(), out="strict", strict=True, progress=False)
    assert not (folder / "strict").exists()
    train(settings(train=["good.extxyz"]), out="good", strict=True, progress=False)
    result = train(settings(valid=["good.extxyz"]), out="run", progress=False)
    assert any("wrong.extxyz, frame 5" in line for line in result.remarks)
    assert any("also trained on" in line for line in result.remarks)
    for file in ("log.txt", "result.json", "report.html"):
        assert "wrong.extxyz, frame 5" in (folder / "run" / file).read_text(), file


def test_a_fraction_that_holds_out_nothing_says_so(folder: Path) -> None:
    from dp_sim.recipes.models.train import train

    result = train(settings(train=["good.extxyz"], valid_fraction=0.05), out="run", progress=False)
    assert any("holds out none" in line for line in result.remarks)
