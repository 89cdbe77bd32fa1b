"""Training: reproducible to the bit, resumable to the bit, honest when it diverges, and able to learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from refusals import refused
from systems import SMALL_CELL, Morse, frame, scattered

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config
from dp_sim.datasets.frames import Frame
from dp_sim.datasets.radial_distribution import radial_distribution
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model, save_model
from dp_sim.structures.species import find_species
from dp_sim.training.accuracy import compare, pool, system_errors
from dp_sim.training.checkpoint import load_checkpoint, save_checkpoint
from dp_sim.training.data import Datasets, read_datasets
from dp_sim.training.loop import CurvePoint, fit
from dp_sim.training.trainer import Trainer

OPEN = (False, False, False)


def morse_frames(count: int, seed: int) -> list[Frame]:
    """Clusters of five and seven atoms, a slab and a crystal in turn, of two elements that Morse takes for one."""
    frames = []
    for k in range(count):
        formula, cell, pbc = [
            ("Ar5", 4.5 * np.eye(3), OPEN),
            ("Ar4Kr3", 5.0 * np.eye(3), OPEN),
            ("ArKr2", 1.3 * SMALL_CELL, (True, True, False)),
            ("Ar2Kr", 1.4 * SMALL_CELL, (True, True, True)),
        ][k % 4]
        frames.append(Morse().labelled(scattered(formula, cell, pbc, seed=1000 * seed + k, nearest=1.6), f"frame {k}"))
    return frames


def config(**training: Any) -> TrainConfig:
    return parse_config(
        {
            "model": {
                "cutoff": 4.5,
                "switch_start": 1.0,
                "embedding": [8, 16],
                "axis_width": 4,
                "fitting": [24, 24],
                "precision": "float64",
            },
            "data": {"train": ["in memory"]},
            "training": {"steps": 12, "report_every": 5, "save_every": 4, "knots": 32, **training},
        }
    )


@pytest.fixture(scope="module")
def data() -> Datasets:
    return Datasets(morse_frames(6, seed=1), morse_frames(4, seed=2))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return trainer.result.state_dict()


def same_bits(first: Trainer, second: Trainer) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def numbers(curve: list[CurvePoint]) -> list[tuple[object, ...]]:
    """All but the wall time."""
    return [point[:-1] for point in curve]


# ---- the same numbers again ----


@pytest.mark.parametrize("settings", [{}, {"batch_size": 4, "average": 0.9, "gradient_norm": 1.0}])
def test_fixed_seed_gives_the_same_model(data: Datasets, settings: dict[str, Any]) -> None:
    runs = [Trainer(config(**settings), data) for _ in range(2)]
    curves = [fit(run) for run in runs]
    assert same_bits(*runs)
    assert numbers(curves[0]) == numbers(curves[1])
    other = Trainer(config(**settings, seed=1), data)
    fit(other)
    assert not same_bits(runs[0], other)


@pytest.mark.parametrize("optimizer", ["adam", "soap", "rlekf"])
@pytest.mark.parametrize("stop", [1, 4, 6, 11])
def test_interrupted_and_resumed_gives_the_same_numbers(
    data: Datasets, tmp_path: Path, stop: int, optimizer: str
) -> None:
    """Ctrl-C after step `stop`, between checkpoints, on one, and before the first."""
    if optimizer == "soap":
        pytest.importorskip("pytorch_optimizer", reason="SOAP comes with pytorch_optimizer")
    settings = config(average=0.9, optimizer=optimizer)
    whole = Trainer(settings, data)
    expected = fit(whole)

    def interrupt(step: int) -> None:
        if step == stop:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(Trainer(settings, data), checkpoint=checkpoint, on_step=interrupt)
    resumed = Trainer(settings, data)
    curve = fit(resumed, checkpoint=checkpoint)
    assert same_bits(whole, resumed)
    assert numbers(curve) == numbers(expected)
    assert curve[-1].seconds > 0


def test_killed_without_warning_goes_on_from_the_last_checkpoint(data: Datasets, tmp_path: Path) -> None:
    """SIGKILL leaves the checkpoint of step 4; the steps after it are made again, with the same frames."""
    whole = Trainer(config(), data)
    expected = fit(whole)

    class Killed(Exception):
        pass

    def kill(step: int) -> None:
        if step == 7:
            raise Killed

    with pytest.raises(Killed):
        fit(Trainer(config(), data), checkpoint=tmp_path / "c.pt", on_step=kill)
    assert load_checkpoint(tmp_path / "c.pt")["step"] == 4
    resumed = Trainer(config(), data)
    assert numbers(fit(resumed, checkpoint=tmp_path / "c.pt")) == numbers(expected)
    assert same_bits(whole, resumed)


def test_finished_run_is_not_trained_further(data: Datasets, tmp_path: Path) -> None:
    first, second = Trainer(config(), data), Trainer(config(), data)
    curve = fit(first, checkpoint=tmp_path / "c.pt")
    assert fit(second, checkpoint=tmp_path / "c.pt") == curve
    assert same_bits(first, second)


def test_memory_limit_does_not_change_numbers(data: Datasets) -> None:
    kept, anew = Trainer(config(), data), Trainer(config(cache_gb=0.0), data)
    fit(kept)
    fit(anew)
    assert same_bits(kept, anew)


# ---- checkpoints of another kind ----


def test_checkpoint_of_other_settings(data: Datasets, tmp_path: Path) -> None:
    fit(Trainer(config(), data), checkpoint=tmp_path / "c.pt")
    with refused("run-differs", "c.pt"):
        fit(Trainer(config(learning_rate=2e-3), data), checkpoint=tmp_path / "c.pt")


def test_bad_checkpoints(data: Datasets, tmp_path: Path) -> None:
    fit(Trainer(config(), data), checkpoint=tmp_path / "c.pt")
    content = (tmp_path / "c.pt").read_bytes()
    for broken in (b"", b"text", content[:1000], content[:-200]):
        (tmp_path / "broken.pt").write_bytes(broken)
        with refused("file-damaged", "broken.pt"):
            load_checkpoint(tmp_path / "broken.pt")
    torch.save({"a": 1}, tmp_path / "other.pt")
    with refused("checkpoint-invalid", "other.pt"):
        load_checkpoint(tmp_path / "other.pt")
    save_checkpoint(tmp_path / "new.pt", {"version": 99})
    with refused("version-newer", "new.pt", "99"):
        load_checkpoint(tmp_path / "new.pt")


# ---- divergence ----


def test_divergence_is_an_error_and_keeps_the_last_good_checkpoint(data: Datasets, tmp_path: Path) -> None:
    trainer = Trainer(config(), data)

    def spoil(step: int) -> None:
        if step == 6:
            next(iter(trainer.model.parameters())).data.fill_(float("nan"))

    with refused("training-diverged", "training.learning_rate"):
        fit(trainer, checkpoint=tmp_path / "c.pt", on_step=spoil)
    state = load_checkpoint(tmp_path / "c.pt")
    assert state["step"] == 4
    assert all(bool(torch.isfinite(value).all()) for value in state["model"].values())


def test_huge_learning_rate_diverges(data: Datasets) -> None:
    with refused("training-diverged"):
        fit(Trainer(config(learning_rate=1e200, learning_rate_end=1e200), data))


# ---- data ----


def test_every_frame_once_a_pass_whatever_the_batch(data: Datasets) -> None:
    for size in (1, 4, 6, 13):
        trainer = Trainer(config(batch_size=size), data)
        seen = [frame for step in range(12) for frame in trainer.frames_of_step(step)]
        passes = len(seen) // 6
        assert all(sorted(seen[6 * k : 6 * k + 6]) == list(range(6)) for k in range(passes))
        assert seen[:6] != seen[6:12]


def test_one_frame_only_and_batches_larger_than_the_data() -> None:
    trainer = Trainer(config(batch_size=3), Datasets(morse_frames(1, seed=3), []))
    point = fit(trainer)[-1]
    assert point.train_forces is not None
    assert (point.valid_energy, point.valid_forces, point.valid_virial) == (None, None, None)


def test_labels_that_no_frame_has_are_none_in_the_curve(data: Datasets) -> None:
    energies = [frame(Atoms(f.numbers, f.positions), energy=f.energy) for f in data.train[:2]]
    point = fit(Trainer(config(), Datasets(energies, data.valid[:1])))[-1]
    assert point.train_energy is not None
    assert (point.train_forces, point.train_virial) == (None, None)
    assert None not in point[5:]


def test_curve_counts_labelled_frames_only(data: Datasets) -> None:
    """Frames without forces must not pull the force error down; the model stands still, so the numbers are known."""
    bare = frame(Atoms(data.train[0].numbers, data.train[0].positions), energy=data.train[0].energy)
    frozen = {"learning_rate": 1e-300, "learning_rate_end": 1e-300, "steps": 6, "report_every": 6}
    alone = fit(Trainer(config(**frozen), Datasets([data.train[1]], [])))[-1]
    trainer = Trainer(config(**frozen), Datasets([data.train[1], bare], []))
    reference = Trainer(config(**frozen), Datasets([data.train[1], bare], data.train[1:2]))
    assert fit(trainer)[-1].train_forces == pytest.approx(fit(reference)[-1].valid_forces, rel=1e-10)
    assert alone.train_forces is not None


def test_species(data: Datasets) -> None:
    assert find_species(data.train) == ("Ar", "Kr")
    assert Trainer(config(), data).config.model.species == ("Ar", "Kr")
    argon = [f for f in data.train if set(f.numbers) == {18}]
    with refused("species-unknown"):
        Trainer(config(), Datasets(argon, data.valid))
    wider = config().model_copy(update={"model": config().model.model_copy(update={"species": ("Kr", "Ne", "Ar")})})
    trainer = Trainer(wider, data)  # an element that the data lack
    fit(trainer)
    assert all(bool(torch.isfinite(value).all()) for value in weights(trainer).values())


def test_coincident_atoms_name_their_frame() -> None:
    twice = frame(Atoms("ArAr", positions=[[0, 0, 0], [0, 0, 1e-3]]))
    with refused("atoms-coincide", "0", "1"):
        Trainer(config(), Datasets([twice], []))


def test_a_cell_too_small_names_its_frame() -> None:
    crowd = frame(Atoms("Ar192", np.random.default_rng(0).uniform(0, 0.1, (192, 3)), cell=[0.1] * 3, pbc=True))
    with refused("atoms-too-dense", "192", "0.001"):
        Trainer(config(), Datasets([crowd], []))


def test_fraction_that_leaves_nothing(tmp_path: Path) -> None:
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms = Atoms("Ar")
    atoms.calc = SinglePointCalculator(atoms, energy=1.0)
    ase.io.write(tmp_path / "one.extxyz", atoms)
    settings = {"data": {"train": [str(tmp_path / "one.extxyz")], "valid_fraction": 0.9}}
    with refused("frames-missing", "data.valid_fraction", "0.9", "1"):
        read_datasets(parse_config(settings))


def test_learning_rate_schedule(data: Datasets) -> None:
    trainer = Trainer(config(learning_rate=1e-2, learning_rate_end=1e-4), data)
    assert [trainer.learning_rate(step) for step in (0, 6, 12)] == pytest.approx([1e-2, 1e-3, 1e-4])


def test_radial_distribution_of_a_pair(data: Datasets) -> None:
    """Two argon atoms 2 Angstrom apart: the density, summed over shells, is the one neighbour that each has."""
    trainer = Trainer(config(), Datasets([Morse().labelled(Atoms("Ar2", positions=[[0, 0, 0], [0, 0, 2.0]]))], []))
    found = radial_distribution(trainer.train.pairs, trainer.config.model, bins=45)
    edges = np.linspace(0, 4.5, 46)
    assert np.dot(found["Ar-Ar"], 4 * np.pi / 3 * np.diff(edges**3)) == pytest.approx(1.0, abs=1e-3)
    assert np.nonzero(found["Ar-Ar"])[0].tolist() == [20] or np.nonzero(found["Ar-Ar"])[0].tolist() == [19]


# ---- learning ----


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """One model for clusters, slabs and crystals of two elements, trained for a few seconds in float32."""
    settings = config(steps=900, report_every=900, batch_size=2, learning_rate=5e-3, learning_rate_end=1e-5, knots=64)
    model = settings.model.model_copy(update={"precision": "float32"})
    trainer = Trainer(settings.model_copy(update={"model": model}), Datasets(morse_frames(80, seed=4), []))
    fit(trainer)
    path = tmp_path_factory.mktemp("learnt") / "model.pt"
    save_model(path, trainer.result, trainer.config.model)
    return load_model(path)


def test_it_learns(learnt: Model) -> None:
    """Frames that it never saw: a fraction of the spread of their labels, for every composition and periodicity."""
    frames = morse_frames(20, seed=5)
    parities = compare(learnt, frames)
    assert [p.system for p in parities] == ["Ar5", "Ar4Kr3", "ArKr2", "Ar2Kr"]
    for parity in [*parities, pool(parities)]:
        errors = system_errors(parity)
        spread = float(parity.forces[:, 0].std())
        assert errors.forces.rmse is not None
        assert errors.energy.rmse is not None
        assert errors.forces.rmse < 0.35 * spread, parity.system
        assert errors.energy.rmse < 0.05, parity.system
