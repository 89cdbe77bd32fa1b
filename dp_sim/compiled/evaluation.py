"""The compiled path on CPUs: energies and forces in one call of a compiled operator (dp_sim/compiled/kernels).

    pairs --> T, D --fitting net--> E --> dE/dD --> dE/dr_ij --> forces, virial

For every pair, G(s) comes from an embedding net or, in a compressed model (dp_sim.descriptors.tabulated), from a table.
An outer product and a sum over neighbours give T (eq. 10), and a contraction gives the features D (eq. 11). dG/ds is
computed forward through the embedding net, together with G; both are kept while dE/dD comes backward through the
fitting net. A descriptor may have several parts, each with its own cutoff; their features are concatenated. Each thread
processes a few atoms of one species from start to end (kernels/evaluation.cpp): memory stays bounded, intermediate
results stay in the cache, and threads synchronise twice a step.

A descriptor gives its compiled form by `compiled_layout`, a PartLayout for each part. se_e3, a hybrid with such a part
and a local frame have none: those models run in TorchScript.

The operator has no derivative: Hessians, and energies without forces, use the differentiable path. Both paths agree to
rounding. In float32 they agree to 1e-5 in ordinary models, because distances are float32 in the differentiable path
and float64 in the operator (with a switch as steep as 0.1 Angstrom, to 3e-4).
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
from dp_sim.torchscript import script

logger = logging.getLogger(__name__)


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("models run several times slower here than they could: %s", reason)


def compile_potential(potential: Any, parts: Sequence[PartLayout] | None) -> torch.jit.ScriptModule | None:
    """Make the compiled path of a potential.

    Parameters
    ----------
    potential
        A dp_sim.model.potential.Potential on the CPU, scripted or not.
    parts
        The layout of its descriptor (`dp_sim.descriptors.descriptor.compiled_layout`); None: it has no compiled form.

    Returns
    -------
    torch.jit.ScriptModule or None
        None where there is no compiled path: the descriptor has none, or there is no library.
    """
    if parts is None:
        return None
    reason = register_operators()
    if reason:
        _say_once(reason)
        return None
    return script(CompiledPotential(potential.model.fitting, parts).eval())


def evaluate_compiled(
    module: torch.jit.ScriptModule, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
) -> ModelOutput:
    """Compute energies, and forces and virial if asked for, as dp_sim.model.derivatives.evaluate does.

    Parameters
    ----------
    module
        From `compile_potential`.
    batch, pairs
        The systems and their pairs.
    forces, virial
        Whether to return forces (N, 3), eV/Angstrom, and virial (S, 3, 3), eV.
    """
    atomic, f, w = module.energies_and_forces(*batch, *pairs)
    return ModelOutput(sum_per_system(atomic, batch), atomic, f if forces else None, w if virial else None)


def evaluate_compiled_with_hidden(
    module: torch.jit.ScriptModule, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
) -> tuple[ModelOutput, torch.Tensor]:
    """Do the same, and return the last hidden layer (N, H) of each atom's fitting net, float64, at next to no cost."""
    hidden, nothing = torch.empty(len(batch.species), module.hidden_width, dtype=torch.float64), torch.empty(0).double()
    atomic, f, w = module.timed(*batch, *pairs, nothing, hidden)
    return ModelOutput(sum_per_system(atomic, batch), atomic, f if forces else None, w if virial else None), hidden
