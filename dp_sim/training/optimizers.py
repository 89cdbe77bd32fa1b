"""Optimisers of training: each makes a step of the weights from the predictions of a batch and their labels."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch

from dp_sim.config.training import LossConfig, TrainConfig, TrainingConfig
from dp_sim.model.potential import DeepPotential
from dp_sim.training.kalman import KalmanFilter
from dp_sim.training.loss import Labels, Prediction, mean_square_errors, total_loss


class Optimizer(Protocol):
    """An optimiser of training; `done` is the share of the steps of the run made before, from 0 to 1."""

    #: What to change where training diverges.
    remedy: ClassVar[str]

    def learning_rate(self, done: float) -> float | None:
        """Return the learning rate, None where there is none."""
        ...

    def step(self, prediction: Prediction, labels: Labels, done: float) -> None:
        """Change the weights that `prediction` was made with; its graph is used up."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` continues from."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...


class GradientDescent:
    """Gradient descent by Adam (Kingma & Ba, ICLR 2015) or SOAP (Vyas et al., ICLR 2025).

    Both have decoupled weight decay.

    SOAP runs Adam in the eigenbasis of each weight matrix's gradient covariance. Nets as smooth as these are
    ill-conditioned in the plain basis: it needs several times fewer steps (benchmarks/accuracy has figures).
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
        """Return the learning rate, which falls exponentially."""
        return self.settings.learning_rate * (self.settings.learning_rate_end / self.settings.learning_rate) ** done

    def step(self, prediction: Prediction, labels: Labels, done: float) -> None:
        """Change the weights by the gradient of the loss of one batch."""
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
        """Return what `load_state_dict` continues from."""
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.optimizer.load_state_dict(state)


def make_optimizer(model: DeepPotential, config: TrainConfig) -> Optimizer:
    """Make the optimiser that `config.training.optimizer` names."""
    if config.training.optimizer == "rlekf":
        return KalmanFilter(list(model.parameters()), config.loss, config.training)
    return GradientDescent(model, config.loss, config.training)
