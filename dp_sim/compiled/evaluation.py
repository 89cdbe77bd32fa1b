"""The compiled path on processors: energies and forces in one call of a compiled operator (dp_sim/compiled/kernels).

    pairs --> T, D --fitting net--> E --> dE/dD --> dE/dr_ij --> forces, virial

Before the descriptors D (eq. 11) there are, for every pair, its embedding net or, in a compressed model
(dp_sim.descriptors.tabulated), a table lookup, then an outer product, a sum over neighbours (T, eq. 10), a contraction;
on the way back dG/ds is taken forward through the net. A fitting net hands its derivative back through its own layers.
A thread takes a few atoms of one species all the way (kernels/evaluation.h): memory stays bounded, what passes between
the parts stays in its cache, and threads wait for each other twice a step.

The operator has no derivative: Hessians take the model's own, differentiable path, and so do energies alone. It gives
the same numbers, to rounding; in float32 to 1e-5 in ordinary models, as it has distances in float32 and the operator
has them in float64 (a switch as steep as 0.1 Angstrom makes 3e-4 of that).
"""

from __future__ import annotations

import functools
import logging
from typing import Any

import torch

from dp_sim.compiled.embedding_layout import source
from dp_sim.compiled.library import register_operators
from dp_sim.compiled.potential import CompiledPotential
from dp_sim.structures.batch import AtomicBatch, ModelOutput, NeighborList, sum_per_system

logger = logging.getLogger(__name__)


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("models run several times slower here than they could: %s", reason)


def compile_potential(potential: Any) -> torch.jit.ScriptModule | None:
    """The compiled path of a potential, scripted; None where there is none: another descriptor, no library, a GPU."""
    descriptor = potential.model.descriptor
    if potential.model.fitting.bias.device.type != "cpu":
        return None
    found = source(descriptor)
    if found is None:
        return None
    reason = register_operators()
    if reason:
        _say_once(reason)
        return None
    return torch.jit.script(CompiledPotential(potential, found).eval())


def evaluate_compiled(
    module: torch.jit.ScriptModule, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
) -> ModelOutput:
    """Energy (S,), atomic energies (N,), forces (N, 3), virial (S, 3, 3), as dp_sim.model.derivatives.evaluate."""
    atomic, f, w = module.energies_and_forces(*batch, *pairs)
    return ModelOutput(sum_per_system(atomic, batch), atomic, f if forces else None, w if virial else None)
