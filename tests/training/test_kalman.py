"""The Kalman filter: recursive least squares where predictions are linear, and quicker than Adam on a small net."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refused
from systems import Morse, scattered

from dp_sim.config.training import TrainConfig
from dp_sim.config.training_input import parse_config
from dp_sim.training.data import Datasets
from dp_sim.training.kalman import BlockFilter, KalmanFilter, check_memory, funnelled, layer_blocks
from dp_sim.training.loop import fit
from dp_sim.training.loss import Labels, Prediction, roots, square_sums
from dp_sim.training.trainer import Trainer

N = 12
RNG = np.random.default_rng(0)
ROWS, LABELS = RNG.normal(size=(40, N)), RNG.normal(size=40)


def run_filter(rows: np.ndarray, labels: np.ndarray, batch: int, state: BlockFilter) -> np.ndarray:
    """The filter's estimate of a linear model's weights, from zero."""
    weights = torch.zeros(N, dtype=torch.float64)
    for start in range(0, len(rows), batch):
        jacobian = torch.from_numpy(rows[start : start + batch])
        residual = torch.from_numpy(labels[start : start + batch]) - jacobian @ weights
        weights = weights + state.update(jacobian, residual)
    return weights.numpy()


def make_filter(blocks: list[tuple[int, int]], forgetting: float, rate: float = 1.0) -> BlockFilter:
    return BlockFilter(blocks, forgetting, rate)


@pytest.mark.parametrize("batch", [1, 5, 40])
@pytest.mark.parametrize("forgetting", [1.0, 0.9])
def test_linear_model_gives_ridge_regression(forgetting: float, batch: int) -> None:
    """The minimum of sum_t lambda^(T-t) |r_t|^2 + lambda^T |w|^2, in closed form."""
    steps = len(ROWS) // batch
    weight = np.repeat(forgetting ** np.arange(steps - 1, -1, -1), batch)
    information = ROWS.T @ (weight[:, None] * ROWS) + forgetting**steps * np.eye(N)
    expected = np.linalg.solve(information, ROWS.T @ (weight * LABELS))
    state = make_filter([(0, N)], forgetting)
    assert run_filter(ROWS, LABELS, batch, state) == pytest.approx(expected, abs=1e-10)
    assert state.covariances[0][0].numpy() == pytest.approx(np.linalg.inv(information), abs=1e-10)


def test_blocks_are_the_full_filter_without_what_lies_between_them() -> None:
    """Beside a dense P whose other elements are dropped after every update; noise L, and lambda on its way to 1."""
    blocks, batch, forgetting = [(0, 3), (3, 8), (8, 12)], 2, 0.9
    inside = np.zeros((N, N))
    for start, stop in blocks:
        inside[start:stop, start:stop] = 1.0
    covariance, weights = np.eye(N), np.zeros(N)
    state = make_filter(blocks, forgetting, 0.8)
    for start in range(0, 40, batch):
        h = ROWS[start : start + batch]
        gain = covariance @ h.T @ np.linalg.inv(forgetting * len(blocks) * np.eye(batch) + h @ covariance @ h.T)
        weights = weights + gain @ (LABELS[start : start + batch] - h @ weights)
        covariance = (covariance - gain @ h @ covariance) / forgetting * inside
        forgetting = 0.8 * forgetting + 0.2
    assert run_filter(ROWS, LABELS, batch, state) == pytest.approx(weights, abs=1e-10)
    assert state.forgetting == pytest.approx(forgetting)


@given(st.lists(st.integers(1, 60), max_size=20), st.integers(1, 40))
def test_blocks_hold_every_weight_once(sizes: list[int], block_size: int) -> None:
    blocks = layer_blocks(sizes, block_size)
    assert [place for start, stop in blocks for place in range(start, stop)] == list(range(sum(sizes)))
    assert all(0 < stop - start <= block_size for start, stop in blocks)


def test_large_layers_are_split_evenly_and_small_neighbours_gathered() -> None:
    assert layer_blocks([4, 3, 25, 2, 10, 1], 10) == [(0, 7), (7, 15), (15, 23), (23, 32), (32, 34), (34, 44), (44, 45)]


def test_a_covariance_beyond_the_memory_is_refused() -> None:
    check_memory(layer_blocks([1000, 1000], 500))
    with refused("memory-too-small", "10", "000", "training.block_size"):
        check_memory(layer_blocks([10_000_000], 5_000_000))


def test_funnel() -> None:
    """Two groups of rows, one row without label: means of |error|, and their gradients."""
    error = torch.tensor([[1.0, -2.0], [3.0, 3.0], [-5.0, 0.0], [4.0, -1.0]], requires_grad=True)
    residual = funnelled(error, torch.tensor([1.0, 1.0, 1.0, 0.0]), 2)
    assert residual.tolist() == pytest.approx([8 / 4, 6 / 2])
    residual.sum().backward()
    assert error.grad is not None
    quarter, half = 0.25, 0.5
    assert error.grad.flatten().tolist() == pytest.approx([quarter, -quarter, half, half, -quarter, 0, 0, 0])


def test_a_label_pulls_as_far_as_its_noise_lets_it() -> None:
    """One atom, E = sum_ij x_ij W_ij: what a step leaves of an error is its share 1 / (1 + |x|^2), along x."""
    x = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
    weight = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    settings = parse_config(
        {
            "data": {"train": ["a"]},
            "loss": {"energy": [1, 7], "forces": [1, 0], "virial": [1, 0]},
            "training": {"optimizer": "rlekf", "forgetting": 1.0},
        }
    )
    one, none = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    labels = Labels(
        -2.0 * one, torch.zeros(1, 3).double(), torch.zeros(1, 3, 3).double(), one, none, none, one, one, one, one
    )
    prediction = Prediction((x * weight).sum()[None], torch.zeros(1, 3, dtype=torch.float64), None)
    KalmanFilter([weight], settings.loss, settings.training).step(prediction, labels, 0.0)
    assert weight.detach().numpy() == pytest.approx(-2.0 * x.numpy() / (1 + float(x.square().sum())), abs=1e-12)


# ---- training ----


def config(precision: str = "float64", **training: Any) -> TrainConfig:
    model = {"cutoff": 4.5, "switch_start": 1.0, "embedding": [8], "axis_width": 4, "fitting": [12]}
    steps = {"steps": 120, "report_every": 120, "batch_size": 2, "knots": 32}
    sections = {"model": {**model, "precision": precision}, "training": {**steps, **training}}
    return parse_config({"data": {"train": ["in memory"]}, **sections})


@pytest.fixture(scope="module")
def data() -> Datasets:
    frames = [
        Morse().labelled(scattered("Ar4", 4.0 * np.eye(3), (False, False, False), seed=k, nearest=1.6), str(k))
        for k in range(20)
    ]
    return Datasets(frames[:12], frames[12:])


def test_all_rows_at_once_are_the_rows(data: Datasets) -> None:
    """The batched backward pass, sparse products included, beside one pass for each measurement."""
    run = Trainer(config(optimizer="rlekf"), data)
    optimizer = run.optimizer
    assert isinstance(optimizer, KalmanFilter)

    def residuals() -> torch.Tensor:
        return optimizer.residuals(*run.predictor(run.train, [0, 1], run.model, training=True))

    rows, each = optimizer.jacobian(residuals()), residuals()
    assert rows.shape == (8, sum(p.numel() for p in run.model.parameters()))
    for row, residual in zip(rows, each, strict=True):
        gradients = torch.autograd.grad(residual, optimizer.parameters, retain_graph=True, materialize_grads=True)
        expected = torch.cat([-g.movedim(-1, 0).flatten() for g in gradients])
        assert row.numpy() == pytest.approx(expected.numpy(), abs=1e-10)


def training_error(run: Trainer) -> float:
    """RMSE of the forces of the training frames, eV/Angstrom."""
    sums = [
        square_sums(*run.predictor(run.train, [i], run.model, training=False)) for i in range(len(run.train.frames))
    ]
    error = roots(torch.stack(sums).sum(dim=0))[1]
    assert error is not None
    return error


@pytest.fixture(scope="module")
def adam_error(data: Datasets) -> float:
    """With the best of three learning rates (1e-3, 1e-2, 3e-2)."""
    run = Trainer(config(optimizer="adam", learning_rate=1e-2, learning_rate_end=1e-4), data)
    fit(run)
    return training_error(run)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_fewer_epochs_than_adam(data: Datasets, adam_error: float, precision: str) -> None:
    run = Trainer(config(precision, optimizer="rlekf"), data)
    fit(run)
    assert training_error(run) < 0.5 * adam_error


def test_divergence_is_an_error_with_advice(data: Datasets) -> None:
    run = Trainer(config(optimizer="rlekf", forgetting=1e-3, forgetting_rate=1.0), data)
    with refused("training-diverged", "training.forgetting", "1"):
        fit(run)
