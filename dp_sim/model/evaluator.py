"""`Model`: a loaded model or committee, which evaluates structures."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import vesin_torch  # noqa: F401 (registers the neighbour search that model files call)
from torch import Tensor

from dp_sim.compiled.evaluation import compile_potential, evaluate_compiled, evaluate_compiled_with_hidden
from dp_sim.compiled.library import register_operators
from dp_sim.descriptors.descriptor import compiled_layout
from dp_sim.errors import InputError
from dp_sim.model.committee.combining import calibrated, combine
from dp_sim.model.crowding import warn_if_crowded
from dp_sim.model.derivatives import EnergyFunction, evaluate
from dp_sim.model.last_layer import LastLayerFeatures
from dp_sim.model.metadata import ModelMetadata, summary
from dp_sim.model.potential import DeepPotential, Potential, set_precision
from dp_sim.model.rebuilding import rebuilt_network
from dp_sim.model.second_derivatives import Differentiated, SecondDerivatives, compiled_second_derivatives, rows_of
from dp_sim.model.upgrade import STATE_VERSION
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, ModelOutput, NeighborList, separate
from dp_sim.structures.checks import COINCIDENT_ANGSTROM, Structure, check_density, check_distances, check_structures
from dp_sim.structures.grouping import as_iterable, default_names, groups
from dp_sim.structures.species import check_trained, species_index
from dp_sim.torchscript import from_bytes
from dp_sim.uncertainty.calibration import Calibration
from dp_sim.uncertainty.last_layer import LastLayer


class Model:
    """A loaded model, or a committee of models, which evaluates structures.

    Parameters
    ----------
    modules
        Scripted potentials (dp_sim.model.potential.Potential), one per member.
    members
        Their metadata.
    device
        Of torch.

    Attributes
    ----------
    metadata
        Metadata of the first member; `members` has all.
    compiled
        Compiled paths of the members (dp_sim.compiled.evaluation), None where a member has none.
    files
        Paths that it was opened from; empty for a model that was never in a file.
    folder
        Folder of the committee (dp_sim.model.committee.folder), None where there is none.
    calibration
        What its spread is worth (dp_sim.uncertainty.calibration): energy_std and forces_std of `evaluate` are standard
        uncertainties then. None: they are the raw spread of the members.
    last_layer
        What is known of the uncertainty of a single model (dp_sim.uncertainty.last_layer): energy_std is from it, and
        `forces_std` when it is asked for. None: nothing.
    """

    def __init__(
        self,
        modules: Sequence[torch.jit.ScriptModule],
        members: Sequence[ModelMetadata],
        device: str,
        files: Sequence[str] = (),
        folder: str | os.PathLike[str] | None = None,
        calibration: Calibration | None = None,
        last_layer: LastLayer | None = None,
    ) -> None:
        self.modules = list(modules)
        self.members = tuple(members)
        self.files = tuple(files)
        self.folder = None if folder is None else Path(folder)
        self.calibration = calibration if last_layer is None else last_layer.calibration
        self.last_layer = last_layer
        self.metadata = self.members[0]
        self.device = torch.device(device)
        self.compiled = self._compiled()
        self.search = CompiledSearch(self.metadata.cutoff)

    def __repr__(self) -> str:
        kind = "Model" if len(self.modules) == 1 else f"Committee of {len(self.modules)} models"
        return f"<{kind}: {summary(self.metadata, self.n_parameters)}>"

    @property
    def sources(self) -> tuple[str, ...]:
        """What `load_model` opens it from again: the folder of a committee, else the files."""
        return self.files if self.folder is None else (str(self.folder),)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases of one member."""
        return sum(parameter.numel() for parameter in self.modules[0].parameters())

    @property
    def module(self) -> torch.jit.ScriptModule:
        """Scripted potential of a model that is no committee.

        Raises
        ------
        ValueError
            It is a committee.
        """
        if len(self.modules) > 1:
            raise ValueError(f"this is a committee of {len(self.modules)} models: use .modules")
        return self.modules[0]

    def species_index(self, numbers: Any, name: str = "structure", alone: np.ndarray | None = None) -> Tensor:
        """Convert atomic numbers (N,) to species (N,) int64.

        Parameters
        ----------
        numbers
            Atomic numbers (N,).
        name
            What messages call the structure.
        alone
            (N,) bool, atoms with no other within reach: an element that was trained on in such atoms only is known
            there, and nowhere else. None: none of them.

        Raises
        ------
        InputError
            An element of the structure `name` that the model does not know, or had no training data of.
        """
        index = species_index(numbers, self.metadata.species, name)
        for member in self.members:
            trained, lonely = member.training.get("trained_species"), member.training.get("lonely_species", ())
            if trained is not None and (lonely or len(trained) < len(member.species)):
                check_trained(index, member.species, trained, name)
                bound = index if alone is None else index[torch.from_numpy(~alone)]
                check_trained(bound, member.species, [s for s in trained if s not in lonely], name)
        return index.to(self.device)

    def evaluate(
        self, atoms: Structure | Sequence[Structure], forces: bool = True, virial: bool = False
    ) -> ModelOutput:
        """Evaluate one structure, or several as one batch.

        Parameters
        ----------
        atoms
            Structure, or a list of them, whose atoms then follow one another in the output.
        forces, virial
            Whether to compute them.

        Returns
        -------
        ModelOutput
            Energies (S,) and atomic energies (N,) in eV, forces (N, 3) in eV/Angstrom, virials (S, 3, 3) in eV. A
            committee gives means, and in energy_std and forces_std the standard deviations over its members (ddof=1),
            or standard uncertainties where it is calibrated. The geometry is float64 whatever the precision of the
            weights.

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
        """Evaluate structures in batches, several times faster than one by one.

        No more than one batch is taken at a time, so that ase.io.iread may read them meanwhile.

        Parameters
        ----------
        structures
            Any number of them.
        forces, virial
            Whether to compute them.
        names
            What messages call them; by default "structure 0", ...

        Yields
        ------
        ModelOutput
            Of each structure in turn, as from `evaluate`.

        Raises
        ------
        InputError
            As from `evaluate`, when the batch of the structure is reached.
        """
        given = as_iterable(structures)
        numbered = ((structure, f"structure {i}") for i, structure in enumerate(given))
        for batch in groups(numbered if names is None else zip(given, names, strict=True)):
            members, their_names = zip(*batch, strict=True)
            output = self._evaluate(*self.prepare(members, their_names), forces, virial)
            yield from separate(output, [len(structure.numbers) for structure in members])

    def _evaluate(self, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool) -> ModelOutput:
        if self.last_layer is not None:
            combined = self._with_last_layer(self.last_layer, batch, pairs, forces, virial)
        else:
            combined = combine(
                [
                    evaluate(_energy_function(module), batch, pairs, forces=forces, virial=virial)
                    if compiled is None or not (forces or virial)
                    else evaluate_compiled(compiled, batch, pairs, forces, virial)
                    for module, compiled in zip(self.modules, self.compiled, strict=True)
                ]
            )
        return combined if self.calibration is None else calibrated(combined, self.calibration)

    def _with_last_layer(
        self, last_layer: LastLayer, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
    ) -> ModelOutput:
        """Evaluate a single model, and the raw uncertainty of its energies from what its last layer gets."""
        (compiled,), (module,) = self.compiled, self.modules
        if compiled is None:
            output = evaluate(_energy_function(module), batch, pairs, forces=forces, virial=virial)
            features = self.features.of(batch, pairs)
        else:
            output, hidden = evaluate_compiled_with_hidden(compiled, batch, pairs, forces, virial)
            features = self.features.of_hidden(hidden, batch)
        raw = torch.from_numpy(last_layer.raw(features))
        return output._replace(energy_std=raw.to(output.energy.device))

    def forces_std(self, atoms: Structure | Sequence[Structure]) -> Tensor | None:
        """Compute standard uncertainties of the force components of structures, as one batch.

        From the last layer of a single model that takes a backward pass for each of its features, hundreds of times an
        evaluation: it is not in `evaluate`.

        Returns
        -------
        Tensor or None
            (N, 3) eV/Angstrom; of a raw committee its spread. None where nothing is known.

        Raises
        ------
        InputError
            As from `evaluate`.
        """
        if self.last_layer is None:
            return self.evaluate(atoms).forces_std
        factor = 1.0 if self.calibration is None else self.calibration.forces.factor
        return torch.from_numpy(factor * self.last_layer.raw(self.features.derivatives(*self.prepare(atoms))))

    @functools.cached_property
    def features(self) -> LastLayerFeatures:
        """Features of the last layer of a model that is no committee."""
        return LastLayerFeatures(rebuilt_network(self.module, self.metadata), self.device)

    def hessian(self, atoms: Structure, indices: Sequence[int] | None = None) -> Tensor:
        """Compute exact second derivatives of the energy of one structure.

        Parameters
        ----------
        atoms
            The structure.
        indices
            (R,) atoms whose rows are computed, which costs their share; None: all.

        Returns
        -------
        Tensor
            d2E/dr dr (3R, 3N), eV/Angstrom^2, float64, on the CPU; the mean of a committee.

        Raises
        ------
        InputError
            As from `evaluate`; indices that are not those of atoms, or not all different.
        """
        return torch.from_numpy(self.sparse_hessian(atoms, indices).toarray())

    def sparse_hessian(self, atoms: Structure, indices: Sequence[int] | None = None) -> Any:
        """Compute `hessian` in memory proportional to the number of atoms.

        Returns
        -------
        scipy.sparse.bsr_array
            (3R, 3N) in blocks of 3 x 3, eV/Angstrom^2: none between atoms that have no neighbour in common.
        """
        members = self.member_hessians(atoms, indices)
        return members[0] if len(members) == 1 else sum(members[1:], start=members[0]) / len(members)

    def member_hessians(self, atoms: Structure, indices: Sequence[int] | None = None) -> list[Any]:
        """Compute `sparse_hessian` of each member of a committee."""
        batch, pairs = self.prepare(atoms)
        rows = rows_of(indices, len(batch.species))
        return [member.rows(batch, pairs, rows) for member in self.second_derivatives]

    def hessian_product(self, atoms: Structure, vectors: np.ndarray) -> np.ndarray:
        """Multiply vectors by the Hessian of one structure, which is never formed.

        Parameters
        ----------
        atoms
            The structure.
        vectors
            (N, 3), or several, (V, N, 3).

        Returns
        -------
        numpy.ndarray
            d2E/dr dr times the vectors, in their shape, eV/Angstrom^2 times their unit; the mean of a committee.

        Raises
        ------
        InputError
            As from `evaluate`; vectors of another shape, or not finite.
        """
        batch, pairs = self.prepare(atoms)
        given = np.asarray(vectors, dtype=np.float64)
        if given.ndim not in (2, 3) or given.shape[-2:] != batch.positions.shape or not np.isfinite(given).all():
            raise InputError(
                "hessian-vectors",
                f"vectors must be finite, of shape ({len(batch.species)}, 3) or (V, {len(batch.species)}, 3), a "
                f"displacement of each atom; got shape {given.shape}",
            )
        several = given.reshape(-1, *batch.positions.shape)
        products = [member.product(batch, pairs, several) for member in self.second_derivatives]
        return np.asarray(np.mean(products, axis=0).reshape(given.shape))

    @functools.cached_property
    def second_derivatives(self) -> tuple[SecondDerivatives, ...]:
        """Second derivatives of each member; `.method` says how they are computed."""
        return tuple(map(self._second_derivatives, self.modules, self.members))

    def _second_derivatives(self, module: torch.jit.ScriptModule, member: ModelMetadata) -> SecondDerivatives:
        differentiated = Differentiated(_energy_function(module))
        if self.device.type != "cpu":
            return differentiated
        network = module.model if member.version == STATE_VERSION else rebuilt_network(module, member)
        if member.dtype != "float64":
            network = copy.deepcopy(network)
            set_precision(network, torch.float64)
        return compiled_second_derivatives(network) or differentiated

    def prepare(
        self, atoms: Structure | Sequence[Structure], names: Sequence[str] | None = None
    ) -> tuple[AtomicBatch, NeighborList]:
        """Check structures, find their neighbours, and put them into one batch.

        Parameters
        ----------
        atoms
            Structure, or a list of them.
        names
            What messages call them.

        Raises
        ------
        InputError
            As from `evaluate`; the message names the structure and, where it can, the atom.
        """
        structures = list(as_iterable(atoms))
        if not structures:
            raise InputError("structures-missing", "no structures given; expected one or more")
        names = default_names(len(structures)) if names is None else names
        try:
            return self._prepare(structures, names)
        except InputError as error:
            if len(structures) == 1:
                raise
            wrong = error
        for structure, name in zip(structures, names, strict=True):  # find which of them it is
            self._prepare([structure], [name])
        raise wrong

    def _prepare(self, structures: Sequence[Structure], names: Sequence[str]) -> tuple[AtomicBatch, NeighborList]:
        arrays = check_structures(structures, names[0])
        check_density(arrays, self.metadata.cutoff, names[0])
        images = arrays.pbc & (np.linalg.norm(arrays.cell, axis=2) < self.metadata.cutoff)
        alone = (arrays.sizes == 1) & ~images.any(axis=1)
        species = self.species_index(arrays.numbers, names[0], alone[arrays.system])
        positions, cell, system, pbc = (
            torch.from_numpy(field).to(self.device)
            for field in (arrays.positions, arrays.cell, arrays.system, arrays.pbc)
        )
        batch = AtomicBatch(positions, species, cell, system)
        pairs = self._neighbors(batch, pbc, names[0])
        warn_if_crowded(self.metadata.config, batch, pairs, self.metadata.species, names)
        return batch, pairs

    def _neighbors(self, batch: AtomicBatch, pbc: Tensor, name: str) -> NeighborList:
        """Find the pairs of a batch; refuse two atoms on one spot."""
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
        made_again = ("compiled", "second_derivatives", "features")
        state = {key: value for key, value in self.__dict__.items() if key not in made_again}
        return {**state, "modules": [module.save_to_buffer() for module in self.modules]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        modules = [from_bytes(content, state["device"]) for content in state["modules"]]
        self.__dict__.update(state, modules=modules)
        self.compiled = self._compiled()

    def _compiled(self) -> list[torch.jit.ScriptModule | None]:
        """Build the compiled paths; files of earlier versions divide the network otherwise, so it is rebuilt."""
        if self.device.type != "cpu":
            return [None] * len(self.modules)
        todays = [
            module if member.version == STATE_VERSION else Potential(rebuilt_network(module, member), member.cutoff)
            for module, member in zip(self.modules, self.members, strict=True)
        ]
        return [compile_potential(potential, compiled_layout(potential.model.descriptor)) for potential in todays]


def _energy_function(module: torch.jit.ScriptModule) -> EnergyFunction:
    return lambda batch, pairs: module(*batch, *pairs)


def eager_model(model: Model) -> DeepPotential:
    """Rebuild the network of a model file from Python modules, to inspect it or to continue from it."""
    return rebuilt_network(model.module, model.metadata)
