"""The loss of eq. 12, worked out by hand, and its schedule."""

import pytest
import torch

from dp_sim.config.training import LossConfig
from dp_sim.training.loss import Errors, Labels, Prediction, mean_square_errors, roots, square_sums, total_loss


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


#: Of energies, forces and virials; no test has these by default.
WEIGHTS = (torch.ones(2).double(), torch.ones(3).double(), torch.ones(2).double())


def labels(has_energy: tuple[float, ...], has_forces: tuple[float, ...], has_virial: tuple[float, ...]) -> Labels:
    """Frames of 1 and 2 atoms, all labels zero."""
    zero = torch.zeros
    has = (tensor(*has_energy), tensor(*has_forces), tensor(*has_virial))
    return Labels(zero(2).double(), zero(3, 3).double(), zero(2, 3, 3).double(), *has, tensor(1, 2), *WEIGHTS)


PREDICTION = Prediction(
    tensor(3.0, 4.0),
    torch.stack([tensor(1, 2, 2), tensor(0, 0, 3), tensor(0, 6, 0)]),
    torch.stack([torch.ones(3, 3).double(), 2 * torch.eye(3).double()]),
)


def test_all_labels_by_hand() -> None:
    """energy (9/1 + 16/2)/2; forces (9 + 9 + 36)/3/3; virial (9/9/1 + 12/9/2)/2."""
    errors = mean_square_errors(PREDICTION, labels((1, 1), (1, 1, 1), (1, 1)))
    assert [e.item() for e in errors] == pytest.approx([8.5, 6.0, (1 + 2 / 3) / 2])


def test_learning_curve_by_hand() -> None:
    """Per atom: energies 3/1 and 4/2 eV; virial components 1 and 1/2 ones (six of nine vanish)."""
    everything = labels((1, 1), (1, 1, 1), (1, 1))
    sums = square_sums(PREDICTION, everything)
    assert sums[0].tolist() == pytest.approx([9 + 4, 18, 1 + 12 / 9 / 4])
    assert sums[1].tolist() == [2, 3, 2]
    assert roots(sums) == pytest.approx([6.5**0.5, 6**0.5, (2 / 3) ** 0.5])


def test_missing_labels_do_not_count() -> None:
    some = labels((0, 1), (1, 0, 0), (0, 0))
    errors = mean_square_errors(PREDICTION, some)
    assert [e.item() for e in errors] == pytest.approx([8.0, 3.0, 0.0])
    assert roots(square_sums(PREDICTION, some)) == (pytest.approx(2.0), pytest.approx(3**0.5), None)


def test_weights_multiply_squared_errors_and_do_not_cancel() -> None:
    """energy (0.5 * 9 + 2 * 8)/2; forces (9 + 0 + 2 * 36)/3/3; virial (0.1 * 1 + 2/3)/2."""
    weighed = labels((1, 1), (1, 1, 1), (1, 1))._replace(
        energy_weight=tensor(0.5, 2), forces_weight=tensor(1, 0, 2), virial_weight=tensor(0.1, 1)
    )
    errors = mean_square_errors(PREDICTION, weighed)
    assert [e.item() for e in errors] == pytest.approx([10.25, 9.0, (0.1 + 2 / 3) / 2])
    assert roots(square_sums(PREDICTION, weighed)) == roots(square_sums(PREDICTION, labels((1, 1), (1, 1, 1), (1, 1))))


def test_no_labels_at_all() -> None:
    none = labels((0, 0), (0, 0, 0), (0, 0))
    without_virial = PREDICTION._replace(virial=None)
    assert [e.item() for e in mean_square_errors(without_virial, none)] == [0.0, 0.0, 0.0]
    assert roots(square_sums(without_virial, none)) == (None, None, None)


def test_schedule_ends() -> None:
    """At the start the first prefactors, at the end (learning rate 0) the second, half-way their mean."""
    config = LossConfig(energy=(0.02, 1.0), forces=(1000.0, 1.0), virial=(0.0, 0.5))
    errors = Errors(tensor(1.0)[0], tensor(10.0)[0], tensor(100.0)[0])
    assert total_loss(errors, config, 1.0).item() == pytest.approx(0.02 + 10_000)
    assert total_loss(errors, config, 0.0).item() == pytest.approx(1 + 10 + 50)
    assert total_loss(errors, config, 0.5).item() == pytest.approx(0.51 + 5005 + 25)
