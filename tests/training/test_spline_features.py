"""Training runs on projected geometry: the same energies, forces, virials and gradients as the nets themselves."""

import numpy as np
import pytest
import torch
from ase import Atoms
from refusals import refused
from systems import frame, random_config, structures

from dp_sim.config.training import TrainConfig
from dp_sim.datasets.frames import Frame
from dp_sim.model.derivatives import strained
from dp_sim.model.potential import DeepPotential
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, sum_per_system
from dp_sim.structures.checks import check_structures
from dp_sim.structures.species import species_index
from dp_sim.training.data import Datasets
from dp_sim.training.loss import Labels, Prediction, mean_square_errors, total_loss
from dp_sim.training.trainer import Trainer

NAMES = ["cluster", "TTT", "atom", "FTF", "lonely", "TTF"]


def labelled(name: str, virial: bool = True) -> Frame:
    atoms = structures()[name]
    rng = np.random.default_rng(7)
    labels = {"energy": -3.0, "forces": rng.normal(size=(len(atoms), 3))}
    return frame(atoms, **labels, **({"virial": rng.normal(size=(3, 3))} if virial else {}))


def trainer(frames: list[Frame], knots: int = 1200, **model: object) -> Trainer:
    config = TrainConfig.model_validate(
        {"model": random_config(**model), "data": {"train": ["in memory"]}, "training": {"knots": knots}}
    )
    return Trainer(config, Datasets(frames, []))


def exact(model: DeepPotential, names: list[str]) -> Prediction:
    """The same by plain automatic differentiation through neighbour vectors and embedding nets."""
    arrays = check_structures([structures()[name] for name in names])
    positions, cell, system = map(torch.from_numpy, (arrays.positions, arrays.cell, arrays.system))
    batch = AtomicBatch(positions, species_index(arrays.numbers, ("H", "O", "Cu")), cell, system)
    pairs = NeighborSearch(4.0).of_systems(batch, torch.from_numpy(arrays.pbc))
    positions = batch.positions.requires_grad_(True)
    strain = torch.zeros_like(batch.cell).requires_grad_(True)
    atomic = model(strained(batch._replace(positions=positions), strain), pairs) - model.fitting.bias[batch.species]
    gradients = torch.autograd.grad(atomic.sum(), [positions, strain], create_graph=True)
    return Prediction(sum_per_system(atomic, batch), -gradients[0], -gradients[1])


VARIANTS = {
    "one-sided": {},
    "two-sided cosine": {"one_side": False, "switch": "cosine"},
    "radial": {"descriptor": "radial", "one_side": False},
    "local frames": {"descriptor": "local-frame", "radial_neighbors": 3},
    "local frames with axes": {"descriptor": "local-frame", "axes": {"H": ("O", "H"), "Cu": ("O", "O")}},
    "deep potential": {"descriptor": "deep-potential"},
}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_predictions_and_gradients_equal_plain_autograd(variant: dict[str, object]) -> None:
    run = trainer([labelled(name) for name in NAMES], **variant)
    prediction, labels = run.predictor(run.train, range(len(NAMES)), run.model, training=True)
    expected = exact(run.model, NAMES)
    assert prediction.virial is not None
    for got, reference in zip(prediction, expected, strict=True):
        torch.testing.assert_close(got, reference, atol=1e-8, rtol=1e-8)
    for progress in (1.0, 0.0):
        got_loss, loss = (_loss(run, p, labels, progress) for p in (prediction, expected))
        parameters = list(run.model.parameters())
        got_gradients = torch.autograd.grad(got_loss, parameters, retain_graph=True)
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        for got, reference in zip(got_gradients, gradients, strict=True):
            torch.testing.assert_close(got, reference, atol=1e-7 * loss.item(), rtol=1e-6)
        assert max(float(g.abs().max()) for g in gradients) > 1e-3


def _loss(run: Trainer, prediction: Prediction, labels: Labels, progress: float) -> torch.Tensor:
    return total_loss(mean_square_errors(prediction, labels), run.config.loss, progress)


def test_default_knots_are_enough() -> None:
    """The spline of training with its default 128 intervals, against the nets of the model file: eV and eV/Angstrom."""
    run = trainer([labelled(name) for name in NAMES], knots=120, embedding=(25, 50, 100), axis_width=16)
    prediction, _ = run.predictor(run.train, range(len(NAMES)), run.model, training=False)
    expected = exact(run.model, NAMES)
    assert (prediction.energy - expected.energy).abs().max().item() < 1e-5
    assert (prediction.forces - expected.forces).abs().max().item() < 1e-4


@pytest.mark.parametrize("descriptor", ["deeppot-se", "local-frame"])
def test_a_batch_is_its_frames_one_by_one(descriptor: str) -> None:
    run = trainer([labelled(name) for name in NAMES], knots=32, descriptor=descriptor)
    together, _ = run.predictor(run.train, range(len(NAMES)), run.model, training=False)
    singly = [run.predictor(run.train, [i], run.model, training=False)[0] for i in range(len(NAMES))]
    for field in Prediction._fields:
        joined = torch.cat([getattr(p, field) for p in singly])
        torch.testing.assert_close(getattr(together, field), joined, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("descriptor", ["deeppot-se", "local-frame"])
def test_isolated_atoms_alone(descriptor: str) -> None:
    """No pair at all in the whole data set: energies of atoms can still be learnt."""
    run = trainer([labelled("atom"), labelled("lonely")], knots=8, descriptor=descriptor)
    prediction, labels = run.predictor(run.train, [0, 1], run.model, training=True)
    assert not prediction.forces.any()
    assert prediction.virial is not None
    assert not prediction.virial.any()
    _loss(run, prediction, labels, 0.5).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in run.model.parameters() if p.grad is not None)


def test_missing_labels_cost_nothing() -> None:
    """A frame without forces and virial adds nothing to their loss: the gradients are those of the others alone."""
    bare = frame(structures()["TTT"], energy=-3.0)
    run = trainer([labelled("cluster"), bare], knots=32)
    loss = {"energy": (0.0, 0.0), "forces": (1.0, 1.0), "virial": (1.0, 1.0)}
    config = run.config.loss.model_copy(update=loss)
    gradients = []
    for chosen in ([0], [0, 1]):
        errors = mean_square_errors(*run.predictor(run.train, chosen, run.model, training=True))
        parameters = list(run.model.parameters())
        total = total_loss(errors, config, 0.5)
        gradients.append(torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True))
    for alone, both in zip(*gradients, strict=True):
        torch.testing.assert_close(alone, both, atol=1e-12, rtol=1e-10)


def test_atoms_too_close_for_the_spline_are_refused() -> None:
    """A pair at 0.03 Angstrom would stretch the spline to s = 33 and ask for thousands of knots."""
    close = frame(Atoms("H2", positions=[[0, 0, 0], [0.03, 0, 0]]), energy=0.0)
    with refused("atoms-too-close", "0.030"):
        trainer([close])
