"""Descriptors in local frames: DeePMD (Zhang et al., PRL 120, 143001, 2018), Deep Potential (Han et al., CiCP 2018).

Every atom i has a frame of its own, made of two of its neighbours a and b:

    e1 = r_ia/|r_ia|,    e2 = (r_ib - (r_ib.e1) e1)/|...|,    e3 = e1 x e2

and describes each neighbour j by its coordinates (x, y, z) there, R its distance:

    local-frame       (1/R, x/R^2, y/R^2, z/R^2), or 1/R alone for neighbours farther out     DeePMD
    deep-potential    (1/R, cos theta, cos phi, sin phi), z = R cos theta                     Deep Potential

Neighbours fill a fixed number of slots, by species and, within one, by distance; empty slots hold zeros. The inputs
are invariant to rotation and to permutation of like atoms, at a price: they jump where two neighbours swap slots,
where a or b changes, and where a neighbour with inputs other than zero crosses the cutoff. DeepPot-SE was made to cure
this.

What the papers leave open is settled here by symmetry:

* Some orientations are not defined (one neighbour; all on a line; no atom that `axes` asks for) and must not matter:
  along such directions the coordinates are zero. b is never (within 0.6 degrees) on the line of a.
* Neighbours at equal distances, as in crystals, are ordered by quantities that are invariant to rotation; see `_rank`.
* A reflection changes the sign of z, but not the energy: the model takes the mean over D and its mirror image
  (`mirror_signs`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.neighbors.pairs import StructurePairs, pair_vectors
from dp_sim.structures.batch import AtomicBatch, NeighborList

#: Below this sine of the angle between a and b (0.6 degrees) their plane is not defined.
COLLINEAR = 1e-2
#: Distances and coordinates nearer than this (Angstrom) are equal: differences of rounding must not decide.
EQUAL = 1e-6
#: Deviations smaller than this are not divided by: the inputs would be blown up.
SMALLEST_DEVIATION = 1e-2


class Slots(NamedTuple):
    """The pairs that have inputs (K all four, L only 1/R), the positions of their inputs, and the frames.

    Positions are those among all N n_features inputs.
    """

    full: Tensor  # (K,) pairs with four inputs
    full_start: Tensor  # (K,) position of the first of them
    radial: Tensor  # (L,) pairs with 1/R alone
    radial_start: Tensor  # (L,)
    first: Tensor  # (N,) pair that points to a; P where there is none
    second: Tensor  # (N,) pair that points to b; P where there is none


def _unit(vectors: Tensor, shortest: float = EQUAL) -> Tensor:
    """Normalise vectors (K, 3), Angstrom; those too short to have a direction become zero with zero derivative."""
    square = (vectors * vectors).sum(dim=1, keepdim=True)
    long_enough = square > shortest * shortest
    inverse = torch.where(long_enough, square, torch.ones_like(square)).rsqrt()
    return vectors * torch.where(long_enough, inverse, torch.zeros_like(inverse))


def _reject(vectors: Tensor, axis: Tensor) -> Tensor:
    """Project `vectors` (K, 3) onto the planes normal to the unit vectors `axis` (K, 3)."""
    return vectors - (vectors * axis).sum(dim=1, keepdim=True) * axis


def coordinates(own: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Compute (x, y, z) of j in the frame (K, 3) from r_ij, r_ia, r_ib (K, 3); zero along axes that are not defined."""
    e1 = _unit(first)
    e2 = _unit(_reject(second, e1))
    e3 = torch.cross(e1, e2, dim=1)
    return torch.stack([(own * e1).sum(dim=1), (own * e2).sum(dim=1), (own * e3).sum(dim=1)], dim=1)


def cartesian_inputs(own: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Compute (1/R, x/R^2, y/R^2, z/R^2) of each pair (K, 4) from r_ij, r_ia and r_ib (K, 3)."""
    distance = torch.linalg.vector_norm(own, dim=1, keepdim=True)
    return torch.cat([1.0 / distance, coordinates(own, first, second) / (distance * distance)], dim=1)


def spherical_inputs(own: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Compute (1/R, cos theta, cos phi, sin phi) of each pair (K, 4); on the polar axis the last two are zero."""
    local = coordinates(own, first, second)
    distance = torch.linalg.vector_norm(own, dim=1, keepdim=True)
    in_plane = _unit(torch.cat([local[:, :2], torch.zeros_like(local[:, 2:])], dim=1))
    return torch.cat([1.0 / distance, local[:, 2:] / distance, in_plane[:, :2]], dim=1)


def _rank(keys: list[Tensor]) -> Tensor:
    """Find the indices that sort by the first key, ties by the second, and so on."""
    order = torch.arange(keys[0].shape[0], device=keys[0].device)
    for back in range(len(keys)):
        key = keys[len(keys) - 1 - back]
        order = order[torch.sort(key[order], stable=True)[1]]
    return order


def _whole(lengths: Tensor, step: float = EQUAL) -> Tensor:
    """Round lengths to whole steps, so that rounding errors do not tell equal ones apart."""
    return torch.round(lengths / step).to(torch.int64)


class LocalFrame(Descriptor):
    """Inputs of the frames, shifted and scaled to mean 0 and deviation 1 per species of the centre.

    Parameters
    ----------
    full, radial
        (T,) slots per neighbour species with four inputs, and after them with 1/R alone.
    axes
        (T, 2) species of a and b per species of the centre, -1 for any. Each is the nearest such neighbour.
    spherical
        Inputs of Deep Potential in place of those of DeePMD.
    """

    mean: Tensor
    deviation: Tensor
    axes: Tensor
    full: Tensor
    radial: Tensor
    start: Tensor

    def __init__(self, full: Sequence[int], radial: Sequence[int], axes: Sequence[Sequence[int]], spherical: bool):
        super().__init__()
        sizes = [4 * a + r for a, r in zip(full, radial, strict=True)]
        self.n_species, self.n_features, self.spherical = len(sizes), sum(sizes), spherical
        self.collinear = COLLINEAR
        for name, numbers in (("full", full), ("radial", radial), ("axes", axes)):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.int64))
        starts = [sum(sizes[:t]) for t in range(len(sizes))]
        self.register_buffer("start", torch.tensor(starts, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(self.n_species, self.n_features))
        self.register_buffer("deviation", torch.ones(self.n_species, self.n_features))

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features)."""
        vectors = pair_vectors(batch, pairs)  # frames in the precision of the geometry: rounding decides ties
        plain = self.inputs(vectors, self.slots(vectors, pairs.center, pairs.neighbor, batch.species), pairs.center)
        plain = plain.view(batch.species.shape[0], self.n_features).to(self.mean.dtype)
        return (plain - self.mean[batch.species]) / self.deviation[batch.species]

    def inputs(self, vectors: Tensor, slots: Slots, center: Tensor) -> Tensor:
        """Compute the inputs of all atoms before shift and scale.

        Parameters
        ----------
        vectors
            (P, 3) Angstrom.
        slots
            From `slots`.
        center
            (P,) ascending.

        Returns
        -------
        (N n_features,) tensor
            One atom after another.
        """
        with_none = torch.cat([vectors, vectors.new_zeros(1, 3)])
        own, atoms = vectors[slots.full], center[slots.full]
        four = self.full_inputs(own, with_none[slots.first[atoms]], with_none[slots.second[atoms]])
        one = 1.0 / torch.linalg.vector_norm(vectors[slots.radial], dim=1)
        index = torch.cat([(slots.full_start[:, None] + torch.arange(4, device=center.device)).reshape(-1),
                           slots.radial_start])  # fmt: skip
        size = slots.first.shape[0] * self.n_features
        return vectors.new_zeros(size).index_copy(0, index, torch.cat([four.reshape(-1), one]))

    def full_inputs(self, own: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Compute four inputs (K, 4) from r_ij, r_ia and r_ib (K, 3), which are zero where a or b is missing."""
        return spherical_inputs(own, first, second) if self.spherical else cartesian_inputs(own, first, second)

    def slots(self, vectors: Tensor, center: Tensor, neighbor: Tensor, species: Tensor) -> Slots:
        """Choose the frames and give every neighbour its slot. This is the part that jumps; it carries no gradient.

        Parameters
        ----------
        vectors
            (P, 3) Angstrom.
        center, neighbor
            (P,) atoms of each pair, centres ascending.
        species
            (N,) of all atoms.
        """
        vectors = vectors.detach()
        first, second = self.frames(vectors, center, species[neighbor], species)
        with_none = torch.cat([vectors, vectors.new_zeros(1, 3)])
        local = coordinates(vectors, with_none[first[center]], with_none[second[center]])
        group = center * self.n_species + species[neighbor]
        distance = torch.linalg.vector_norm(vectors, dim=1)
        backwards = -_whole(local)
        order = _rank([group, _whole(distance), backwards[:, 0], backwards[:, 1], backwards[:, 2]])
        counts = torch.bincount(group, minlength=species.shape[0] * self.n_species)
        slot = torch.zeros_like(group)
        slot[order] = (
            torch.arange(group.shape[0], device=group.device) - (torch.cumsum(counts, 0) - counts)[group[order]]
        )
        kind = species[neighbor]
        full = torch.nonzero(slot < self.full[kind])[:, 0]
        radial = torch.nonzero((slot >= self.full[kind]) & (slot < (self.full + self.radial)[kind]))[:, 0]
        start = center * self.n_features + self.start[kind]
        behind = start + 3 * self.full[kind] + slot  # four for each full slot, one for each after them
        return Slots(full, start[full] + 4 * slot[full], radial, behind[radial], first, second)

    def frames(self, vectors: Tensor, center: Tensor, kind: Tensor, species: Tensor) -> tuple[Tensor, Tensor]:
        """Find the pairs (N,) that point to a and to b of each atom; P where there is none.

        Of equally near neighbours a is the one towards the denser side, b the one nearest to a; where that is equal
        too, they are equivalent by symmetry.

        Parameters
        ----------
        vectors
            (P, 3) Angstrom.
        center
            (P,) ascending.
        kind
            (P,) species of the neighbours.
        species
            (N,) of all atoms.
        """
        n_atoms, n_pairs = species.shape[0], center.shape[0]
        distance = torch.linalg.vector_norm(vectors, dim=1)
        unit = _unit(vectors)
        weight = torch.exp(-distance) * (1.0 + kind.to(distance.dtype))
        side = vectors.new_zeros(n_atoms, 3).index_add(0, center, weight[:, None] * unit)[center]
        near, towards = _whole(distance), -_whole((side * unit).sum(dim=1))
        wanted = self.axes[species[center]]
        allowed = (wanted[:, 0] < 0) | (wanted[:, 0] == kind)
        first = self.first_of_each(_rank([center, near, kind, towards]), center, allowed, n_atoms)
        e1 = torch.cat([unit, vectors.new_zeros(1, 3)])[first[center]]
        sine = torch.linalg.vector_norm(_reject(unit, e1), dim=1)
        allowed = ((wanted[:, 1] < 0) | (wanted[:, 1] == kind)) & (sine > self.collinear) & (first[center] < n_pairs)
        beside = -_whole((unit * e1).sum(dim=1))
        return first, self.first_of_each(_rank([center, near, kind, beside, towards]), center, allowed, n_atoms)

    def first_of_each(self, order: Tensor, center: Tensor, allowed: Tensor, n_atoms: int) -> Tensor:
        """Find the first allowed pair of each atom.

        Parameters
        ----------
        order
            (P,) indices of the pairs, best first within each centre, centres ascending.
        center
            (P,) centre of each pair.
        allowed
            (P,) bool.
        n_atoms
            N.

        Returns
        -------
        (N,) tensor
            Index of the pair; P where an atom has none.
        """
        chosen = order[allowed[order]]
        centers = center[chosen]
        starts = torch.ones_like(centers, dtype=torch.bool)
        starts[1:] = centers[1:] != centers[:-1]
        result = torch.full((n_atoms,), center.shape[0], dtype=torch.int64, device=center.device)
        result[centers[starts]] = chosen[starts]
        return result

    def mirror_signs(self) -> Tensor:
        """Return the signs (n_features,) that a reflection gives to the inputs."""
        signs = torch.ones(self.n_features)
        odd = 1 if self.spherical else 3  # cos theta; z/R^2
        for start, slots in zip(self.start.tolist(), self.full.tolist(), strict=True):
            signs[start + odd : start + 4 * slots : 4] = -1.0
        return signs

    def plain_inputs(self, frame: StructurePairs) -> Tensor:
        """Compute the inputs of one frame before shift and scale (N, n_features), float64."""
        slots = self.slots(frame.vectors, frame.center, frame.neighbor, frame.species)
        return self.inputs(frame.vectors, slots, frame.center).view(-1, self.n_features)

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Set mean and deviation over all atoms of a species and their mirror images, empty slots included."""
        count = torch.zeros(self.n_species, dtype=torch.float64)
        total = torch.zeros(self.n_species, self.n_features, dtype=torch.float64)
        square = torch.zeros_like(total)
        for frame in frames:
            plain = self.plain_inputs(frame)
            count += torch.bincount(frame.species, minlength=self.n_species)
            total.index_add_(0, frame.species, plain)
            square.index_add_(0, frame.species, plain.square())
        count = count.clamp_min(1.0)[:, None]
        mean = torch.where(self.mirror_signs() > 0, total / count, torch.zeros_like(total))
        deviation = (square / count - mean.square()).clamp_min(0.0).sqrt()
        never = square == 0  # a slot that no atom of the data fills
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(never, torch.ones_like(mean), deviation.clamp_min(SMALLEST_DEVIATION)))


def local_frame(config: ModelConfig) -> LocalFrame:
    """Make the descriptor that the settings ask for, with neutral statistics."""
    species = config.species
    spherical = config.descriptor == "deep-potential"
    full = per_species(config.angular_neighbors, species)
    radial = [0] * len(species) if spherical else per_species(config.radial_neighbors, species)
    axes = [[species.index(s) for s in config.axes[c]] if c in config.axes else [-1, -1] for c in species]
    return LocalFrame(full, radial, axes, spherical)


def per_species(numbers: int | dict[str, int], species: tuple[str, ...]) -> list[int]:
    """List the number of each species; `numbers` is one for all, or has one for each symbol."""
    return [numbers if isinstance(numbers, int) else numbers[symbol] for symbol in species]
