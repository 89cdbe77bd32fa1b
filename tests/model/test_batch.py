"""Structures prepared together are what they are alone: pairs, numbers, warnings, and what is said of a bad one."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from model_contract import assert_same, open_model
from neighbor_pairs import pairs_of
from refusals import refused
from systems import CUTOFF, PERIODICITIES, random_config, random_model, structures

from dp_sim.compiled.library import register_operators
from dp_sim.errors import InputError
from dp_sim.model import evaluator
from dp_sim.model.crowding import warn_if_crowded
from dp_sim.model.evaluator import Model
from dp_sim.model.potential import Potential
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.structures import grouping

has_library = pytest.mark.skipif(register_operators() != "", reason=register_operators())
GOOD = structures()
FAR = Atoms("OHHO", positions=[[0, 0, 0], [0, 1, 0], [300, -400, 1e6], [300, -399, 1e6]])


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(Potential(random_model(random_config()), CUTOFF), "float64")


@pytest.fixture(params=[pytest.param("operators", marks=has_library), "vesin"])
def search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Pairs from the compiled operator, for all structures at once, or from vesin, for one after another."""
    if request.param == "vesin":
        monkeypatch.setattr(evaluator, "register_operators", lambda: "not here")
    return request.param


def check(model: Model, many: list[Atoms]) -> None:
    """Geometry to the last bit, with atoms and structures numbered on; pairs in any order within an atom."""
    together, pairs = model.prepare(many)
    start, first = 0, 0
    for number, atoms in enumerate(many):
        alone, own = model.prepare(atoms)
        here = slice(start, start + len(atoms))
        assert torch.equal(together.positions[here], alone.positions)
        assert torch.equal(together.species[here], alone.species)
        assert torch.equal(together.cell[number], alone.cell[0])
        assert bool((together.system[here] == number).all())
        of_it = slice(first, first + len(own.center))
        got = pairs.center[of_it] - start, pairs.neighbor[of_it] - start, pairs.shift[of_it]
        assert pairs_of(got) == pairs_of(tuple(own)), f"structure {number}: {atoms}"
        start, first = here.stop, of_it.stop
    assert (start, first) == (len(together.species), len(pairs.center))
    assert bool((pairs.center[1:] >= pairs.center[:-1]).all())


@pytest.mark.usefixtures("search")
def test_every_kind_of_structure(model: Model) -> None:
    check(model, [*GOOD.values(), FAR])


@has_library
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.tuples(st.sampled_from(PERIODICITIES), st.integers(1, 12)), min_size=1, max_size=6),
)
def test_random_mixtures(model: Model, seed: int, kinds: list[tuple[tuple[bool, ...], int]]) -> None:
    """Open ones, wires, slabs and bulk, each with a triclinic cell of its own and atoms inside and outside of it."""
    rng = np.random.default_rng(seed)
    many = []
    for pbc, atoms in kinds:
        cell = np.diag(rng.uniform(2.0, 9.0, 3)) + np.tril(rng.uniform(-1.0, 1.0, (3, 3)), -1)
        positions = rng.uniform(-0.5, 1.5, (atoms, 3)) @ cell
        many.append(Atoms(rng.choice([1, 8, 29], atoms), positions=positions, cell=cell, pbc=pbc))
    check(model, many)


@pytest.mark.usefixtures("search")
def test_energies_and_forces(model: Model) -> None:
    many = [GOOD[name] for name in ("TTF", "atom", "cluster", "TTT", "lonely", "cluster")]
    together, alone = model.evaluate(many, virial=True), [model.evaluate(atoms, virial=True) for atoms in many]
    for field in ("energy", "atomic_energies", "forces", "virial"):
        expected = torch.cat([getattr(output, field) for output in alone])
        assert_same(getattr(together, field), expected, 1e-12, field)


BAD = {
    "empty": Atoms(),
    "not known": Atoms("HNe", positions=[[0, 0, 0], [0, 0, 1]]),
    "no element": Atoms("HX", positions=[[0, 0, 0], [0, 0, 1]]),
    "nan": Atoms("HO", positions=[[0, 0, 0], [0, np.nan, 1]]),
    "far": Atoms("HO", positions=[[0, 0, 0], [0, 0, 1e9]]),
    "no positions": Atoms("HHO"),
    "cell": Atoms("H", cell=[np.nan, 3, 3], pbc=(False, True, True)),
    "flat": Atoms("H", cell=[[3, 0, 0], [3, 1e-9, 0], [0, 0, 3]], pbc=True),
    "dense": Atoms("H192", positions=np.random.default_rng(0).uniform(0, 0.1, (192, 3)), cell=[0.1] * 3, pbc=True),
    "one spot": Atoms("OHO", positions=[[0, 0, 3], [0, 0, 0], [0, 0, 0.009]]),
    "own image": Atoms("HO", positions=[[0, 0, 0], [0, 0, 5]], cell=[9, 9, 5], pbc=True),
}


def said(model: Model, many: Atoms | list[Atoms]) -> str:
    with pytest.raises(InputError) as caught:
        model.evaluate(many)
    return str(caught.value)


@pytest.mark.usefixtures("search")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_structure_is_named(model: Model, name: str) -> None:
    """The sentence is the one that it gets alone, its atoms counted from its own first; the first bad one counts."""
    alone = said(model, BAD[name])
    good = [GOOD["TTT"], GOOD["cluster"]]
    assert said(model, [*good, BAD[name], GOOD["atom"]]) == alone.replace("structure", "structure 2", 1)
    for other in ("nan", "one spot", "empty"):
        assert said(model, [BAD[name], *good, BAD[other]]) == alone.replace("structure", "structure 0", 1)


def test_one_atom_may_lie_at_the_origin(model: Model) -> None:
    many = [Atoms("H"), GOOD["cluster"], Atoms("O")]
    assert model.evaluate(many).energy.shape == (3,)


@pytest.mark.parametrize("wrong", ["water.xyz", None, 3, [None], ["a", "b"]])
def test_what_is_no_structure_is_refused(model: Model, wrong: Any) -> None:
    with refused("structure-kind", "ase.Atoms"):
        model.evaluate(wrong)
    with refused("structure-kind", "0", "ase.Atoms"):
        list(model.evaluate_each(wrong))


def test_atomic_numbers_are_not_rounded(model: Model) -> None:
    water = SimpleNamespace(numbers=[1.0, 8.5], positions=np.eye(3)[:2], cell=np.zeros((3, 3)), pbc=[False] * 3)
    with refused("element-invalid"):
        model.evaluate(water)


def test_crowded_structures_are_named(model: Model) -> None:
    """Each that has more neighbours of a species than the model has slots for; the others not."""
    config = {"cutoff": CUTOFF, "parts": [{"cutoff": CUTOFF, "sel": (0, 40, 40)}]}
    oxygen, hydrogen = Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.5]]), Atoms("H2", positions=[[0, 0, 0], [0, 0, 1]])
    batch, pairs = model.prepare([hydrogen, oxygen, hydrogen])
    with pytest.warns(UserWarning, match="at most 0") as caught:
        warn_if_crowded(config, batch, pairs, ("H", "O", "Cu"), ["a", "b", "c"])
    assert [re.sub(":.*", "", str(warning.message)) for warning in caught] == ["a", "c"]
    with pytest.warns(UserWarning, match=r"^a: an atom has 1 neighbours H"):
        warn_if_crowded(config, *model.prepare(hydrogen), ("H", "O", "Cu"), ["a"])


@has_library
def test_atoms_that_are_not_sorted_by_system() -> None:
    cell = 9.0 * torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    positions, pbc = torch.zeros(2, 3, dtype=torch.float64), torch.ones(2, 3, dtype=torch.bool)
    with pytest.raises(RuntimeError, match="not sorted by system"):
        CompiledSearch(3.0).of_systems(positions, cell, pbc, torch.tensor([1, 0]))


@pytest.mark.parametrize("at_once", [1, 9, 10_000])
def test_each_of_many(model: Model, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One output a structure, whichever go together; a structure larger than a batch is one of its own."""
    monkeypatch.setattr(grouping, "ATOMS_AT_ONCE", at_once)
    many = [GOOD[name] for name in ("TTF", "atom", "lonely", "cluster", "TTT")]
    model = Model([*model.modules] * 2, [*model.members] * 2, "cpu")
    for atoms, output in zip(many, model.evaluate_each(many, virial=True), strict=True):
        for field, got, expected in zip(output._fields, output, model.evaluate(atoms, virial=True), strict=True):
            assert_same(got, expected, 1e-12, field)
    many[3] = BAD["one spot"]
    with refused("atoms-coincide", "1", "2"):
        list(model.evaluate_each(many, names=["a", "b", "c", "the fourth", "e"]))
    with refused("atoms-coincide", "3", "1", "2"):
        list(model.evaluate_each(many))


def test_each_of_one_structure_and_of_any_iterable(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of files hands structures out one after another; no more of them than a batch are taken at a time."""
    monkeypatch.setattr(grouping, "ATOMS_AT_ONCE", 8)
    taken = 0

    def read() -> Iterator[Atoms]:
        nonlocal taken
        for _ in range(5):
            taken += 1
            yield GOOD["TTT"]  # 4 atoms

    outputs = model.evaluate_each(read())
    next(outputs)
    assert taken == 3
    assert len(list(outputs)) == 4
    assert [output.energy.item() for output in model.evaluate_each(GOOD["TTT"])] == [model.evaluate(GOOD["TTT"]).energy]
    assert list(model.evaluate_each([])) == []
    with pytest.raises(ValueError, match="shorter"):
        list(model.evaluate_each([GOOD["TTT"]] * 2, names=["a"]))


@pytest.mark.parametrize("wrong", [{"cell": np.ones(3)}, {"cell": None}, {"pbc": True}])
def test_arrays_of_wrong_shape(model: Model, wrong: dict[str, object]) -> None:
    """Other things than ase.Atoms may be evaluated, and these have what shapes they like."""
    good = {"numbers": [1], "positions": np.ones((1, 3)), "cell": np.eye(3), "pbc": [False] * 3}
    for many in ([SimpleNamespace(**{**good, **wrong})], [GOOD["TTT"], SimpleNamespace(**{**good, **wrong})]):
        with refused("cell-shape", "3"):
            model.evaluate(many)
