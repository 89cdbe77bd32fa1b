"""The compiled Hessian and its products: equal to automatic differentiation for every kind of model that it serves."""

import numpy as np
import pytest
import torch
from ase import Atoms
from deepmd_random import ANGULAR, RADIAL, deepmd_model, part
from model_contract import STRUCTURES, open_model
from refusals import refused
from systems import CUTOFF, random_config, random_model

from dp_sim.compiled import library
from dp_sim.model.compression import compress
from dp_sim.model.evaluator import Model
from dp_sim.model.potential import DeepPotential, Potential
from dp_sim.model.second_derivatives import Differentiated
from dp_sim.networks.activations import ACTIVATIONS, make_activation

pytestmark = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())
#: In TTT and TTF, four atoms in a small cell, atoms see several images of others and of themselves.
NAMES = ("cluster", "TTT", "TTF")
SETTINGS = [
    {"activation": "tanh"},
    {"switch": "cosine", "one_side": False},
    {"descriptor": "radial"},
    {"axis_width": 1, "embedding": (1,), "fitting": (1,)},
    {"embedding": (25, 50, 100), "axis_width": 16, "fitting": (30, 30, 30), "residual_timestep": True},
    {"fitting": (9, 18, 18, 5), "residual_timestep": True},  # layers that hand their input on, once and twice
    {"fitting": (20,), "embedding": (10, 20), "axis_width": 1, "residual_timestep": True},  # the first layer does
    {"fitting": (20, 20), "embedding": (10, 20), "axis_width": 1, "residual_timestep": True},
]
DEEPMD = [
    [part(ANGULAR)],
    [part(ANGULAR, shifted=False, protection=0.3)],
    [part(ANGULAR, excluded=((0, 1),)), part(RADIAL)],
    [part(RADIAL, protection=0.2)],
]


def opened(network: DeepPotential, dtype: str = "float64") -> Model:
    return open_model(Potential(network, CUTOFF).eval().requires_grad_(False), dtype)


def assert_exact(model: Model) -> None:
    """To 1e-9 of its largest number; the method is the compiled one."""
    module = model.modules[0]
    differentiated = Differentiated(lambda batch, pairs: module(*batch, *pairs))
    assert model.second_derivatives[0].method == "compiled"
    for name in NAMES:
        structure = STRUCTURES[name]
        batch, pairs = model.prepare(structure)
        expected = differentiated.rows(batch, pairs, np.arange(len(structure))).toarray()
        scale = np.abs(expected).max()
        assert scale > 1e-4, "the test needs a curvature"
        np.testing.assert_allclose(model.hessian(structure).numpy(), expected, rtol=0, atol=1e-9 * scale)
        vectors = np.random.default_rng(0).normal(size=(3, len(structure), 3))
        products = (expected @ vectors.reshape(3, -1).T).T.reshape(vectors.shape)
        np.testing.assert_allclose(model.hessian_product(structure, vectors), products, rtol=0, atol=1e-8 * scale)


@pytest.mark.parametrize("settings", SETTINGS)
def test_networks(settings: dict[str, object]) -> None:
    assert_exact(opened(random_model(random_config(**settings))))


@pytest.mark.parametrize("activation", [*sorted(ACTIVATIONS), "silut:0.1"])
def test_activations(activation: str) -> None:
    model = random_model(random_config())
    for layer in [module for module in model.modules() if hasattr(module, "activation")]:
        layer.activation = make_activation(activation)
    assert_exact(opened(model))


@pytest.mark.parametrize("settings", [{}, {"descriptor": "radial"}, {"switch": "cosine"}])
def test_tables(settings: dict[str, object]) -> None:
    assert_exact(opened(compress(random_model(random_config(**settings)), spacing=0.02)[0]))


@pytest.mark.parametrize("parts", DEEPMD)
@pytest.mark.parametrize("tabulated", [False, True])
def test_models_of_deepmd_kit(parts: list[dict[str, object]], tabulated: bool) -> None:
    """Means, excluded pairs that take a place, a protected 1/r, several parts."""
    model = deepmd_model(*parts)
    assert_exact(opened(compress(model, spacing=0.02)[0] if tabulated else model))


def test_float32_weights_are_differentiated_in_float64() -> None:
    model = random_model(random_config(precision="float32"))
    single = opened(model, "float32")
    model.double()
    double = opened(model)
    for name in NAMES:
        assert torch.equal(single.hessian(STRUCTURES[name]), double.hessian(STRUCTURES[name]))


def test_rows_of_some_atoms_are_those_of_the_whole() -> None:
    model = opened(random_model(random_config()))
    for indices in ([2], [3, 0], [], [0, 1, 2, 3]):
        rows = (3 * np.array(indices, dtype=int)[:, None] + np.arange(3)).ravel()
        whole = model.hessian(STRUCTURES["TTT"])
        torch.testing.assert_close(model.hessian(STRUCTURES["TTT"], indices), whole[rows], rtol=0, atol=1e-12)


def test_atoms_without_a_common_neighbour_have_no_block() -> None:
    """A chain of ten cutoffs: memory grows with the number of atoms, not with its square."""
    chain = Atoms("O40", positions=[[CUTOFF / 4 * k, 0, 0] for k in range(40)])
    hessian = opened(random_model(random_config())).sparse_hessian(chain)
    far = [(row // 3, column // 3) for row, column in zip(*hessian.nonzero(), strict=True)]
    assert max(abs(i - j) for i, j in far) <= 8
    assert hessian.nnz < 9 * 40 * 17


def test_equal_bits_whatever_the_number_of_threads() -> None:
    model = opened(random_model(random_config()))
    liquid = STRUCTURES["TTT"].repeat((2, 2, 1))
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(model.hessian(liquid))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_an_atom_alone_has_no_curvature() -> None:
    model = opened(random_model(random_config()))
    assert not model.hessian(Atoms("O")).any()
    assert not model.hessian_product(Atoms("O"), np.ones((1, 3))).any()


@pytest.mark.parametrize("indices", [[4], [-1], [0, 0], [0.5], [[0]]])
def test_indices_that_are_no_atoms_are_refused(indices: list[object]) -> None:
    with refused("hessian-indices", "0 to 3"):
        opened(random_model(random_config())).hessian(STRUCTURES["TTT"], indices)  # type: ignore[arg-type]


@pytest.mark.parametrize("vectors", [np.ones(12), np.ones((3, 3)), np.full((4, 3), np.nan)])
def test_vectors_that_do_not_fit_are_refused(vectors: np.ndarray) -> None:
    with refused("hessian-vectors", "(4, 3)"):
        opened(random_model(random_config())).hessian_product(STRUCTURES["TTT"], vectors)
