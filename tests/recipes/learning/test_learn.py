"""What is labelled, what is not, and what a run refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from copper_cluster import SETTINGS, cluster, labelled_frames
from reference_calculators import Reference
from refusals import refused

import dp_sim
from dp_sim.datasets.reading import read_frames
from dp_sim.recipes import load_result
from dp_sim.recipes.learning.exploring.novelty import Novelty, least_alike
from dp_sim.recipes.learning.labelling.guard import force_bound
from dp_sim.recipes.learning.labelling.labels import frame, to_label
from dp_sim.recipes.learning.labelling.reference import Reference as Process
from dp_sim.recipes.learning.labelling.reference_worker import labelled
from dp_sim.recipes.learning.members.recalibration import LEAST, factor_of, share_within
from dp_sim.recipes.learning.result import LearnResult

Run = Callable[..., LearnResult]


def journal(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]


def test_labels_are_those_of_the_calculator_and_of_the_uncertain_structures(run: Run, tmp_path: Path) -> None:
    result = run("run")
    assert (result.label_count, len(result.trainings)) == (2, 1)
    (pick,) = result.picks
    assert pick.spread is not None
    assert pick.spread > 0.2
    looks = {int(step): spread for step, _, _, spread in result.looks}
    assert looks[pick.step] == pytest.approx(pick.spread, rel=1e-5)
    assert all(spread <= 0.2 for step, spread in looks.items() if 10 <= step < pick.step), "none is passed over"
    for written in ase.io.read(tmp_path / "run" / "labels.extxyz", index=":"):
        atoms = Atoms(written.numbers, written.positions)
        atoms.calc = EMT()
        np.testing.assert_allclose(written.get_forces(), atoms.get_forces(), atol=1e-6)
    assert pick.error == pytest.approx(true_error(result, tmp_path / "run", before=True), rel=1e-4)
    assert pick.error_after == pytest.approx(true_error(result, tmp_path / "run", before=False), rel=1e-4)
    assert "budget of 2 labels" in result.cause
    model = dp_sim.load_model(tmp_path / "run")
    assert [Path(file).name for file in model.files] == ["round-1-member-0.pt", "round-1-member-1.pt"]
    again = load_result(tmp_path / "run")
    assert again.picks == result.picks
    assert [one.positions.shape for one in again.trajectory] == [(len(cluster()), 3)] * len(again.trajectory) != []
    assert again.animation()["labels"] == ["label 1 of 2", "label 2 of 2"]


def true_error(result: LearnResult, directory: Path, *, before: bool) -> float:
    """The largest error of a force on the second label, of the members before or after the training."""
    given = yaml.safe_load((directory / "config.yaml").read_text())["model"]
    model = dp_sim.load_model(given) if before else result.model
    label = ase.io.read(directory / "labels.extxyz", index=1)
    forces = model.evaluate(label).forces.numpy()
    return float(np.linalg.norm(forces - label.get_forces(), axis=1).max())


def test_a_committee_that_is_sure_learns_nothing(run: Run, tmp_path: Path) -> None:
    result = run("sure", threshold=50.0, steps=20)
    assert (result.converged, result.picks, result.trainings, result.label_count) == (True, (), (), 1)
    assert result.looks[:, 0].tolist() == [0, 5, 10, 15, 20]
    short = run("sure", threshold=50.0, steps=20, quiet_ps=0.05, resume=True)
    assert (short.converged, int(short.looks[-1, 0])) == (False, 20)
    quiet = run("sure", threshold=50.0, steps=100, quiet_ps=0.05, resume=True)
    assert (quiet.converged, int(quiet.looks[-1, 0])) == (True, 25)
    assert load_result(tmp_path / "sure").model.n_parameters == result.model.n_parameters


def test_above_the_upper_limit_it_goes_back(run: Run, tmp_path: Path) -> None:
    looks = run("free", threshold=50.0, steps=20).looks
    spreads = looks[:, 3]
    # a limit that the run passes after its second look or later, and a threshold that it does not reach before
    last = int(np.argmax(spreads[2:] > spreads[1:-1].min())) + 2
    upper = float(spreads[last]) * 0.999
    assert (spreads[1:last] < upper).any()
    result = run("back", threshold=upper * 0.9999, upper=upper, steps=20, apart_fs=1000.0)
    paused = [one for one in journal(tmp_path / "back") if one["event"] == "paused"][-1]
    assert paused["why"] == "upper"
    assert paused["step"] == looks[1 + int(np.argmax(spreads[1:last])), 0]
    assert all(one.spread < upper for one in result.picks)


def test_several_picks_are_apart_in_time_and_in_descriptors(run: Run, tmp_path: Path) -> None:
    options = {"threshold": 0.01, "upper": 50.0, "train_steps": 1, "steps": 90, "max_force_eV_A": 1e3}
    several = run("several", picks=LEAST, max_labels=LEAST + 1, apart_fs=20.0, **options)
    steps = [
        pick["step"] for one in journal(tmp_path / "several") for pick in one.get("picks", ()) if "structure" in pick
    ]
    assert len(steps) == LEAST + 1
    assert steps[0] == 0
    assert min(np.diff(steps)) >= 10
    # What was labelled is behind it: it goes on from the last one, with the frames on the way there in the trajectory.
    assert [one["step"] for one in journal(tmp_path / "several") if one["event"] == "resumed"] == steps[-1:]
    frames = ase.io.read(tmp_path / "several" / "trajectory.extxyz", index=":")
    assert len(frames) == several.looks[-1, 0] // 10
    # The budget is used up: it ends where the next label is wanted, and looks no further ahead.
    assert several.looks[-1, 0] == next(
        step for step, *_, spread in several.looks if step >= steps[-1] + 10 and spread > 0.01
    )
    # So many labels tell what a spread is worth, and from then on the uncertainty is that.
    (training,) = several.trainings
    (ratios,) = (one["ratios"] for one in journal(tmp_path / "several") if one["event"] == "trained")
    assert training.factor == factor_of(ratios, 2, 1.0) != 1.0
    spread = several.model.evaluate(several.atoms).forces_std.numpy()
    expected = training.factor * np.linalg.norm(spread, axis=1).max()
    assert several.looks[-1, 3] == pytest.approx(expected, rel=1e-4)
    result = run("same", picks=1, threshold=0.01, upper=50.0, min_distance=1e9, steps=20)
    assert (result.picks, result.converged) == ((), True)


def test_what_is_alike_is_not_labelled_twice(members: list[Path]) -> None:
    """After the least certain structure a new one comes before its double, though that is the less certain."""
    rng = np.random.default_rng(0)
    steps = [rng.normal(scale=scale, size=(4, 3)) for scale in (0.01, 0.001, 0.2, 0.02)]
    looks = [
        SimpleNamespace(step=10 * k, spread=1.0 - 0.1 * k, atoms=Atoms("Cu4", cluster().positions + step))
        for k, step in enumerate(steps)
    ]
    novelty = Novelty(dp_sim.load_model(members))
    options = {"novelty": novelty, "apart": 1, "min_distance": 0.0}
    assert [one.step for one in least_alike(looks, 2, **options)] == [0, 20]
    assert [one.step for one in least_alike(looks, 1, **options)] == [0]
    assert [one.step for one in least_alike(looks, 4, **{**options, "apart": 15})] == [0, 20]
    assert [one.step for one in least_alike(looks, 4, **{**options, "min_distance": 1e9})] == [0]
    near, novel = novelty.nearest(looks[2].atoms, looks[0].atoms)[29].max(), Novelty(dp_sim.load_model(members))
    novel.know([looks[0].atoms])
    assert novel.distance(looks[2].atoms) == near > 0


def test_what_a_calculator_may_do_to_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "support"))
    with Process(Reference(tmp_path / "calls", {1: "dies", 2: "hangs", 3: "nan"}), 2.0) as process:
        for code in ("evaluation-failed", "evaluation-timed-out", "evaluation-failed"):
            with refused(code):
                process.label(cluster())
        atoms = cluster()
        atoms.calc = EMT()
        label = process.label(cluster())
        assert label["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        assert label["stress"] is None


def test_a_failed_label_is_skipped_or_tried_again(run: Run, tmp_path: Path) -> None:
    result = run("skipped", Reference(tmp_path / "a", {2: "raises"}), max_labels=2)
    assert [(one.error, "SCF" in one.cause) for one in result.picks] == [(None, True)]
    assert (result.label_count, result.failed_labels, result.trainings) == (1, 1, ())
    result = run("again", Reference(tmp_path / "b", {2: "nan"}), max_labels=3, label_retries=1)
    assert (result.label_count, result.failed_labels, len(result.trainings)) == (2, 1, 1)
    kinds = [one["event"] for one in journal(tmp_path / "again")]
    assert kinds[kinds.index("failed") :][:3] == ["failed", "labelled", "trained"]
    with refused("label-failed", "SCF not converged"):
        run("never", Reference(tmp_path / "c", {1: "raises"}))
    assert not (tmp_path / "never").exists()


def test_a_label_with_absurd_forces_never_enters_the_data(run: Run, tmp_path: Path) -> None:
    """The run goes back instead, and labels what leads there."""
    result = run("absurd", Reference(tmp_path / "calls", {2: "absurd"}), max_labels=3)
    events = journal(tmp_path / "absurd")
    paused, failed, resumed, again = events[(start := [one["event"] for one in events].index("failed")) - 1 :][:4]
    assert (failed["refused"], resumed["event"], again["event"]) == (True, "resumed", "paused")
    assert events[start]["hash"] == paused["picks"][0]["hash"]
    assert (resumed["step"], again["why"]) == (0, "upper")
    assert 0 < again["picks"][0]["step"] < paused["picks"][0]["step"]
    assert ["max_force" in one.cause for one in result.picks] == [True, False]
    assert any("max_force" in words for words in result.provenance["notes"])
    assert len((tmp_path / "calls").read_text().splitlines()) == 3
    labels = ase.io.read(tmp_path / "absurd" / "labels.extxyz", index=":")
    assert max(np.linalg.norm(one.get_forces(), axis=1).max() for one in labels) < 30
    with refused("label-failed", "the start", "max_force"):
        run("never", max_force_eV_A=1e-3)
    frames = labelled_frames(2, 0.05)
    assert (force_bound(None, frames), force_bound(3.0, frames)) == (30.0, 3.0)
    frames[1].forces[2] = [0.0, 40.0, 30.0]
    assert force_bound(None, frames) == 100.0


def test_atoms_that_run_into_each_other_are_no_structure(run: Run, tmp_path: Path) -> None:
    close = cluster()
    close.positions[1] = [0.9, 0.0, 0.0]  # a third of a bond
    result = run("fused", atoms=close, threshold=1e6, upper=2e6, max_force_eV_A=1e9, steps=10)
    assert not result.converged
    assert "run into each other" in result.cause


def test_the_factor_holds_its_share_of_errors() -> None:
    """Errors and spreads by eq. 3 of dp_sim.uncertainty.likelihood, with a bias of the members of 3 sigma^2."""
    members, rng = 4, np.random.default_rng(0)
    error = np.linalg.norm(rng.normal(scale=np.sqrt(3 + 1 / members), size=(20, 200, 3)), axis=2)
    spread = np.sqrt(rng.chisquare(3 * (members - 1), size=error.shape) / (members - 1))
    ratios = (error / spread).tolist()
    factor = factor_of(ratios, members, 1.0)
    assert share_within(ratios, factor) == pytest.approx(0.6827, abs=0.02)
    assert factor_of([[9.0] * 50] * 20 + ratios, members, 1.0) == factor, "older labels are of other members"
    assert factor_of(ratios[: LEAST - 1], members, 1.7) == 1.7
    assert share_within([], factor) is None


def test_a_label_has_the_virial_that_the_file_gives(tmp_path: Path) -> None:
    crystal = bulk("Cu", cubic=True) * (1, 1, 2)
    crystal.set_cell(crystal.cell.array + np.array([[0.1, 0, 0], [0.2, 0, 0], [0, 0, 0]]), scale_atoms=True)
    label, _ = labelled(crystal.copy(), EMT())
    assert label is not None
    crystal.calc = EMT()
    crystal.get_stress()
    ase.io.write(tmp_path / "crystal.extxyz", crystal)
    (expected,) = read_frames(tmp_path / "crystal.extxyz")
    ours = frame("crystal", to_label(crystal), label)
    assert ours.virial is not None
    np.testing.assert_allclose(ours.virial, expected.virial, atol=1e-5)
    np.testing.assert_allclose(ours.forces, expected.forces, atol=1e-7)


def test_from_one_structure_and_no_data(run: Run, tmp_path: Path) -> None:
    settings = {**SETTINGS, "training": {**SETTINGS["training"], "average": 0.9}}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(settings))
    options = {"calc": None, "train": tmp_path / "train.yaml", "members": 2, "first": 5, "max_labels": 6, "steps": 20}
    result = run("nothing", **options, threshold=50.0)
    assert (result.label_count, len(result.trainings), len(result.model.members)) == (5, 1, 2)
    assert any("35 % of the running mean" in words for words in result.provenance["notes"]), "0.9^10"
    frames = ase.io.read(tmp_path / "nothing" / "labels.extxyz", index=":")
    np.testing.assert_allclose(frames[0].positions, cluster().positions)
    displaced = np.array([one.positions - cluster().positions for one in frames[1:3]])
    assert 0.05 < displaced.std() < 0.2
    assert np.isfinite(result.looks).all()
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**SETTINGS, "data": {"train": [], "valid": ["x.xyz"]}}))
    with refused("setting-not-for-learn", "data.valid", "train.yaml"):
        run("nothing", **options, threshold=50.0, resume=True)
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**SETTINGS, "loss": {"energy": [1, 1]}}))
    with refused("run-differs", "training"):
        run("nothing", **options, threshold=50.0, resume=True)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"threshold": 0.0}, ("setting-out-of-range", "threshold", "0.0")),
        ({"threshold": -1.0}, ("setting-out-of-range", "threshold")),
        ({"upper": 0.1}, ("setting-out-of-range", "upper", "threshold", "0.1")),
        ({"label": "emtt"}, ("calculator-unknown", "emtt", "did you mean 'emt'")),
        ({"atoms": Atoms("CuAu", positions=[[0, 0, 0], [2.5, 0, 0]])}, ("species-unknown", "Au")),
        ({"calc": None}, ("members-missing", "neither")),
        ({"calc": EMT()}, ("members-missing", "EMT")),
        ({"frame_every": 7}, ("setting-out-of-range", "frame_every", "look_every")),
        ({"ensemble": "nve", "friction_per_ps": 1.0}, ("option-not-for-thermostat", "friction_per_ps")),
        ({"ensemble": "npt"}, ("choice-unknown", "npt")),
        ({"data": ["nothing.extxyz"]}, ("file-missing", "nothing.extxyz")),
    ],
)
def test_bad_input_leaves_nothing(run: Run, tmp_path: Path, changed: dict[str, Any], refusal: tuple[str, ...]) -> None:
    with refused(*refusal):
        run("bad", **changed)
    assert not (tmp_path / "bad").exists()


def test_a_committee_of_one_and_a_model_as_reference_are_refused(run: Run, members: list[Path]) -> None:
    with refused("members-too-few", members[0]):
        run("bad", calc=members[0])
    with refused("label-kind"):
        run("bad", label=members[0])


def test_other_settings_are_refused_by_name(run: Run, members: list[Path]) -> None:
    run("run", steps=5)
    with refused("run-differs", "threshold", "0.2", "0.3"):
        run("run", steps=5, threshold=0.3, resume=True)
    with refused("run-differs", "label", "emt", "LennardJones"):
        run("run", label=LennardJones(), steps=5, resume=True)
    with refused("run-differs", "model"):
        run("run", calc=members[::-1], steps=5, resume=True)
    assert run("run", steps=10, resume=True).looks[-1, 0] == 10
