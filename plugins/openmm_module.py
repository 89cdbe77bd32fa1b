"""The model as OpenMM calls it: (positions, box vectors) in nm -> potential energy in kJ/mol, as one scripted module.

This is the only place where OpenMM's units meet the model's: nm -> Angstrom on the way in, eV -> kJ/mol on the way out.
The gradient goes the same way back, so that forces come out in kJ/mol/nm with no factor of their own.
"""

import io
from collections.abc import Sequence
from typing import Final, Optional

import torch
from torch import Tensor

from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL

#: What the sentences of `OpenMMEnergy` begin with.
MARK = "dp-sim: "


class OpenMMEnergy(torch.nn.Module):
    """Potential energy of (a part of) an OpenMM System; a committee contributes the mean of its members.

    Parameters
    ----------
    members: the scripted models, each with `atomic_energies(positions, species, cell, pbc)`; they are used as they are
    species: (n,) int64, index into the model's species of each atom that the model describes
    atoms: (n,) int64, index of each of these among the particles of the System; None: the particles handed in are these

    Precision: positions are scaled in the precision in which OpenMM hands them over (float64 on Reference and CPU;
    float32 on CUDA and OpenCL unless their precision is "double"); the energy is summed in float64.
    """

    species: Tensor
    atoms: Tensor
    select: Final[bool]
    nm_in_angstrom: Final[float]
    ev_in_kj_per_mol: Final[float]

    def __init__(self, members: Sequence[torch.nn.Module], species: Tensor, atoms: Tensor | None = None) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(members)
        self.select = atoms is not None
        self.nm_in_angstrom = 1.0 / ANGSTROM_IN_NM
        self.ev_in_kj_per_mol = EV_IN_KJ_PER_MOL
        # Buffers, so that they follow the module to the device on which a platform puts it.
        self.register_buffer("species", species)
        self.register_buffer("atoms", torch.empty(0, dtype=torch.int64) if atoms is None else atoms)

    def forward(self, positions: Tensor, box_vectors: Optional[Tensor] = None) -> Tensor:  # noqa: UP045 (TorchScript)
        """Energy () kJ/mol, float64, of positions (n, 3) nm and box_vectors (3, 3) nm in rows (None: not periodic)."""
        if self.select:
            positions = positions.index_select(0, self.atoms)
        if positions.size(0) != self.species.size(0):
            raise RuntimeError(
                f"dp-sim: the force was made for {self.species.size(0)} particles, and the System hands it "
                f"{positions.size(0)}; make it with the topology (or species) of this System, or give atoms=[...]"
            )
        # Not left to the model: a neighbour list of NaN positions has no meaning, and may not end.
        if not bool(torch.isfinite(positions).all()):
            raise RuntimeError("dp-sim: a particle coordinate is NaN or infinite; try a smaller time step")
        if box_vectors is None:
            cell = torch.zeros(3, 3, dtype=positions.dtype, device=positions.device)
        else:
            cell = box_vectors * self.nm_in_angstrom
        pbc = torch.full([3], box_vectors is not None, dtype=torch.bool, device=positions.device)
        positions_A = positions * self.nm_in_angstrom
        energy_eV = torch.zeros([], dtype=torch.float64, device=positions.device)
        for member in self.members:
            energy_eV = energy_eV + member.atomic_energies(positions_A, self.species, cell, pbc).sum()  # type: ignore[operator]
        energy = energy_eV * (self.ev_in_kj_per_mol / len(self.members))
        if not bool(torch.isfinite(energy)):
            raise RuntimeError("dp-sim: the model's energy is NaN or infinite; are two atoms on one spot?")
        return energy


def model_message(error: Exception) -> str:
    """The sentence of `OpenMMEnergy` in what OpenMM raised, which wraps it into a trace of TorchScript; "" for others.

    The trace quotes the source around the failing line, so only its last line tells what happened.
    """
    last = str(error).strip().rpartition("\n")[2]
    return last.partition(MARK)[2]


def scripted_energy(members: Sequence[torch.nn.Module], species: Tensor, atoms: Tensor | None = None) -> bytes:
    """A TorchScript file, in memory, of `OpenMMEnergy`; it shares nothing with `members`."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(OpenMMEnergy(members, species, atoms).eval()), buffer)
    return buffer.getvalue()


def load_scripted(content: bytes, device: str = "cpu") -> torch.jit.ScriptModule:
    """The module that `scripted_energy` wrote."""
    import vesin_torch  # noqa: F401  registers the neighbour list's class, without which the file does not load

    return torch.jit.load(io.BytesIO(content), map_location=device)
