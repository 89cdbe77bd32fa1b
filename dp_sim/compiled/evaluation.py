"""The compiled path on processors: energies and forces in one call of a compiled operator (dp_sim/compiled/kernels).

    pairs --> T, D --fitting net--> E --> dE/dD --> dE/dr_ij --> forces, virial

For every pair there is G(s), from an embedding net or, in a compressed model (dp_sim.descriptors.tabulated), from a
table; then an outer product, a sum over neighbours (T, eq. 10), and a contraction to the features D (eq. 11). dG/ds is
taken forward through the embedding net, dE/dD backward through the fitting net. A descriptor may have several parts,
each with a cutoff of its own, whose features lie side by side. A thread takes a few atoms of one species all the way
(kernels/evaluation.cpp): memory stays bounded, intermediate results stay in its cache, and threads wait for each other
twice a step.

A descriptor says what its compiled form is (`compiled_layout`, a PartLayout for each part). That of se_e3 has none, nor
has a hybrid with such a part, nor has a local frame: those models run in TorchScript.

The operator has no derivative: Hessians, and energies without forces, come from the differentiable path. Both paths
give the same numbers to rounding; in float32 to 1e-5 in ordinary models, because the differentiable path has distances
in float32 and the operator has them in float64 (a switch as steep as 0.1 Angstrom makes 3e-4 of that).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import torch

from dp_sim.compiled.library import register_operators
from dp_sim.compiled.part_layout import PartLayout
from dp_sim.compiled.potential import CompiledPotential
from dp_sim.structures.batch import AtomicBatch, ModelOutput, NeighborList, sum_per_system

logger = logging.getLogger(__name__)


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("models run several times slower here than they could: %s", reason)


def compile_potential(potential: Any, parts: Sequence[PartLayout] | None) -> torch.jit.ScriptModule | None:
    """Make the compiled path of a potential.

    Parameters
    ----------
    potential
        A dp_sim.model.potential.Potential on the processor, scripted or not.
    parts
        What its descriptor hands out (`dp_sim.descriptors.descriptor.compiled_layout`); None: it has no compiled form.

    Returns
    -------
    torch.jit.ScriptModule or None
        None where there is no compiled path: such a descriptor, or no library.
    """
    if parts is None:
        return None
    reason = register_operators()
    if reason:
        _say_once(reason)
        return None
    return torch.jit.script(CompiledPotential(potential.model.fitting, parts).eval())


def evaluate_compiled(
    module: torch.jit.ScriptModule, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
) -> ModelOutput:
    """Energy (S,), atomic energies (N,), forces (N, 3), virial (S, 3, 3), as dp_sim.model.derivatives.evaluate."""
    atomic, f, w = module.energies_and_forces(*batch, *pairs)
    return ModelOutput(sum_per_system(atomic, batch), atomic, f if forces else None, w if virial else None)
