"""Optimisers of training: each updates the weights from the predictions of a batch and their labels."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch

from dp_sim.config.training import LossConfig, TrainConfig, TrainingConfig
from dp_sim.model.potential import DeepPotential
from dp_sim.training.kalman import KalmanFilter
from dp_sim.training.loss import Labels, Prediction, mean_square_errors, total_loss


class Optimizer(Protocol):
    """Interface of an optimiser; `done` is the fraction of the run's steps made before, from 0 to 1."""

    #: What to change where training diverges.
    remedy: ClassVar[str]

    def learning_rate(self, done: float) -> float | None:
        """Return the learning rate, or None for an optimiser without one."""
        ...

    def step(self, prediction: Prediction, labels: Labels, done: float) -> None:
        """Update the weights from a prediction that they made, whose graph is then used up, and its labels."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        ...


class GradientDescent:
    """Gradient descent with Adam (Kingma & Ba, ICLR 2015) or SOAP (Vyas et al., ICLR 2025) and decoupled weight decay.

    SOAP runs Adam in the eigenbasis of each weight matrix's gradient covariance. Smooth nets such as these are
    ill-conditioned in the original basis; SOAP needs several times fewer steps (benchmarks/accuracy has figures).

    Parameters
    ----------
    model
        The model to train.
    loss
        Prefactors.
    settings
        Settings of the training.
    """

    remedy: ClassVar[str] = "lower training.learning_rate or set training.gradient_norm"

    def __init__(self, model: DeepPotential, loss: LossConfig, settings: TrainingConfig) -> None:
        self.parameters, self.loss, self.settings = list(model.parameters()), loss, settings
        rate, decay = settings.learning_rate, settings.weight_decay
        self.optimizer: torch.optim.Optimizer
        if settings.optimizer == "adam":
            self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, weight_decay=decay, fused=True)
        else:
            from pytorch_optimizer import SOAP

            self.optimizer = SOAP(self.parameters, lr=rate, weight_decay=decay)

    def learning_rate(self, done: float) -> float:
        """Return the learning rate, which decays exponentially."""
        return self.settings.learning_rate * (self.settings.learning_rate_end / self.settings.learning_rate) ** done

    def step(self, prediction: Prediction, labels: Labels, done: float) -> None:
        """Update the weights from a prediction and its labels."""
        rate = self.learning_rate(done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        errors = mean_square_errors(prediction, labels)
        loss = total_loss(errors, self.loss, rate / self.settings.learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.gradient_norm)
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self.optimizer.load_state_dict(state)


def make_optimizer(model: DeepPotential, config: TrainConfig) -> Optimizer:
    """Make the optimiser of a model that `config.training.optimizer` names.

    Raises
    ------
    InputError
        `memory-too-small`: the covariance of rlekf does not fit into memory.
    """
    if config.training.optimizer == "rlekf":
        return KalmanFilter(list(model.parameters()), config.loss, config.training)
    return GradientDescent(model, config.loss, config.training)
