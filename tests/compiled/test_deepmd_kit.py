"""Models with a mean, excluded pairs and several parts on the compiled path, as trained and compressed.

tests/deepmd and tests/world compare with what DeePMD-kit computes for such models; the laws hold there for a hybrid
with embedding nets.
"""

import pytest
import torch
from deepmd_random import ANGULAR, RADIAL, deepmd_model, part
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_contract import STRUCTURES, ModelContract, assert_same, on_path, open_model
from systems import CUTOFF

from dp_sim.compiled import library
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.model.compression import compress
from dp_sim.model.evaluator import Model
from dp_sim.model.potential import DeepPotential, Potential

pytestmark = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())

#: Each has its own nets and statistics; the second drops pairs, the third has a protected 1/r.
HYBRID = (
    part(ANGULAR),
    part(ANGULAR, cutoff=3.1, switch_start=1.5, one_side=False, dropped=((0, 1), (2, 2)), activation="silu"),
    part(RADIAL, protection=0.3),
)


def opened(model: DeepPotential, compiled: bool, dtype: str = "float64") -> Model:
    potential = Potential(model, CUTOFF).eval().requires_grad_(False)
    return on_path(open_model(potential, dtype), potential, compiled)


class TestCompressedFloat32(ModelContract):
    compiled = True
    dtype = "float32"
    tolerance = 2e-5
    step, step_tolerance = 1e-2, 5e-3

    @classmethod
    def make(cls) -> Potential:
        return Potential(compress(deepmd_model(*HYBRID, precision="float32"), spacing=0.01)[0], CUTOFF)


pairs_of_species = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2)).map(sorted).map(tuple), max_size=3)
any_part = st.builds(
    part,
    st.sampled_from([ANGULAR, RADIAL]),
    cutoff=st.sampled_from([CUTOFF, 2.7]),
    one_side=st.booleans(),
    shifted=st.booleans(),
    excluded=pairs_of_species.map(tuple),
    dropped=pairs_of_species.map(tuple),
    protection=st.sampled_from([0.0, 0.2]),
    residual_timestep=st.booleans(),
)


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=st.lists(any_part, min_size=1, max_size=3),
    tabulated=st.booleans(),
    precision=st.sampled_from(["float64", "float32"]),
    seed=st.integers(0, 9),
)
def test_same_numbers_as_the_other_path(
    parts: list[dict[str, object]], tabulated: bool, precision: str, seed: int
) -> None:
    model = deepmd_model(*parts, precision=precision, seed=seed)
    model = compress(model, spacing=0.02)[0] if tabulated else model
    fast, plain = (opened(model, compiled, precision) for compiled in (True, False))
    for name in ("TTT", "cluster", "FTF", "lonely"):
        got, expected = (m.evaluate(STRUCTURES[name], virial=True) for m in (fast, plain))
        for field in ("energy", "atomic_energies", "forces", "virial"):
            tolerance = 1e-12 if precision == "float64" else 1e-4
            assert_same(getattr(got, field), getattr(expected, field), tolerance, f"{field} of {name}")


@pytest.mark.parametrize("kind", [ANGULAR, RADIAL])
def test_compressed_models_give_the_same_numbers(kind: dict[str, object]) -> None:
    """Excluded pairs with a mean too: there the place of such a neighbour is not a padded one."""
    model = deepmd_model(part(kind, excluded=((0, 1), (2, 2))), HYBRID[1], seed=3)
    exact, small = opened(model, compiled=False), opened(compress(model)[0], compiled=True)
    for name in ("TTT", "cluster"):
        got, expected = (m.evaluate(STRUCTURES[name], virial=True) for m in (small, exact))
        for field in ("energy", "atomic_energies", "forces", "virial"):
            assert_same(getattr(got, field), getattr(expected, field), 1e-8, f"{field} of {name}")
    assert_same(small.hessian(STRUCTURES["TTF"]), exact.hessian(STRUCTURES["TTF"]), 1e-6, "Hessian")


@pytest.mark.parametrize("alone", [True, False])
def test_angles_have_no_compiled_form(alone: bool) -> None:
    """Nor has a hybrid with them; it runs in TorchScript."""
    three_body = part({"kind": "se_e3", "embedding": (4, 8)}, shifted=False)
    model = deepmd_model(*([three_body] if alone else [part(ANGULAR), three_body]))
    assert compiled_layout(model.descriptor) is None
    assert open_model(Potential(model, CUTOFF).requires_grad_(False), "float64").compiled == [None]


def test_an_atom_with_more_neighbours_than_slots() -> None:
    """The number of free slots is negative then, and the term of a padded slot is subtracted."""
    model = deepmd_model(part(ANGULAR, sel=(1, 1, 1)))
    fast, plain = (opened(model, compiled).evaluate(STRUCTURES["TTT"]) for compiled in (True, False))
    assert_same(fast.forces, plain.forces, 1e-13, "forces")
    assert torch.unique(fast.atomic_energies).numel() == 4
