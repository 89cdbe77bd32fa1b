"""`Model`: an opened model, or a committee, that evaluates structures."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import vesin_torch  # noqa: F401 (registers the neighbour search that model files call)
from torch import Tensor

from dp_sim.compiled.evaluation import compile_potential, evaluate_compiled
from dp_sim.compiled.library import register_operators
from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.descriptors.tabulated import tabulated_like
from dp_sim.errors import InputError
from dp_sim.model import committee
from dp_sim.model.crowding import warn_if_crowded
from dp_sim.model.derivatives import EnergyFunction, evaluate, hessian
from dp_sim.model.metadata import ModelMetadata, summary
from dp_sim.model.potential import DTYPES, DeepPotential, Potential, set_precision
from dp_sim.model.upgrade import STATE_VERSION, upgraded_state
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, ModelOutput, NeighborList, separate
from dp_sim.structures.checks import COINCIDENT_ANGSTROM, Structure, check_density, check_distances, check_structures
from dp_sim.structures.species import species_index

#: Atoms that `Model.evaluate_each` puts into one batch: more gain nothing, and take memory.
ATOMS_AT_ONCE = 1024


class Model:
    """An opened model, or a committee of them, ready to evaluate structures.

    modules    the scripted potentials (dp_sim.model.potential.Potential), one per member
    module     the only one, where there is one
    compiled      their compiled paths (dp_sim.compiled.evaluation); None where a member has none
    metadata   of the first member; `members` has all
    files      the paths that it was opened from; empty for a model that was never in a file
    """

    def __init__(
        self,
        modules: Sequence[torch.jit.ScriptModule],
        members: Sequence[ModelMetadata],
        device: str,
        files: Sequence[str] = (),
    ) -> None:
        self.modules = list(modules)
        self.members = tuple(members)
        self.files = tuple(files)
        self.metadata = self.members[0]
        self.device = torch.device(device)
        self.compiled = self._compiled()
        self.search = CompiledSearch(self.metadata.cutoff)

    def __repr__(self) -> str:
        kind = "Model" if len(self.modules) == 1 else f"Committee of {len(self.modules)} models"
        return f"<{kind}: {summary(self.metadata, self.n_parameters)}>"

    @property
    def n_parameters(self) -> int:
        """Weights and biases of one member."""
        return sum(parameter.numel() for parameter in self.modules[0].parameters())

    @property
    def module(self) -> torch.jit.ScriptModule:
        """The scripted potential, where there is one."""
        if len(self.modules) > 1:
            raise ValueError(f"this is a committee of {len(self.modules)} models: use .modules")
        return self.modules[0]

    def species_index(self, numbers: Any, name: str = "structure") -> Tensor:
        """Atomic numbers (N,) -> species (N,) int64; InputError (about `name`) for an element not known."""
        return species_index(numbers, self.metadata.species, name).to(self.device)

    def evaluate(
        self, atoms: Structure | Sequence[Structure], forces: bool = True, virial: bool = False
    ) -> ModelOutput:
        """Energy (S,), atomic energies (N,), forces (N, 3), virial (S, 3, 3): eV and Angstrom; one or many structures.

        Many structures are one batch, their atoms one after another. A committee gives means, and the spread (standard
        deviation over members, ddof=1) in energy_std and forces_std. The geometry is float64 in any case.

        Raises
        ------
        InputError
            Unknown elements, positions that are not finite, coincident atoms, a periodic cell without volume or so
            small that its pairs of atoms would fill the memory.
        """
        return self._evaluate(*self.prepare(atoms), forces, virial)

    def evaluate_each(
        self,
        structures: Structure | Iterable[Structure],
        forces: bool = True,
        virial: bool = False,
        names: Iterable[str] | None = None,
    ) -> Iterator[ModelOutput]:
        """`evaluate` of each structure in turn, small ones in batches: several times faster than one by one.

        No more of them than one batch are taken at a time, so that ase.io.iread may read them meanwhile.

        Raises
        ------
        InputError
            As from `evaluate`, about `names` (by default "structure 0", ...), when the batch of the structure comes.
        """
        given = _several(structures)
        numbered = ((structure, f"structure {i}") for i, structure in enumerate(given))
        for batch in _batches(numbered if names is None else zip(given, names, strict=True)):
            several, called = zip(*batch, strict=True)
            output = self._evaluate(*self.prepare(several, called), forces, virial)
            yield from separate(output, [len(structure.numbers) for structure in several])

    def _evaluate(self, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool) -> ModelOutput:
        return committee.combine(
            [
                evaluate(_caller(module), batch, pairs, forces=forces, virial=virial)
                if compiled is None or not (forces or virial)
                else evaluate_compiled(compiled, batch, pairs, forces, virial)
                for module, compiled in zip(self.modules, self.compiled, strict=True)
            ]
        )

    def hessian(self, atoms: Structure) -> Tensor:
        """d2E/dr dr (3N, 3N), eV/Angstrom^2, exact, of one structure (the mean of a committee)."""
        batch, pairs = self.prepare(atoms)
        return torch.stack([hessian(_caller(module), batch, pairs) for module in self.modules]).mean(dim=0)

    def prepare(
        self, atoms: Structure | Sequence[Structure], names: Sequence[str] | None = None
    ) -> tuple[AtomicBatch, NeighborList]:
        """Check structures, find their neighbours, and put them into one batch; `names`: what messages call them."""
        structures = list(_several(atoms))
        if not structures:
            raise InputError("structures-missing", "no structures given; expected one or more")
        names = _names(len(structures)) if names is None else names
        try:
            return self._prepare(structures, names)
        except InputError as error:
            if len(structures) == 1:
                raise
            wrong = error
        for structure, name in zip(structures, names, strict=True):  # which it is, and which of its atoms
            self._prepare([structure], [name])
        raise wrong

    def _prepare(self, structures: Sequence[Structure], names: Sequence[str]) -> tuple[AtomicBatch, NeighborList]:
        arrays = check_structures(structures, names[0])
        check_density(arrays, self.metadata.cutoff, names[0])
        species = self.species_index(arrays.numbers, names[0])
        positions, cell, system, pbc = (
            torch.from_numpy(field).to(self.device)
            for field in (arrays.positions, arrays.cell, arrays.system, arrays.pbc)
        )
        batch = AtomicBatch(positions, species, cell, system)
        pairs = self._neighbors(batch, pbc, names[0])
        warn_if_crowded(self.metadata.config, batch, pairs, self.metadata.species, names)
        return batch, pairs

    def _neighbors(self, batch: AtomicBatch, pbc: Tensor, name: str) -> NeighborList:
        """The pairs of a batch; InputError where two atoms lie on one spot."""
        if self.device.type == "cpu" and not register_operators():
            *fields, closest = self.search.of_systems(batch.positions, batch.cell, pbc, batch.system)
            pairs = NeighborList(*fields)
            if float(closest) >= COINCIDENT_ANGSTROM:
                return pairs
        else:  # a new one each time: threads may share a model, and this search has a state
            pairs = NeighborSearch(self.metadata.cutoff).of_systems(batch, pbc)
        check_distances(torch.linalg.vector_norm(pair_vectors(batch, pairs), dim=1), pairs.center, pairs.neighbor, name)
        return pairs

    # A scripted module does not pickle, so a model travels (to worker processes, into copies) as file content.
    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in self.__dict__.items() if key != "compiled"}
        return {**state, "modules": [module.save_to_buffer() for module in self.modules]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        modules = [torch.jit.load(io.BytesIO(content), map_location=state["device"]) for content in state["modules"]]
        self.__dict__.update(state, modules=modules)
        self.compiled = self._compiled()

    def _compiled(self) -> list[torch.jit.ScriptModule | None]:
        """The compiled paths. Members in files of earlier versions are divided otherwise, so they are rebuilt."""
        if self.device.type != "cpu":
            return [None] * len(self.modules)
        return [
            compile_potential(
                module if member.version == STATE_VERSION else Potential(rebuilt_network(module, member), member.cutoff)
            )
            for module, member in zip(self.modules, self.members, strict=True)
        ]


def _several(given: Any) -> Iterable[Structure]:
    """One structure as several; so is what is none at all, for the check to name it."""
    several = isinstance(given, Iterable) and not isinstance(given, str) and not hasattr(given, "positions")
    return given if several else [given]


def _names(count: int) -> list[str]:
    return ["structure"] if count == 1 else [f"structure {i}" for i in range(count)]


def _batches(named: Iterable[tuple[Structure, str]]) -> Iterator[list[tuple[Structure, str]]]:
    """Structures and their names, in order, so that a batch has at most ATOMS_AT_ONCE or is one structure."""
    batch: list[tuple[Structure, str]] = []
    atoms = 0
    for structure, name in named:
        size = len(getattr(structure, "numbers", ()))  # none: the check of the batch names what has none
        if batch and atoms + size > ATOMS_AT_ONCE:
            yield batch
            batch, atoms = [], 0
        batch.append((structure, name))
        atoms += size
    if batch:
        yield batch


def _caller(module: torch.jit.ScriptModule) -> EnergyFunction:
    return lambda batch, pairs: module(*batch, *pairs)


def eager_model(model: Model) -> DeepPotential:
    """The network of a model file as Python modules again: for looking inside, and for going on from it."""
    return rebuilt_network(model.module, model.metadata)


def rebuilt_network(module: torch.jit.ScriptModule, metadata: ModelMetadata) -> DeepPotential:
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, and replaced
        potential = DeepPotential(ModelConfig.model_validate(metadata.config))
    set_precision(potential, DTYPES[metadata.dtype])
    state = upgraded_state(module.model.state_dict(), metadata.version)
    if metadata.compression:
        assert isinstance(potential.descriptor, SmoothDescriptor)
        potential.descriptor = tabulated_like(potential.descriptor, state)
    # TorchScript lists buffers that are not persistent too; these follow from the settings
    derived = {name for name, _ in potential.named_buffers()} - set(potential.state_dict())
    potential.load_state_dict({name: value for name, value in state.items() if name not in derived})
    return potential
