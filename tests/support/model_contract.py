"""The laws that every model obeys. A test class inherits ModelContract and says which model it is about.

    class TestMyModel(ModelContract):
        @classmethod
        def make(cls) -> Potential: ...

The energy is a function of the distances between atoms and of nothing else; what follows from it is tested here. Random
turns come from hypothesis, which prints the one that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from finite_difference import finite_difference_forces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from systems import CUTOFF, SPECIES, structures

from dp_sim.compiled.potential import CompiledPotential
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.model.evaluator import Model
from dp_sim.model.metadata import ModelMetadata
from dp_sim.model.potential import Potential
from dp_sim.structures.batch import AtomicBatch, ModelOutput
from dp_sim.torchscript import from_bytes, script, to_bytes

STRUCTURES = structures()
PERIODIC = [name for name, atoms in STRUCTURES.items() if atoms.pbc.any()]

OPEN = [name for name, atoms in STRUCTURES.items() if not atoms.pbc.all()]
Cases = dict[str, tuple[str, list[Any], list[Any]]]
#: The cases of each law: all of them, and the corners. DeepPot-SE meets all of them on either path
#: (tests/model/test_potential.py, tests/compiled/test_evaluation.py). For every other descriptor, whose neighbours come
#: from the same search, the corners suffice.
CASES: Cases = {
    "test_another_choice_of_lattice_vectors": ("name", PERIODIC, ["TTF", "TTT"]),
    "test_cell_along_open_axes_does_not_matter": (
        "name, vacuum",
        [(name, vacuum) for name in OPEN for vacuum in ("none", "wide", "aslant")],
        [("cluster", "wide"), ("FTF", "aslant"), ("TTF", "none")],
    ),
    "test_two_distant_copies_have_twice_the_energy": ("name", OPEN, ["cluster", "TTF"]),
    "test_supercell": ("name", PERIODIC, ["FTF", "primitive"]),
    "test_order_of_pairs_of_an_atom_does_not_matter": ("order", ["reversed", "shuffled"], ["shuffled"]),
    "test_forces_are_the_gradient": ("name", ["cluster", "TTT", "TTF", "FTF", "primitive"], ["cluster", "TTT"]),
    "test_virial_is_the_strain_derivative": (
        "name",
        ["cluster", "TTT", "TTF", "TFT", "FFT", "primitive"],
        ["TTF", "primitive"],
    ),
    "test_hessian_is_the_derivative_of_the_forces": ("name", ["cluster", "TTT"], ["TTT"]),
    "test_continuous_as_an_atom_crosses_the_cutoff": ("quantity", ["energy", "forces", "virial"], ["forces", "virial"]),
    "test_script_equals_eager": ("name", ["cluster", "TTF", "atom"], ["TTF"]),
}

few_random_turns = settings(
    max_examples=8,
    deadline=None,  # no timed assertions
    database=None,
    # A contract is inherited: the same test runs in several classes.
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture],
)
quaternions = st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1)
vectors = st.tuples(*[st.floats(-30.0, 30.0)] * 3)
names = st.sampled_from(sorted(STRUCTURES))


def open_model(potential: torch.nn.Module, dtype: str) -> Model:
    """A potential, scripted or not, as `load_model` hands it out."""
    return Model([potential], [ModelMetadata(SPECIES, CUTOFF, dtype, {}, "", "")], "cpu")


def on_path(model: Model, potential: Potential, compiled: bool) -> Model:
    """The model on the compiled path (dp_sim.compiled.evaluation) or without it.

    Not scripted: TorchScript compiles anew for each kind of structure, which in tests is all it would do."""
    layout = compiled_layout(potential.model.descriptor) if compiled else None
    assert not compiled or isinstance(model.compiled[0], torch.jit.ScriptModule)
    model.compiled = [None if layout is None else CompiledPotential(potential.model.fitting, layout)]  # type: ignore[list-item]
    return model


def assert_same(got: Any, expected: Any, tolerance: float, what: str) -> None:
    """Largest deviation at most `tolerance` times the larger of 1 and the largest value expected."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, expected {expected.shape}"
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    deviation = float(np.abs(got - expected).max(initial=0.0))
    assert deviation <= tolerance * scale, f"{what} is off by {deviation:.3e} where {tolerance * scale:.3e} is allowed"


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """Positions and cell under an orthogonal matrix: x -> x matrix^T."""
    copy = atoms.copy()
    copy.set_cell(np.asarray(atoms.cell) @ matrix.T)
    copy.positions = atoms.positions @ matrix.T
    return copy


class ModelContract:
    """The laws. `tolerance` is relative to the largest value compared; `step` and its tolerance: finite differences."""

    dtype = "float64"
    compiled = False  # whether on the compiled path
    tolerance = 1e-10
    step, step_tolerance = 1e-4, 1e-6
    cases: ClassVar[Cases] = CASES
    corners_only = True  # false for the one model that meets every case

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each law its cases."""
        names, everything, corners = self.cases.get(metafunc.function.__name__, ("", [], []))
        if names and set(names.split(", ")) <= set(metafunc.fixturenames):
            metafunc.parametrize(names, corners if self.corners_only else everything)

    @classmethod
    def make(cls) -> Potential:
        """The model under test, eager, for SPECIES and CUTOFF of systems.py."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def potential(cls) -> Potential:
        return cls.make().eval().requires_grad_(False)

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, potential: Potential) -> Model:
        return on_path(open_model(potential, cls.dtype), potential, cls.compiled)

    def same(self, got: ModelOutput, expected: ModelOutput, turn: np.ndarray | None = None) -> None:
        matrix = np.eye(3) if turn is None else turn
        assert expected.forces is not None
        assert expected.virial is not None
        assert_same(got.energy, expected.energy, self.tolerance, "energy")
        assert_same(got.atomic_energies, expected.atomic_energies, self.tolerance, "atomic energies")
        assert_same(got.forces, expected.forces.numpy() @ matrix.T, self.tolerance, "forces")
        assert_same(got.virial, matrix @ expected.virial.numpy() @ matrix.T, self.tolerance, "virial")

    def evaluate(self, model: Model, atoms: Atoms) -> ModelOutput:
        return model.evaluate(atoms, forces=True, virial=True)

    # ---- symmetries -----------------------------------------------------------------------------------------------

    @few_random_turns
    @given(name=names, shift=vectors)
    def test_translation(self, model: Model, name: str, shift: tuple[float, float, float]) -> None:
        moved = STRUCTURES[name].copy()
        moved.positions += shift
        self.same(self.evaluate(model, moved), self.evaluate(model, STRUCTURES[name]))

    @few_random_turns
    @given(name=names, quaternion=quaternions, mirrored=st.booleans())
    def test_rotation_and_reflection(self, model: Model, name: str, quaternion: list[float], mirrored: bool) -> None:
        matrix = Rotation.from_quat(quaternion).as_matrix() * (-1.0 if mirrored else 1.0)
        self.same(
            self.evaluate(model, turned(STRUCTURES[name], matrix)), self.evaluate(model, STRUCTURES[name]), matrix
        )

    @few_random_turns
    @given(name=names, data=st.data())
    def test_permutation(self, model: Model, name: str, data: st.DataObject) -> None:
        atoms = STRUCTURES[name]
        order = data.draw(st.permutations(range(len(atoms))), label="order")
        expected = self.evaluate(model, atoms)
        assert expected.forces is not None
        reordered = expected._replace(atomic_energies=expected.atomic_energies[order], forces=expected.forces[order])
        self.same(self.evaluate(model, atoms[order]), reordered)

    @few_random_turns
    @given(name=st.sampled_from(PERIODIC), data=st.data())
    def test_lattice_vectors_added_to_atoms(self, model: Model, name: str, data: st.DataObject) -> None:
        atoms = STRUCTURES[name].copy()
        whole = st.lists(st.integers(-4, 4), min_size=3, max_size=3)
        shifts = np.array(data.draw(st.lists(whole, min_size=len(atoms), max_size=len(atoms)), label="shifts"))
        atoms.positions += (shifts * atoms.pbc) @ np.asarray(atoms.cell)
        self.same(self.evaluate(model, atoms), self.evaluate(model, STRUCTURES[name]))

    def test_another_choice_of_lattice_vectors(self, model: Model, name: str) -> None:
        """A periodic vector may get any whole multiple of another periodic one: it spans the same lattice."""
        atoms = STRUCTURES[name].copy()
        periodic = np.flatnonzero(atoms.pbc)
        cell = np.array(atoms.cell)
        for a, b in zip(periodic[1:], periodic[:-1], strict=True):
            cell[a] += 2 * cell[b]
        cell[periodic[0]] *= -1.0
        atoms.set_cell(cell)
        self.same(self.evaluate(model, atoms), self.evaluate(model, STRUCTURES[name]))

    def test_cell_along_open_axes_does_not_matter(self, model: Model, name: str, vacuum: str) -> None:
        atoms = STRUCTURES[name].copy()
        cell, open_axes = np.array(atoms.cell), ~atoms.pbc
        cell[open_axes] = {"none": 0.0 * cell, "wide": 40.0 * cell, "aslant": cell[::-1] + 0.5}[vacuum][open_axes]
        atoms.set_cell(cell)
        self.same(self.evaluate(model, atoms), self.evaluate(model, STRUCTURES[name]))

    # ---- sums over atoms -------------------------------------------------------------------------------------------

    def test_two_distant_copies_have_twice_the_energy(self, model: Model, name: str) -> None:
        one = STRUCTURES[name]
        axis = int(np.flatnonzero(~one.pbc)[0])
        away = np.linalg.svd(np.asarray(one.cell)[one.pbc])[2][-1] if one.pbc.any() else np.eye(3)[axis]
        other = one.copy()
        other.positions += 200.0 * away
        single, double = self.evaluate(model, one), self.evaluate(model, one + other)
        assert single.forces is not None
        assert_same(double.energy, 2 * single.energy.numpy(), self.tolerance, "energy")
        assert_same(double.forces, np.tile(single.forces.numpy(), (2, 1)), self.tolerance, "forces")

    def test_supercell(self, model: Model, name: str) -> None:
        atoms = STRUCTURES[name]
        times = np.where(atoms.pbc, (2, 1, 3), 1)
        n = int(np.prod(times))
        single, repeated = self.evaluate(model, atoms), self.evaluate(model, atoms.repeat(times))
        assert single.forces is not None
        assert single.virial is not None
        assert_same(repeated.energy, n * single.energy.numpy(), self.tolerance, "energy")
        assert_same(repeated.forces, np.tile(single.forces.numpy(), (n, 1)), self.tolerance, "forces")
        assert_same(repeated.virial, n * single.virial.numpy(), self.tolerance, "virial")

    def test_a_batch_is_its_structures_one_by_one(self, model: Model) -> None:
        together = self.evaluate(model, list(STRUCTURES.values()))  # type: ignore[arg-type]
        singly = [self.evaluate(model, atoms) for atoms in STRUCTURES.values()]
        joined = ModelOutput(*(torch.cat([getattr(o, f) for o in singly]) for f in ModelOutput._fields[:4]))
        self.same(together, joined)

    def test_order_of_pairs_of_an_atom_does_not_matter(self, model: Model, potential: Potential, order: str) -> None:
        """Sums over neighbours know no order; pairs stay sorted by their centre, as NeighborList asks."""
        batch, pairs = model.prepare(STRUCTURES["TTT"])
        key = torch.arange(len(pairs.center)).flip(0) if order == "reversed" else torch.randperm(len(pairs.center))
        mixed = torch.argsort(pairs.center[key], stable=True)
        moved = [field[key][mixed] for field in pairs]
        assert not torch.equal(moved[1], pairs.neighbor)
        fast = model.compiled[0]
        energies = potential if fast is None else lambda *fields: fast.energies_and_forces(*fields)[0]
        assert_same(energies(*batch, *moved), energies(*batch, *pairs), self.tolerance, "atomic energies")

    def test_atoms_without_neighbours_feel_nothing(self, model: Model) -> None:
        for name in ("atom", "lonely"):
            output = self.evaluate(model, STRUCTURES[name])
            assert bool(torch.isfinite(output.energy).all())
            assert output.forces is not None
            assert output.virial is not None
            assert not output.forces.any()
            assert not output.virial.any()
            assert not model.hessian(STRUCTURES[name]).any()
        alone = Atoms("O", positions=[[0.0, 0.0, 0.0]])
        with_hydrogen = self.evaluate(model, STRUCTURES["lonely"]).atomic_energies[1]
        assert float(with_hydrogen) == pytest.approx(float(self.evaluate(model, alone).energy), rel=1e-12)

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def test_forces_are_the_gradient(self, model: Model, name: str) -> None:
        atoms = STRUCTURES[name].copy()

        def energy(positions: np.ndarray) -> float:
            atoms.positions = positions
            return model.evaluate(atoms, forces=False).energy.item()

        numeric = finite_difference_forces(energy, STRUCTURES[name].positions, self.step)
        assert_same(self.evaluate(model, STRUCTURES[name]).forces, numeric, self.step_tolerance, "forces")

    def test_virial_is_the_strain_derivative(self, model: Model, name: str) -> None:
        """W = -dE/d(strain), x -> x (1 + strain), all nine: those out of a slab's plane move its atoms only."""
        numeric = np.zeros((3, 3))
        for index in np.ndindex(3, 3):
            for sign in (1, -1):
                deformation = np.eye(3)
                deformation[index] += sign * self.step
                atoms = STRUCTURES[name].copy()
                atoms.set_cell(np.asarray(atoms.cell) @ deformation)
                atoms.positions = atoms.positions @ deformation
                numeric[index] -= sign * model.evaluate(atoms, forces=False).energy.item() / (2 * self.step)
        virial = self.evaluate(model, STRUCTURES[name]).virial
        assert virial is not None
        assert_same(virial[0], numeric, self.step_tolerance, "virial")
        assert_same(virial[0].T, virial[0], self.tolerance, "virial, transposed")

    def test_no_net_force_and_no_torque(self, model: Model) -> None:
        forces = self.evaluate(model, STRUCTURES["cluster"]).forces
        assert forces is not None
        assert float(forces.abs().max()) > 1e-3, "the test needs forces"
        assert_same(forces.sum(dim=0), np.zeros(3), self.tolerance, "net force")
        torque = np.cross(STRUCTURES["cluster"].positions, forces.numpy()).sum(axis=0)
        assert_same(torque, np.zeros(3), 10 * self.tolerance, "torque")

    def test_hessian_is_the_derivative_of_the_forces(self, model: Model, name: str) -> None:
        positions = STRUCTURES[name].positions
        numeric = np.zeros((positions.size, positions.size))
        for k in range(positions.size):
            for sign in (1, -1):
                atoms = STRUCTURES[name].copy()
                atoms.positions.reshape(-1)[k] += sign * self.step
                forces = model.evaluate(atoms).forces
                assert forces is not None
                numeric[k] -= sign * forces.numpy().ravel() / (2 * self.step)
        exact = model.hessian(STRUCTURES[name])
        assert torch.equal(exact, exact.T)
        assert_same(exact, numeric, self.step_tolerance, "Hessian")

    # ---- smoothness -----------------------------------------------------------------------------------------------

    def test_continuous_as_an_atom_crosses_the_cutoff(self, model: Model, quantity: str) -> None:
        """The change over a step of h across r_c goes to zero with h; a jump would stay."""

        def values(distance: float) -> np.ndarray:
            # the third atom leaves the sphere of the first while it stays well inside that of the second
            atoms = Atoms("OHH", positions=[[0.0, 0.0, 0.0], [1.3, 0.4, 0.0], [distance, 0.0, 0.0]])
            return np.asarray(getattr(self.evaluate(model, atoms), quantity))

        assert len(model.prepare(Atoms("OH", positions=[[0, 0, 0], [CUTOFF - 1e-3, 0, 0]]))[1].center) == 2
        assert len(model.prepare(Atoms("OH", positions=[[0, 0, 0], [CUTOFF + 1e-3, 0, 0]]))[1].center) == 0
        steps = [1e-1, 1e-2, 1e-3]
        changes = [np.abs(values(CUTOFF + h / 2) - values(CUTOFF - h / 2)).max() for h in steps]
        floor = self.tolerance * max(1.0, np.abs(values(CUTOFF)).max())
        for coarse, fine in pairwise(changes):
            assert fine <= 0.2 * coarse + floor, f"{quantity} changes by {changes} over steps of {steps} Angstrom"

    # ---- the scripted model ------------------------------------------------------------------------------------------

    def test_script_equals_eager(self, model: Model, scripted: Callable[[], Model], name: str) -> None:
        compiled = scripted()
        for _ in range(3):  # TorchScript compiles anew in its second and third call
            self.same(self.evaluate(compiled, STRUCTURES[name]), self.evaluate(model, STRUCTURES[name]))
        hessian = model.hessian(STRUCTURES[name])
        assert_same(compiled.hessian(STRUCTURES[name]), hessian, 100 * self.tolerance, "Hessian")

    def test_saved_and_loaded_gives_the_same_bits(self, scripted: Callable[[], Model]) -> None:
        before = scripted()
        content = to_bytes(before.module)
        after = open_model(from_bytes(content), self.dtype)
        for name in ("cluster", "TTT"):
            # TorchScript compiles anew in its second call, which moves last bits: compared is what it settles on
            first, second = ([self.evaluate(m, STRUCTURES[name]) for _ in range(3)][-1] for m in (before, after))
            for field in ("energy", "atomic_energies", "forces", "virial"):
                assert torch.equal(getattr(first, field), getattr(second, field)), field

    @pytest.fixture
    def scripted(self, potential: Potential) -> Callable[[], Model]:
        return lambda: open_model(script(potential), self.dtype)

    def test_one_system_entry_equals_the_batched_one(self, model: Model, potential: Potential) -> None:
        """`atomic_energies`, which OpenMM calls, finds the neighbours itself."""
        for atoms in STRUCTURES.values():
            batch, _ = model.prepare(atoms)
            assert isinstance(batch, AtomicBatch)
            own = potential.atomic_energies(batch.positions, batch.species, batch.cell[0], torch.tensor(atoms.pbc))
            expected = model.evaluate(atoms, forces=False).atomic_energies
            assert_same(own, expected, self.tolerance, "atomic energies")
