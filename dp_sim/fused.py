"""The fast path on processors: energies and forces in one call of a compiled operator (dp_sim/kernels).

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

import ctypes
import functools
import importlib.util
import logging
from typing import Any

import torch

from dp_sim.batch import AtomicBatch, ModelOutput, NeighborList
from dp_sim.fused_module import FusedPotential
from dp_sim.fused_sources import source
from dp_sim.gradients import sum_per_system

logger = logging.getLogger(__name__)

#: Of the operators' arguments; the compiled library has the same number (kernels/operators.cpp).
OPERATORS_VERSION = 8


@functools.cache
def register_operators() -> str:
    """Load the compiled library, which makes torch.ops.dp_sim known. An empty string, or why it cannot be used."""
    spec = importlib.util.find_spec("dp_sim._kernels")
    if spec is None or spec.origin is None:
        return "dp-sim was installed without a C++ compiler"
    try:
        library = ctypes.CDLL(spec.origin)
        version = ctypes.c_int.in_dll(library, "dp_sim_operators_version").value
        register = library.dp_sim_register_operators
    except (OSError, AttributeError, ValueError) as error:
        return str(error)
    if version != OPERATORS_VERSION:
        return f"{spec.origin} was compiled for another version of dp-sim; install dp-sim again"
    register.restype = ctypes.c_char_p
    message = register()
    return message.decode() if message else ""


@functools.cache
def _say_once(reason: str) -> None:
    logger.warning("models run several times slower here than they could: %s", reason)


def fuse(potential: Any) -> torch.jit.ScriptModule | None:
    """The fast path of a potential, scripted; None where there is none: another descriptor, no library, a GPU."""
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
    return torch.jit.script(FusedPotential(potential, found).eval())


def evaluate_fused(
    module: torch.jit.ScriptModule, batch: AtomicBatch, pairs: NeighborList, forces: bool, virial: bool
) -> ModelOutput:
    """Energy (S,), atomic energies (N,), forces (N, 3), virial (S, 3, 3), as dp_sim.gradients.evaluate gives them."""
    atomic, f, w = module.energies_and_forces(*batch, *pairs)
    return ModelOutput(sum_per_system(atomic, batch), atomic, f if forces else None, w if virial else None)
