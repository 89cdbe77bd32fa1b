"""Fitting nets: descriptor of an atom -> its energy, one net per species of the centre (eq. 3-4)."""

import torch
from torch import Tensor

from dp_sim.networks.dense import Network


class Fitting(torch.nn.Module):
    """(N, F) descriptors -> (N,) atomic energies in eV, float64.

    The nets run in the precision of their weights; the energy bias per species, which can be thousands of eV, is added
    in float64, and so is everything after it.

    `hand` (F,): signs that a mirror gives to the descriptors, where it does; an energy is then the mean of both hands.
    """

    bias: Tensor
    hand: Tensor

    def __init__(
        self,
        n_features: int,
        widths: tuple[int, ...],
        n_species: int,
        activation: str,
        timestep: bool,
        hand: Tensor | None = None,
    ) -> None:
        super().__init__()
        if hand is not None:  # TorchScript knows `hasattr` of what is not there, but saves no buffer that may be None
            self.register_buffer("hand", hand)
        self.nets = torch.nn.ModuleList(
            [Network(n_features, widths, activation, timestep=timestep, bias_deviation=0.1) for _ in range(n_species)]
        )
        self.last = torch.nn.ModuleList([torch.nn.Linear(widths[-1], 1) for _ in range(n_species)])
        self.register_buffer("bias", torch.zeros(n_species, dtype=torch.float64))

    def forward(self, descriptors: Tensor, species: Tensor) -> Tensor:
        if hasattr(self, "hand"):
            both = torch.cat([descriptors, descriptors * self.hand])
            return self.one_hand(both, torch.cat([species, species])).view(2, -1).mean(dim=0)
        return self.one_hand(descriptors, species)

    def one_hand(self, descriptors: Tensor, species: Tensor) -> Tensor:
        """The nets as they are, without the mean over hands."""
        energies = torch.zeros(descriptors.shape[0], dtype=descriptors.dtype, device=descriptors.device)
        for index, (net, last) in enumerate(zip(self.nets, self.last)):  # noqa: B905 (TorchScript has no strict=)
            atoms = torch.nonzero(species == index)[:, 0]
            energies = energies.index_add(0, atoms, last(net(descriptors[atoms]))[:, 0])
        return energies

    def with_bias(self, energies: Tensor, species: Tensor) -> Tensor:
        """Add the energy of each atom's species, in float64."""
        return energies.to(torch.float64) + self.bias[species]
