"""The model file: one TorchScript archive with its metadata, and `load_model`, which opens it everywhere."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import vesin_torch  # noqa: F401 (registers the neighbour search that model files call)
from torch import Tensor

from dp_sim import committee
from dp_sim.atomic_file import atomic_path
from dp_sim.batch import AtomicBatch, ModelOutput, NeighborList, choose, separate, species_index, usable_device
from dp_sim.compress import tabulated_like
from dp_sim.config import ModelConfig
from dp_sim.deepmd.places import warn_if_crowded
from dp_sim.errors import InputError, ModelFileError
from dp_sim.fused import evaluate_fused, fuse, register_operators
from dp_sim.fused_search import FusedSearch
from dp_sim.gradients import EnergyFunction, evaluate, hessian
from dp_sim.model import DTYPES, DeepPotential, Potential, set_precision
from dp_sim.neighbors import NeighborSearch, pair_vectors
from dp_sim.structure import COINCIDENT_ANGSTROM, Structure, check_density, check_distances, check_structures
from dp_sim.upgrade import STATE_VERSION, upgraded_state

FORMAT = "dp-sim model"
_METADATA = "dp_sim.json"
#: Atoms that `Model.evaluate_each` puts into one batch: more gain nothing, and take memory.
ATOMS_AT_ONCE = 1024


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says of itself. Lengths in Angstrom, energies in eV."""

    species: tuple[str, ...]
    cutoff: float
    dtype: str
    config: dict[str, Any]
    dp_sim_version: str
    torch_version: str
    training: dict[str, Any] = field(default_factory=dict)
    compression: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=lambda: {"length": "Angstrom", "energy": "eV"})
    sha256: str = ""
    version: int = STATE_VERSION


class Model:
    """An opened model, or a committee of them, ready to evaluate structures.

    modules    the scripted potentials (dp_sim.model.Potential), one per member
    module     the only one, where there is one
    fused      their fast paths (dp_sim.fused); None where a member has none
    metadata   of the first member; `members` has all
    """

    def __init__(
        self, modules: Sequence[torch.jit.ScriptModule], members: Sequence[ModelMetadata], device: str
    ) -> None:
        self.modules = list(modules)
        self.members = tuple(members)
        self.metadata = self.members[0]
        self.device = torch.device(device)
        self.fused = self._fused()
        self.search = FusedSearch(self.metadata.cutoff)

    @property
    def module(self) -> torch.jit.ScriptModule:
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
                if fused is None or not (forces or virial)
                else evaluate_fused(fused, batch, pairs, forces, virial)
                for module, fused in zip(self.modules, self.fused, strict=True)
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
            raise InputError("no structures given; expected one or more")
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
        state = {key: value for key, value in self.__dict__.items() if key != "fused"}
        return {**state, "modules": [module.save_to_buffer() for module in self.modules]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        modules = [torch.jit.load(io.BytesIO(content), map_location=state["device"]) for content in state["modules"]]
        self.__dict__.update(state, modules=modules)
        self.fused = self._fused()

    def _fused(self) -> list[torch.jit.ScriptModule | None]:
        """The fast paths. Members in files of earlier versions are divided otherwise, so they are rebuilt."""
        if self.device.type != "cpu":
            return [None] * len(self.modules)
        return [
            fuse(module if member.version == STATE_VERSION else Potential(_network(module, member), member.cutoff))
            for module, member in zip(self.modules, self.members, strict=True)
        ]


#: What torch.jit.load raises for files that are not whole, or not its own.
DAMAGED = (RuntimeError, ValueError, IndexError, MemoryError)
#: Files of DeePMD-kit's models.
DEEPMD_SUFFIXES = (".dp", ".pth", ".pb", ".yaml", ".yml")

#: What users may call a model: a file, several (a committee), or a loaded one.
ModelSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Model


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


def save_model(
    path: str | os.PathLike[str],
    model: DeepPotential,
    config: ModelConfig,
    training: dict[str, Any] | None = None,
    compression: dict[str, Any] | None = None,
) -> None:
    """Script `model` and write it with its metadata, atomically; `compression`: what dp_sim.compress did to it.

    Raises
    ------
    InputError
        The name does not end in .pt, or nothing can be written there.
    """
    from dp_sim import __version__

    if Path(path).suffix != ".pt":
        raise InputError(f"cannot write a model to {path}: give a file name that ends in .pt")
    metadata = {
        "format": FORMAT,
        "version": STATE_VERSION,
        "species": config.species,
        "cutoff": config.cutoff,
        "dtype": config.precision,
        "config": config.model_dump(mode="json"),
        "training": training or {},
        "compression": compression or {},
        "dp_sim_version": __version__,
        "torch_version": torch.__version__,
    }
    frozen = copy.deepcopy(model).cpu().requires_grad_(False)
    scripted = torch.jit.script(Potential(frozen, config.cutoff).eval())
    with atomic_path(path) as temporary:
        torch.jit.save(scripted, str(temporary), _extra_files={_METADATA: json.dumps(metadata).encode()})


def load_model(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    device: str | torch.device = "cpu",
    dtype: str | None = None,
) -> Model:
    """Open a model file, or several as a committee.

    `dtype` ("float32" or "float64") casts the weights; by default they stay as they were trained.

    Raises
    ------
    ModelFileError
        The file is absent, truncated, no dp-sim model, or of a newer version; or the members of a committee differ in
        their species or cutoff.
    InputError
        The device does not exist here, `dtype` is another, or `path` is no path.
    """
    paths = _model_files(path)
    if dtype is not None:
        choose("dtype", dtype, tuple(DTYPES))
    where = usable_device(device)
    opened = [_load_one(p, where, dtype) for p in paths]
    members = [metadata for _, metadata in opened]
    for name, metadata in zip(paths, members, strict=True):
        if (metadata.species, metadata.cutoff) != (members[0].species, members[0].cutoff):
            raise ModelFileError(
                f"{name} cannot join the committee of {paths[0]}: it has species {', '.join(metadata.species)} and "
                f"cutoff {metadata.cutoff}, expected {', '.join(members[0].species)} and {members[0].cutoff}; "
                "give members that were trained with the same species and cutoff"
            )
    return Model([module for module, _ in opened], members, str(device))


def eager_model(model: Model) -> DeepPotential:
    """The network of a model file as Python modules again: for looking inside, and for going on from it."""
    return _network(model.module, model.metadata)


def _network(module: torch.jit.ScriptModule, metadata: ModelMetadata) -> DeepPotential:
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, and replaced
        potential = DeepPotential(ModelConfig.model_validate(metadata.config))
    set_precision(potential, DTYPES[metadata.dtype])
    state = upgraded_state(module.model.state_dict(), metadata.version)
    if metadata.compression:
        potential = tabulated_like(potential, state)
    # TorchScript lists buffers that are not persistent too; these follow from the settings
    derived = {name for name, _ in potential.named_buffers()} - set(potential.state_dict())
    potential.load_state_dict({name: value for name, value in state.items() if name not in derived})
    return potential


def as_model(model: ModelSource, *, device: str | None = None, dtype: str | None = None) -> Model:
    """A loaded model as it is; anything else opened with `load_model` (`device` None: cpu).

    Raises
    ------
    InputError
        From `load_model`; or device or dtype together with a loaded model, which has its own.
    """
    if not isinstance(model, Model):
        return load_model(model, device=device or "cpu", dtype=dtype)
    if device is not None or dtype is not None:
        raise InputError("device and dtype belong to a model file; give them to load_model(...) for a loaded model")
    return model


def _model_files(path: Any) -> list[Path]:
    paths = [path] if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(paths, Sequence) or isinstance(paths, bytes):
        raise InputError(f"a model must be a model file or a list of model files, got {path!r}; give the path")
    if not paths:
        raise ModelFileError("no model file given; expected one, or several for a committee")
    for one in paths:
        if not isinstance(one, (str, os.PathLike)):
            raise InputError(f"the members of a committee must be model files, got {one!r}; give the path of each")
    return [Path(one) for one in paths]


def read_metadata(path: Path) -> ModelMetadata:
    """The metadata of a model file; ModelFileError as in load_model."""
    return _load_one(path, torch.device("cpu"), None)[1]


def first_line(error: BaseException) -> str:
    """What an error says, shortened to the first line that says anything."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, as model files are; structures are not."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _load_one(path: Path, device: torch.device, dtype: str | None) -> tuple[torch.jit.ScriptModule, ModelMetadata]:
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}; check the path")
    extra = {_METADATA: ""}
    hint = "; is it a model of DeePMD-kit? `dp-sim import` opens those" if path.suffix in DEEPMD_SUFFIXES else ""
    try:
        module = torch.jit.load(str(path), map_location=device, _extra_files=extra)
    except DAMAGED as error:
        raise ModelFileError(
            f"{path} is no complete TorchScript file (truncated, or of another kind): {first_line(error)}{hint}"
        ) from None
    if not extra[_METADATA]:
        raise ModelFileError(f"{path} is a TorchScript file, but no dp-sim model: it holds no {_METADATA}{hint}")
    content = json.loads(extra[_METADATA])
    if content.get("format") != FORMAT:
        raise ModelFileError(f"{path} is a TorchScript file, but no dp-sim model: its {_METADATA} is of another kind")
    if content["version"] > STATE_VERSION:
        raise ModelFileError(
            f"{path} is a model of format version {content['version']} (dp-sim {content['dp_sim_version']}); "
            f"this dp-sim reads up to {STATE_VERSION}: upgrade it"
        )
    if dtype is not None:
        set_precision(module, DTYPES[dtype])
        content["dtype"] = dtype
    fields = {f.name for f in dataclasses.fields(ModelMetadata)}
    kept = {key: value for key, value in content.items() if key in fields}
    kept["species"] = tuple(kept["species"])
    kept["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return module.eval(), ModelMetadata(**kept)
