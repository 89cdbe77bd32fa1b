"""The contract, applied to DeepPot-SE and its radial variant: one- and two-sided, both switches, both precisions."""

import pytest
import torch
from model_contract import ModelContract
from systems import CUTOFF, random_config, random_model

from dp_sim.model.potential import DeepPotential, Potential, set_precision


class TestDeepPotSE(ModelContract):
    corners_only = False

    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config()), CUTOFF)


class TestTwoSidedCosine(ModelContract):
    @classmethod
    def make(cls) -> Potential:
        config = random_config(one_side=False, switch="cosine", activation="silu", residual_timestep=True)
        return Potential(random_model(config), CUTOFF)


class TestRadial(ModelContract):
    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config(descriptor="radial", activation="gelu")), CUTOFF)


class TestFloat32(ModelContract):
    """Rounding of 6e-8 grows about tenfold on its way through the nets; test_precision.py measures it."""

    dtype = "float32"
    tolerance = 2e-5
    step, step_tolerance = 1e-2, 5e-3

    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config(precision="float32")), CUTOFF)


@pytest.mark.parametrize(
    ("settings", "dtype"), [({"precision": "float32"}, torch.float32), ({"precision": "float64"}, torch.float64)]
)
def test_precision_of_weights_and_of_the_energy_bias(settings: dict[str, str], dtype: torch.dtype) -> None:
    model = DeepPotential(random_config(**settings))
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert model.descriptor.environment.scale.dtype == dtype
    assert model.fitting.bias.dtype == torch.float64


def test_casting_keeps_the_energy_bias() -> None:
    model = random_model(random_config())
    bias = torch.tensor([-13.6057, -2041.3987654321, 0.1], dtype=torch.float64)
    model.fitting.bias.copy_(bias)
    set_precision(model, torch.float32)
    assert torch.equal(model.fitting.bias, bias)
    assert model.descriptor.environment.mean.dtype == torch.float32


def test_radial_does_not_know_angles_and_deeppot_se_does() -> None:
    """Two structures with the same distances from the centre and another angle between them."""
    from ase import Atoms
    from model_contract import open_model

    straight = Atoms("OHH", positions=[[0, 0, 0], [2.5, 0, 0], [-2.5, 0, 0]])
    bent = Atoms("OHH", positions=[[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0]])
    for descriptor, same in (("radial", True), ("deeppot-se", False)):
        model = open_model(Potential(random_model(random_config(descriptor=descriptor)), CUTOFF), "float64")
        of_centre = [float(model.evaluate(atoms, forces=False).atomic_energies[0]) for atoms in (straight, bent)]
        assert (abs(of_centre[0] - of_centre[1]) < 1e-12) is same
