"""The whole model of eq. 3-11 once more, in plain numpy: loops over atoms and neighbours, straight from the weights."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from model_contract import open_model
from systems import CUTOFF, SPECIES, brute_force_pairs, random_config, random_model, structures

from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.embedding import sum_over_neighbors
from dp_sim.model.potential import DeepPotential, Potential

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


class PlainDeepPotential:
    """Atomic energies from the numbers of `state_dict`, by the equations of the paper."""

    R = "descriptor.environment"

    def __init__(self, config: ModelConfig, model: DeepPotential) -> None:
        self.config = config
        self.numbers = {key: value.numpy() for key, value in model.state_dict().items()}

    def network(self, prefix: str, x: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
        for layer, width in enumerate(widths):
            name = f"{prefix}.layers.{layer}"
            y = FUNCTIONS[self.config.activation](x @ self.numbers[f"{name}.weight"] + self.numbers[f"{name}.bias"])
            if f"{name}.step" in self.numbers:
                y = y * self.numbers[f"{name}.step"]
            if width == len(x):
                y = y + x
            elif width == 2 * len(x):
                y = y + np.concatenate([x, x])
            x = y
        return x

    def weight(self, r: float) -> float:
        """s(r), eq. 9 and DeePMD-kit's."""
        u = (r - self.config.switch_start) / (self.config.cutoff - self.config.switch_start)
        if u < 0:
            return 1 / r
        if self.config.switch == "cosine":
            return (0.5 * np.cos(np.pi * u) + 0.5) / r
        return (u**3 * (-6 * u**2 + 15 * u - 10) + 1) / r

    def embedding(self, s: float, center: int, neighbor: int) -> np.ndarray:
        index = neighbor if self.config.one_side else center * len(self.config.species) + neighbor
        x = np.array([(s - self.numbers[f"{self.R}.mean"][center]) / self.numbers[f"{self.R}.deviation"][center]])
        return self.network(f"descriptor.embedding.nets.{index}", x, self.config.embedding)

    def descriptor(self, center: int, neighbors: list[tuple[int, np.ndarray]]) -> np.ndarray:
        """D of eq. 11: rows of G and R~ one neighbour after another, then (G1)^T R~ (R~)^T G2."""
        m1, m2 = self.config.embedding[-1], self.config.axis_width
        g, rows = np.zeros((len(neighbors), m1)), np.zeros((len(neighbors), 4))
        for k, (species, vector) in enumerate(neighbors):
            r = float(np.linalg.norm(vector))
            s = self.weight(r)
            rows[k] = np.array([s, *(s * vector / r)]) / self.numbers[f"{self.R}.scale"][center]
            g[k] = self.embedding(s, center, species)
        if self.config.descriptor == "radial":
            return np.array([sum(rows[k, 0] * g[k, m] for k in range(len(neighbors))) for m in range(m1)])
        return (g.T @ rows @ rows.T @ g[:, :m2]).ravel()

    def atomic_energies(self, atoms: Atoms) -> np.ndarray:
        species = [SPECIES.index(symbol) for symbol in atoms.symbols]
        cell = np.where(atoms.pbc[:, None], np.asarray(atoms.cell), 0.0)
        neighbors: list[list[tuple[int, np.ndarray]]] = [[] for _ in atoms]
        for i, j, *shift in brute_force_pairs(atoms, self.config.cutoff):
            neighbors[i].append((species[j], atoms.positions[j] - atoms.positions[i] + np.array(shift) @ cell))
        energies = []
        for center, around in zip(species, neighbors, strict=True):
            hidden = self.network(f"fitting.nets.{center}", self.descriptor(center, around), self.config.fitting)
            last = self.numbers[f"fitting.last.{center}.weight"] @ hidden + self.numbers[f"fitting.last.{center}.bias"]
            energies.append(last[0] + self.numbers["fitting.bias"][center])
        return np.array(energies)


VARIANTS = {
    "paper": {"switch": "cosine", "one_side": False},
    "one-sided": {"residual_timestep": True},
    "radial": {"descriptor": "radial", "activation": "silu"},
    "softplus, no skip": {"activation": "softplus", "embedding": (5, 7), "axis_width": 7, "fitting": (9, 4)},
    "sigmoid": {"activation": "sigmoid", "switch_start": 0.0},
}


@pytest.mark.parametrize("name", ["cluster", "TTT", "TTF", "primitive", "atom", "lonely"])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_atomic_energies_are_those_of_the_equations(variant: str, name: str) -> None:
    config = random_config(**VARIANTS[variant])
    model = random_model(config, seed=4)
    atoms = structures()[name]
    got = open_model(Potential(model, CUTOFF), "float64").evaluate(atoms, forces=False).atomic_energies
    np.testing.assert_allclose(got, PlainDeepPotential(config, model).atomic_energies(atoms), rtol=1e-11)


def test_the_energy_depends_on_surroundings() -> None:
    """Without this the comparison above could pass on bias terms alone."""
    model = open_model(Potential(random_model(random_config()), CUTOFF), "float64")
    energies = model.evaluate(structures()["cluster"], forces=False).atomic_energies
    of_hydrogen = energies[structures()["cluster"].numbers == 1]
    assert float(of_hydrogen.std()) > 1e-2


def test_sum_over_neighbors_with_uneven_counts() -> None:
    """Atoms with 2, 0 and 1 neighbours: plain loops give the same sums."""
    generator = torch.Generator().manual_seed(0)
    rows, embedded = torch.randn(3, 4, generator=generator), torch.randn(3, 5, generator=generator)
    center = torch.tensor([0, 0, 2])
    expected = torch.zeros(3, 4, 5)
    for p in range(3):
        expected[center[p]] += torch.outer(rows[p], embedded[p])
    torch.testing.assert_close(sum_over_neighbors(rows, embedded, center, 3), expected)
    none = torch.zeros(0, dtype=torch.int64)
    assert torch.equal(sum_over_neighbors(rows[:0], embedded[:0], none, 3), torch.zeros(3, 4, 5))
