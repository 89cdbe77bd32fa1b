"""What float32 costs: the same weights in both precisions, on structures of every kind."""

import itertools

import numpy as np
import pytest
import torch
from ase import Atoms
from model_contract import open_model
from systems import CUTOFF, SPECIES, random_config, random_model

from dp_sim.model.evaluator import Model
from dp_sim.model.potential import DeepPotential, Potential

# A rounding of 2^-24 = 6e-8 in every operation; over layers of up to 240 terms and 30 neighbours it gathers to about
# 1e-6 of the largest force (measured: 3e-7 to 2e-6 over seeds). Ten times that is a fault, not rounding.
FORCE_ERROR = 1e-5
# The nets' part of an atomic energy is of order 1 eV, so 1e-6 of it is 1e-6 eV an atom.
ATOMIC_ENERGY_ERROR = 1e-5


def both_precisions(seed: int, bias: float = 0.0) -> tuple[Model, Model]:
    """The float32 model, and one of float64 that starts from the very same (rounded) weights and statistics."""
    size = {"embedding": (25, 50, 100), "axis_width": 16, "fitting": (120, 120)}
    single = random_model(random_config(**size, precision="float32"), seed)
    single.fitting.bias.fill_(bias)
    double = DeepPotential(random_config(**size))
    double.load_state_dict(single.state_dict())
    potentials = (Potential(m, CUTOFF).eval().requires_grad_(False) for m in (single, double))
    first, second = (open_model(p, d) for p, d in zip(potentials, ("float32", "float64"), strict=True))
    return first, second


def liquid(seed: int) -> Atoms:
    """27 atoms near the points of a grid, 7 Angstrom across."""
    places = np.array(list(itertools.product(range(3), repeat=3))) * 7.0 / 3
    jitter = np.random.default_rng(seed).uniform(-0.4, 0.4, size=(27, 3))
    return Atoms("OH2" * 8 + "Cu3", positions=places + jitter, cell=7.0 * np.eye(3), pbc=True)


@pytest.mark.parametrize("seed", range(4))
def test_cost_of_float32(seed: int) -> None:
    single, double = (m.evaluate(liquid(seed), virial=True) for m in both_precisions(seed))
    assert single.forces is not None
    assert double.forces is not None
    forces = float((single.forces - double.forces).abs().max() / double.forces.abs().max())
    energies = float((single.atomic_energies - double.atomic_energies).abs().max())
    assert 0 < forces < FORCE_ERROR, "exactly equal forces mean that float32 was not used"
    assert 0 < energies < ATOMIC_ENERGY_ERROR


def test_the_bias_costs_nothing() -> None:
    """An atom of -50 000 eV: in float32 its energy would be off by 4 meV. It is added in float64."""
    atoms = liquid(0)
    without, with_bias = (both_precisions(0, bias)[0].evaluate(atoms).energy.item() for bias in (0.0, -50_000.0))
    assert with_bias - without == pytest.approx(-50_000.0 * len(atoms), abs=1e-8)


def test_far_from_the_origin() -> None:
    """Differences are taken in float64: a structure 1e5 Angstrom away is no worse in float32 than one at home."""
    model, _ = both_precisions(1)
    near, far = Atoms(liquid(1)), Atoms(liquid(1))
    far.positions += [1e5, -1e5, 3e4]
    home, away = model.evaluate(near), model.evaluate(far)
    torch.testing.assert_close(home.energy, away.energy, atol=1e-5, rtol=0)
    torch.testing.assert_close(home.forces, away.forces, atol=1e-5, rtol=0)


def test_outputs_are_float64() -> None:
    output = both_precisions(0)[0].evaluate(liquid(0), virial=True)
    assert {value.dtype for value in output if value is not None} == {torch.float64}
    assert len(SPECIES) == 3
