"""Learning on the fly along dynamics in OpenMM."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ase.build import fcc111
from refusals import refused

from dp_sim.recipes.learning import learner
from dp_sim.recipes.learning.journal import TRAINED, Journal
from dp_sim.recipes.learning.result import LearnResult

pytest.importorskip("openmm")
Run = Callable[..., LearnResult]


def test_dynamics_in_openmm_pauses_and_goes_on_after_a_kill(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is cut before its training ends as the whole one: OpenMM's checkpoint is its state."""
    options = {"dynamics_engine": "openmm", "steps": 30}
    whole = run("whole", **options)
    assert whole.label_count == 2
    assert any(event["state"] for event in Journal(tmp_path / "whole" / "journal.jsonl").events if "state" in event)

    def killed(self: learner.Learner) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(learner.Learner, "_train", killed)
        with pytest.raises(KeyboardInterrupt):
            run("cut", **options)
    assert not any(event["event"] == TRAINED for event in Journal(tmp_path / "cut" / "journal.jsonl").events)
    again = run("cut", resume=True, **options)
    assert again.atoms.positions.tobytes() == whole.atoms.positions.tobytes()
    for name in ("trajectory.extxyz", "uncertainty.csv", "labels.extxyz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_slab_is_refused_before_anything_is_labelled(run: Run, tmp_path: Path) -> None:
    with refused("periodicity-unsupported", "pbc"):
        run("slab", atoms=fcc111("Cu", (2, 2, 1), vacuum=5.0), dynamics_engine="openmm")
    assert not (tmp_path / "slab").exists()
