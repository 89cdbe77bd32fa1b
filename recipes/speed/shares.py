"""Where the time of a step goes: neighbour list, descriptor, fitting net, derivative.

The first three are run alone, one after the other, and timed. The derivative (forces and virial, and what joins the
parts) is the rest of a whole evaluation. The compiled path is one operator with its own clock;
dE/dD comes out of the fitting net at once and counts there. On one thread the clock is that of the processor, which
other work on the machine disturbs less.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ase import Atoms

from dp_sim.model.evaluator import Model, eager_model
from dp_sim.structures.batch import AtomicBatch, NeighborList
from dp_sim.torchscript import script

PARTS = ("neighbor_list", "descriptor", "fitting_net", "derivative")


def path_of(model: Model) -> str:
    """Tell which path an evaluation takes: compiled operators, TorchScript alone, or TorchScript on a GPU."""
    if model.device.type != "cpu":
        return f"GPU ({model.device.type})"
    kinds = ["TorchScript" if compiled is None else "compiled" for compiled in model.compiled]
    return " + ".join(sorted(set(kinds)))


def measure_shares(model: Model, atoms: Atoms, rounds: int) -> dict[str, float]:
    """Measure the fraction of a step that each of PARTS takes.

    The members of a committee are summed.

    Parameters
    ----------
    model, atoms
        What is timed.
    rounds
        Evaluations that count, after three that do not.

    Returns
    -------
    dict
        Part -> fraction, a median over the rounds; their sum is 1.
    """
    members = [compiled or _networks(model, index) for index, compiled in enumerate(model.compiled)]
    seconds = np.array([_parts_of_one(model, members, atoms) for _ in range(rounds + 3)])[3:]
    neighbor, descriptor, fitting, whole = np.median(seconds, axis=0)
    rest = max(whole - neighbor - descriptor - fitting, 0.0)
    parts = np.array([neighbor, descriptor, fitting, rest])
    return dict(zip(PARTS, (parts / parts.sum()).tolist(), strict=True))


def _networks(model: Model, index: int) -> Any:
    """Rebuild a member from today's modules: those in files of earlier versions are divided otherwise."""
    member = Model([model.modules[index]], [model.members[index]], str(model.device))
    return script(eager_model(member).to(model.device).requires_grad_(False).eval())


def _parts_of_one(model: Model, members: Sequence[Any], atoms: Atoms) -> tuple[float, float, float, float]:
    """Time the neighbour list, the descriptors, the fitting nets, and a whole evaluation; seconds."""
    begin = _now(model)
    batch, pairs = model.prepare(atoms)
    neighbor = _now(model) - begin
    descriptor = fitting = 0.0
    for member, compiled in zip(members, model.compiled, strict=True):
        clock = _time_networks if compiled is None else _time_compiled
        one, other = clock(model, member, batch, pairs)
        descriptor, fitting = descriptor + one, fitting + other
    begin = _now(model)
    model.evaluate(atoms, virial=True)
    return neighbor, descriptor, fitting, _now(model) - begin


def _time_networks(model: Model, networks: Any, batch: AtomicBatch, pairs: NeighborList) -> tuple[float, float]:
    """Time descriptor and fitting net, with the graph that a derivative needs, as in an evaluation; seconds."""
    start = _now(model)
    features = networks.descriptor(batch._replace(positions=batch.positions.detach().requires_grad_(True)), pairs)
    between = _now(model)
    networks.fitting(features, batch.species)
    return between - start, _now(model) - between


def _time_compiled(model: Model, compiled: Any, batch: AtomicBatch, pairs: NeighborList) -> tuple[float, float]:
    """Time descriptor and fitting net by the operator's own clock; seconds."""
    seconds = torch.zeros(3, dtype=torch.float64)
    start = _now(model)
    compiled.timed(*batch, *pairs, seconds, torch.empty(0, dtype=torch.float64))
    descriptor, fitting, _ = ((_now(model) - start) * seconds / seconds.sum()).tolist()
    return descriptor, fitting


def _now(model: Model) -> float:
    """Read the clock, seconds, once an accelerator has finished its work."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
    elif torch.get_num_threads() == 1:
        return time.process_time()
    return time.perf_counter()
