"""Compress a model: tables (dp_sim.descriptors.tabulated) replace its embedding nets, several times faster."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dp_sim.config.model import ModelConfig
from dp_sim.descriptors.deepmd_kit import DeepmdKitDescriptor, Hybrid
from dp_sim.descriptors.descriptor import Descriptor
from dp_sim.descriptors.environment import Environment
from dp_sim.descriptors.shared_slots import GatedEmbedding, SharedSlots
from dp_sim.descriptors.smooth import SmoothDescriptor
from dp_sim.descriptors.tabulated import HermiteTable, TabulatedDeepmdKit, TabulatedDescriptor
from dp_sim.errors import InputError
from dp_sim.model.potential import DeepPotential, set_precision
from dp_sim.networks.dense import Network
from dp_sim.structures.checks import COINCIDENT_ANGSTROM

#: Width of a segment, 1/Angstrom, at distances that occur between atoms.
SPACING = 0.005
#: Closest approach of atoms where there are no data on it, Angstrom.
CLOSEST_ANGSTROM = 0.5
#: Segments get wider below this fraction of the closest approach in the data.
MARGIN = 0.8
#: There, each segment is wider than the one before by this ratio, up to two atoms at the same position.
RATIO = 1.02


@dataclass(frozen=True)
class Compression:
    """What was done to a model, kept in the metadata of its file.

    Attributes
    ----------
    spacing
        Width of a segment in s, 1/Angstrom, down to the distance `fine_to`.
    fine_to
        Angstrom.
    knots, tables
        Numbers of knots and of tables.
    error
        Largest deviation of G from its net, and of dG/ds (Angstrom), between knots at and above `fine_to`.
    error_nearer
        The same below `fine_to`, where segments are wider.
    """

    spacing: float
    fine_to: float
    knots: int
    tables: int
    error: tuple[float, float]
    error_nearer: tuple[float, float]


def compress(
    model: DeepPotential, training: dict[str, Any] | None = None, spacing: float = SPACING
) -> tuple[DeepPotential, dict[str, Any]]:
    """Replace the embedding nets of a model by tables.

    Parameters
    ----------
    model
        A model whose descriptor, or every part of it, has embedding nets.
    training
        Training section of the model file; the closest approach comes from the radial distribution there.
    spacing
        Width of a segment in s, 1/Angstrom.

    Returns
    -------
    tuple of DeepPotential and dict
        The compressed model, and the fields of Compression.

    Raises
    ------
    InputError
        A model without embedding nets of a distance, or compressed already; a spacing out of range.
    """
    if not 1e-4 <= spacing <= 0.1:
        raise InputError(
            "setting-out-of-range",
            f"spacing must lie between 0.0001 and 0.1 (1/Angstrom), got {spacing}; try {SPACING}",
        )
    fine_to = MARGIN * closest_approach(training or {})
    precision = next(model.fitting.nets.parameters()).dtype
    knots = make_knots(spacing, 1.0 / fine_to)
    compressed = copy.deepcopy(model)
    compressed.descriptor, errors = _tabulated(compressed.descriptor.to(torch.float64).requires_grad_(False), knots)
    set_precision(compressed, precision)
    fine = knots[knots <= 1 / fine_to + 1e-9]
    error, nearer = (_largest([one.between(region) for one in errors]) for region in (fine, knots))
    count = sum(len(one.functions) for one in errors)
    return compressed, asdict(Compression(spacing, fine_to, len(knots), count, error, nearer))


def _tabulated(descriptor: Descriptor, knots: Tensor) -> tuple[Descriptor, list[_TableErrors]]:
    """Make a float64 descriptor with tables in place of nets, and the errors of each table."""
    if isinstance(descriptor, Hybrid):
        done = [_tabulated(part, knots) for part in descriptor.parts.children()]  # type: ignore[arg-type]
        return Hybrid([part for part, _ in done]), [error for _, errors in done for error in errors]
    shared = isinstance(descriptor, SharedSlots) and descriptor.is_sum_over_neighbors()
    if not shared and type(descriptor) not in (SmoothDescriptor, DeepmdKitDescriptor):
        raise InputError(
            "model-not-compressible",
            f"this model cannot be compressed, because of its descriptor ({type(descriptor).__name__}): tables are "
            "made of embedding nets that see one distance (deeppot-se, radial, se_e2_a, se_e2_r), not of angles "
            "(se_e3), of local frames, of DPA-1 that is smooth, shifted by a mean or excludes pairs, or of a "
            "compressed model",
        )
    assert isinstance(descriptor, (SmoothDescriptor, DeepmdKitDescriptor, SharedSlots))
    functions, table_of = _functions(descriptor)
    values = torch.stack([torch.stack(function(knots), dim=1) for function in functions])
    table = HermiteTable(knots, values)
    errors = [_TableErrors(table, functions)]
    if not isinstance(descriptor, DeepmdKitDescriptor):
        return TabulatedDescriptor(descriptor.environment, table, table_of, descriptor.contraction), errors
    zero_input = torch.zeros_like(descriptor.environment.mean)
    zero = descriptor.values(zero_input[:, None])
    return TabulatedDeepmdKit(descriptor, table, table_of, values[table_of, 0, 0], zero), errors


def compress_file(source: Path, target: Path, spacing: float = SPACING) -> dict[str, Any]:
    """Compress a model file.

    Parameters
    ----------
    source, target
        The model file, and the file to write.
    spacing
        Width of a segment in s, 1/Angstrom.

    Returns
    -------
    dict
        The fields of Compression.

    Raises
    ------
    InputError
        As `compress`; a file that is no model; a target that cannot be written.
    """
    from dp_sim.model.evaluator import eager_model
    from dp_sim.model.model_file import load_model, save_model

    model = load_model(source)
    if model.metadata.compression:
        raise InputError(
            "model-compressed", f"{source} is compressed already; compress the model that it was made from"
        )
    training = {**model.metadata.training, "compressed_from_sha256": model.metadata.sha256}
    compressed, done = compress(eager_model(model), model.metadata.training, spacing)
    save_model(target, compressed, ModelConfig.model_validate(model.metadata.config), training, done)
    return done


def closest_approach(training: dict[str, Any]) -> float:
    """Find the shortest distance (Angstrom) in the radial distribution of the training data, or CLOSEST_ANGSTROM."""
    distribution = training.get("radial_distribution", {})
    densities = [density for name, density in distribution.items() if name != "r"]
    occupied = [r for r, *column in zip(distribution.get("r", []), *densities, strict=True) if any(column)]
    return min(occupied, default=CLOSEST_ANGSTROM)


def make_knots(spacing: float, dense_end: float) -> Tensor:
    """Make the knots of a table.

    Parameters
    ----------
    spacing
        Width of the segments from s = 0 to at least `dense_end`, 1/Angstrom.
    dense_end
        1/Angstrom; from there on each segment is wider than the one before by RATIO.

    Returns
    -------
    (K,) tensor
        1/Angstrom, ascending, up to two atoms on one spot.
    """
    uniform = torch.arange(int(-(-dense_end // spacing)) + 1, dtype=torch.float64) * spacing
    knots = uniform.tolist()
    ratio = max(RATIO, 1.0 + spacing / knots[-1])
    while knots[-1] < 1.0 / COINCIDENT_ANGSTROM:
        knots.append(knots[-1] * ratio)
    return torch.tensor(knots, dtype=torch.float64)


class _EmbeddingFunction:
    """G, dG/ds and d2G/ds2, each (P, M1), of s (P,): one net, with the normalisation of one species of the centre.

    `factor` (M1,) multiplies the output of the net.
    """

    def __init__(self, net: Network, environment: Environment, center_species: int, factor: Tensor) -> None:
        self.net, self.environment, self.species, self.factor = net, environment, center_species, factor

    def __call__(self, s: Tensor) -> list[Tensor]:
        center = torch.full_like(s, self.species, dtype=torch.int64)
        s = s.detach().requires_grad_(True)
        g = self.net(self.environment.net_input(s, center)) * self.factor
        slope = _row_derivative(g, s)
        return [value.detach() for value in (g, slope, _row_derivative(slope, s))]


def _row_derivative(values: Tensor, s: Tensor) -> Tensor:
    """Compute d values (P, M1) / d s (P,), where each row depends only on its own s.

    Reverse differentiation gives J^T v, which is linear in v; differentiating that by v gives all columns of J at once.
    """
    v = torch.zeros_like(values, requires_grad=True)
    (transposed,) = torch.autograd.grad(values, s, v, create_graph=True)
    return torch.autograd.grad(transposed.sum(), v, create_graph=True)[0]


def _functions(
    descriptor: SmoothDescriptor | DeepmdKitDescriptor | SharedSlots,
) -> tuple[list[_EmbeddingFunction], Tensor]:
    """Find the distinct functions, and the index (T, T) of the function for the species of centre and neighbour."""
    environment, embedding = descriptor.environment, descriptor.embedding
    n_species = embedding.n_species
    factors = 1.0 + embedding.gates if isinstance(embedding, GatedEmbedding) else None
    known: dict[tuple[float, ...], int] = {}
    functions: list[_EmbeddingFunction] = []
    table_of = torch.zeros(n_species, n_species, dtype=torch.int64)
    for i in range(n_species):
        for j in range(n_species):
            net = int(embedding.net_index(torch.tensor(i), torch.tensor(j)))
            factor = torch.ones(1, dtype=torch.float64) if factors is None else factors[i, j]
            key = (environment.mean[i].item(), environment.deviation[i].item(), net, *factor.tolist())
            if key not in known:
                known[key] = len(functions)
                functions.append(_EmbeddingFunction(embedding.nets[net], environment, i, factor))  # type: ignore[arg-type]
            table_of[i, j] = known[key]
    return functions, table_of


class _TableErrors:
    """Deviations of a table from the functions that it was made of."""

    def __init__(self, table: HermiteTable, functions: list[_EmbeddingFunction]) -> None:
        self.table, self.functions = table, functions

    def between(self, knots: Tensor) -> tuple[float, float]:
        """Compute the largest deviation of G and of dG/ds between these knots."""
        widths = knots[1:] - knots[:-1]
        s = torch.cat([knots[:-1] + share * widths for share in (0.1, 0.3, 0.5, 0.7, 0.9)]).requires_grad_(True)
        value, slope = 0.0, 0.0
        for index, function in enumerate(self.functions):
            g, dg, _ = function(s)
            got = self.table(s, torch.full_like(s, index, dtype=torch.int64))
            value = max(value, float((got.detach() - g).abs().max()))
            slope = max(slope, float((_row_derivative(got, s).detach() - dg).abs().max()))
        return value, slope


def _largest(errors: list[tuple[float, float]]) -> tuple[float, float]:
    return max(value for value, _ in errors), max(slope for _, slope in errors)
