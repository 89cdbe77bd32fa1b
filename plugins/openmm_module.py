"""The scripted module that OpenMM calls: from positions and box vectors in nm to energy in kJ/mol and forces.

This is the only place where OpenMM's units meet the model's: nm -> Angstrom on the way in, eV -> kJ/mol and
eV/Angstrom -> kJ/mol/nm on the way out.
"""

from typing import Final, Optional

import torch
import vesin_torch  # noqa: F401 (registers the neighbour list's class, without which no module loads)
from torch import Tensor

from dp_sim.compiled.library import register_operators
from dp_sim.errors import MissingPackageError
from dp_sim.model.evaluator import Model
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import NeighborList
from dp_sim.torchscript import from_bytes, script, to_bytes
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL

#: The messages of `OpenMMPotential` begin with this.
MARK = "dp-sim: "


class DifferentiatedForces(torch.nn.Module):
    """A scripted Potential, its forces by automatic differentiation."""

    def __init__(self, potential: torch.nn.Module) -> None:
        super().__init__()
        self.potential = potential

    def forward(
        self, positions: Tensor, species: Tensor, cell: Tensor, system: Tensor, pairs: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Compute atomic energies (n,), eV, and forces (n, 3), eV/Angstrom.

        The arguments are the fields of AtomicBatch, and those of NeighborList as a tuple (dp_sim.structures.batch).
        """
        x = positions.detach().requires_grad_(True)
        atomic = self.potential(x, species, cell, system, pairs[0], pairs[1], pairs[2])
        gradient = torch.autograd.grad([atomic.sum()], [x])[0]
        assert gradient is not None
        return atomic.detach(), -gradient


class CompiledForces(torch.nn.Module):
    """Forces by the compiled path (dp_sim.compiled.evaluation); on a GPU, where it has no operators, differentiated."""

    def __init__(self, potential: torch.nn.Module, compiled: torch.nn.Module) -> None:
        super().__init__()
        self.compiled = compiled
        self.differentiated = DifferentiatedForces(potential)

    def forward(
        self, positions: Tensor, species: Tensor, cell: Tensor, system: Tensor, pairs: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Compute atomic energies (n,), eV, and forces (n, 3), eV/Angstrom, as DifferentiatedForces does."""
        if positions.device.type != "cpu":
            return self.differentiated(positions, species, cell, system, pairs)
        atomic, forces, _ = self.compiled.energies_and_forces(  # type: ignore[operator]
            positions, species, cell, system, pairs[0], pairs[1], pairs[2]
        )
        return atomic, forces


class CompiledOrPlainSearch(torch.nn.Module):
    """The compiled neighbour search; on a GPU, for which there is none, vesin's."""

    def __init__(self, cutoff: float) -> None:
        super().__init__()
        self.plain, self.compiled = NeighborSearch(cutoff), CompiledSearch(cutoff)

    def forward(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> NeighborList:
        """Find the same pairs as NeighborSearch."""
        return (
            self.compiled(positions, cell, pbc) if positions.device.type == "cpu" else self.plain(positions, cell, pbc)
        )


class OpenMMPotential(torch.nn.Module):
    """Potential energy of (a part of) an OpenMM System; a committee contributes the mean of its members.

    Positions are scaled in the precision in which OpenMM gives them (float64 on Reference and CPU; float32 on CUDA and
    OpenCL unless their precision is "double"); the energy is summed in float64.

    Parameters
    ----------
    model
        Its scripted modules are used as they are.
    species
        (n,) int64, index into the model's species of each atom that the model describes.
    atoms
        (n,) int64, index of each of these among the particles of the System; None: they are all the particles.
    portable
        Without the compiled path, so that no compiled operators are needed where it is read again.
    """

    species: Tensor
    atoms: Tensor
    select: Final[bool]
    nm_in_angstrom: Final[float]
    ev_in_kj_per_mol: Final[float]

    def __init__(self, model: Model, species: Tensor, atoms: Tensor | None = None, *, portable: bool = False) -> None:
        super().__init__()
        fast = [None] * len(model.modules) if portable else model.compiled
        self.members = torch.nn.ModuleList(
            DifferentiatedForces(potential) if compiled is None else CompiledForces(potential, compiled)
            for potential, compiled in zip(model.modules, fast, strict=True)
        )
        cutoff = model.metadata.cutoff  # a committee has one
        # Not the search in the file: an older one keeps a state, which the Contexts of a System would share.
        self.search = CompiledOrPlainSearch(cutoff) if any(fast) else NeighborSearch(cutoff)
        self.select = atoms is not None
        self.nm_in_angstrom = 1.0 / ANGSTROM_IN_NM
        self.ev_in_kj_per_mol = EV_IN_KJ_PER_MOL
        # Buffers, so that they follow the module to the device on which a platform puts it.
        self.register_buffer("species", species)
        self.register_buffer("atoms", torch.empty(0, dtype=torch.int64) if atoms is None else atoms)

    def forward(
        self,
        positions: Tensor,
        box_vectors: Optional[Tensor] = None,  # noqa: UP045 (TorchScript)
    ) -> tuple[Tensor, Tensor]:
        """Compute energy (), kJ/mol, float64, and forces (N, 3), kJ/mol/nm, of the N particles of the System.

        Parameters
        ----------
        positions
            (N, 3) nm.
        box_vectors
            (3, 3) nm in rows; None: not periodic.

        Raises
        ------
        RuntimeError
            Another number of particles, a position or an energy that is not finite; the message begins with MARK.
        """
        described = positions.detach()
        if self.select:
            described = described.index_select(0, self.atoms)
        if described.size(0) != self.species.size(0):
            raise RuntimeError(
                f"dp-sim: the force was made for {self.species.size(0)} particles, and the System hands it "
                f"{described.size(0)}; make it with the topology (or species) of this System, or give atoms=[...]"
            )
        # Not left to the model: a neighbour list of NaN positions has no meaning, and may not end.
        if not bool(torch.isfinite(described).all()):
            raise RuntimeError("dp-sim: a particle coordinate is NaN or infinite; try a smaller time step")
        if box_vectors is None:
            cell = torch.zeros(3, 3, dtype=positions.dtype, device=positions.device)
        else:
            cell = box_vectors.detach() * self.nm_in_angstrom
        pbc = torch.full([3], box_vectors is not None, dtype=torch.bool, device=positions.device)
        energy_eV, forces = self.in_angstrom(described * self.nm_in_angstrom, cell, pbc)
        energy = energy_eV * self.ev_in_kj_per_mol
        if not bool(torch.isfinite(energy)):
            raise RuntimeError("dp-sim: the model's energy is NaN or infinite; are two atoms on one spot?")
        forces = (forces * (self.ev_in_kj_per_mol * self.nm_in_angstrom)).to(positions.dtype)
        if self.select:
            forces = torch.zeros_like(positions).index_copy(0, self.atoms, forces)
        return energy, forces

    def in_angstrom(self, positions: Tensor, cell: Tensor, pbc: Tensor) -> tuple[Tensor, Tensor]:
        """Compute energy (), eV, and forces (n, 3), eV/Angstrom, of the atoms described: the mean over the members."""
        pairs = self.search(positions, cell, pbc)
        system = torch.zeros_like(self.species)
        energy = torch.zeros([], dtype=torch.float64, device=positions.device)
        forces = torch.zeros(positions.shape, dtype=torch.float64, device=positions.device)
        for member in self.members:
            atomic, own = member(positions, self.species, cell[None], system, (pairs[0], pairs[1], pairs[2]))
            energy = energy + atomic.sum()
            forces = forces + own
        return energy / len(self.members), forces / len(self.members)


def model_message(error: Exception) -> str:
    """Find the sentence of `OpenMMPotential` in an error of OpenMM, which wraps it into a trace; else "".

    The trace of TorchScript quotes the source around the failing line, so only its last line says what happened.
    """
    last = str(error).strip().rpartition("\n")[2]
    return last.partition(MARK)[2]


def scripted_potential(model: Model, species: Tensor, atoms: Tensor | None = None, *, portable: bool = False) -> bytes:
    """Script an `OpenMMPotential`, with the parameters of that class.

    Returns
    -------
    bytes
        A TorchScript file; it shares nothing with `model`.
    """
    return to_bytes(script(OpenMMPotential(model, species, atoms, portable=portable).eval()))


def load_scripted(content: bytes, device: str = "cpu") -> torch.jit.ScriptModule:
    """Load a module that `scripted_potential` wrote.

    Raises
    ------
    MissingPackageError
        It calls the compiled operators, and they cannot be used here.
    """
    reason = register_operators()
    try:
        return from_bytes(content, device)
    except RuntimeError as error:
        if not reason or "dp_sim::" not in str(error):
            raise
        raise MissingPackageError(
            "operators-missing",
            f"{MARK}this force calls compiled operators, which cannot be used here ({reason}); install dp-sim with a "
            f"C++ compiler, or make the force again, here or with portable=True",
        ) from None
