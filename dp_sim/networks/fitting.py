"""Fitting nets: descriptor of an atom -> its energy, one net per species of the central atom (eq. 3-4)."""

import torch
from torch import Tensor

from dp_sim.networks.dense import Network


class Fitting(torch.nn.Module):
    """Atomic energies from descriptors, eV.

    The nets run in the precision of their weights. The energy bias per species, which can be thousands of eV, is added
    in float64, and so is everything after it.

    Parameters
    ----------
    n_features
        Components F of a descriptor.
    widths
        Widths of the hidden layers.
    n_species
        Number of species T; each has a net of its own.
    activation
        Name of the activation (dp_sim.networks.activations).
    timestep
        Whether skip connections have trained residual steps.
    mirror_signs
        (F,): the sign that each component of a descriptor takes in the mirror image of its environment. The energy is
        then the mean over an environment and its mirror image. None for descriptors that are invariant to reflection.
    """

    bias: Tensor
    mirror_signs: Tensor

    def __init__(
        self,
        n_features: int,
        widths: tuple[int, ...],
        n_species: int,
        activation: str,
        timestep: bool,
        mirror_signs: Tensor | None = None,
    ) -> None:
        super().__init__()
        # TorchScript resolves `hasattr` of a missing buffer, but cannot save one that may be None. Not persistent: it
        # follows from the settings.
        if mirror_signs is not None:
            self.register_buffer("mirror_signs", mirror_signs, persistent=False)
        self.nets = torch.nn.ModuleList(
            [Network(n_features, widths, activation, timestep=timestep, bias_deviation=0.1) for _ in range(n_species)]
        )
        self.last = torch.nn.ModuleList([torch.nn.Linear(widths[-1], 1) for _ in range(n_species)])
        self.register_buffer("bias", torch.zeros(n_species, dtype=torch.float64))

    def forward(self, descriptors: Tensor, species: Tensor) -> Tensor:
        """Compute atomic energies without the bias: (N, F), (N,) -> (N,) eV."""
        if hasattr(self, "mirror_signs"):
            both = torch.cat([descriptors, descriptors * self.mirror_signs])
            return self.net_energies(both, torch.cat([species, species])).view(2, -1).mean(dim=0)
        return self.net_energies(descriptors, species)

    def net_energies(self, descriptors: Tensor, species: Tensor) -> Tensor:
        """Run the nets once, without the mean over mirror images: (N, F), (N,) -> (N,) eV."""
        energies = torch.zeros(descriptors.shape[0], dtype=descriptors.dtype, device=descriptors.device)
        for index, (net, last) in enumerate(zip(self.nets, self.last)):  # noqa: B905 (TorchScript has no strict=)
            atoms = torch.nonzero(species == index)[:, 0]
            energies = energies.index_add(0, atoms, last(net(descriptors[atoms]))[:, 0])
        return energies

    def with_bias(self, energies: Tensor, species: Tensor) -> Tensor:
        """Add the energy bias of each atom's species: (N,), (N,) -> (N,) eV, float64."""
        return energies.to(torch.float64) + self.bias[species]
