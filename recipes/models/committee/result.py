"""The result of a committee's training: curves and errors of all members, errors of their mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from typing_extensions import override

from dp_sim.datasets.frames import Frame
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import load_model
from dp_sim.recipes.models.accuracy import ACCURACY_CAPTIONS, UNITS, accuracy_figures, error_quantities, error_words
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.training.accuracy import Parity, SystemErrors
from dp_sim.training.loop import CurvePoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Decimals of the columns of the table, by label.
_DECIMALS = {"energy": 5, "forces": 4, "virial": 5}


class Spread(NamedTuple):
    """Root mean square of the standard deviations over the members: energy per atom, and force components."""

    energy: float  # eV/atom
    forces: float  # eV/Angstrom


@dataclass(frozen=True, kw_only=True)
class CommitteeResult(Result):
    """A committee, trained in one call.

    Attributes
    ----------
    model
        The committee, opened from its folder.
    model_path
        The folder: what `load_model` and `-m` take.
    seeds
        (M,) of the members.
    curves
        (M,) learning curves (`dp_sim.training.loop.CurvePoint`).
    frames
        Number of frames that each member was fitted to; drawn ones counted as often as they were drawn.
    members_held_out
        (M,) errors of each member on the frames that it holds out; None without such frames.
    held_out
        Errors of the mean on the frames that all members hold out; None without such frames.
    spread
        Of the members on these frames.
    parities
        Labels and predictions of the mean there, for each composition.
    remarks
        What was decided while the data were read, and what is odd in them.
    """

    recipe: ClassVar[str] = "train"
    title: ClassVar[str] = "Training of a committee of Deep Potentials"

    model: Model
    model_path: Path
    seeds: tuple[int, ...]
    curves: tuple[tuple[CurvePoint, ...], ...]
    frames: int
    members_held_out: tuple[SystemErrors | None, ...]
    held_out: SystemErrors | None
    spread: Spread | None
    parities: tuple[Parity, ...]
    remarks: tuple[str, ...] = ()

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        last = [curve[-1] for curve in self.curves]
        quantities: dict[str, Quantity | Estimate] = {
            "species": Quantity(" ".join(self.model.metadata.species)),
            "members": Quantity(len(self.seeds)),
            "training_frames": Quantity(self.frames),
            "steps": Quantity(last[0].step),
            "member": Quantity([f"member-{number}" for number in range(len(self.seeds))]),
            "seed": Quantity(list(self.seeds)),
            "training_time": Quantity([point.seconds for point in last], "s"),
        }
        for label, unit in UNITS.items():
            values = [getattr(point, f"train_{label}") for point in last]
            if None not in values:
                quantities[f"members_training_{label}_rmse"] = Quantity(values, unit)
            own = [None if one is None else getattr(one, label).rmse for one in self.members_held_out]
            if None not in own:
                quantities[f"members_held_out_{label}_rmse"] = Quantity(own, unit)
        if self.held_out is not None:
            quantities["held_out_frames"] = Quantity(self.held_out.frames)
            quantities.update(error_quantities(self.held_out, "held_out_"))
        if self.spread is not None:
            quantities["held_out_energy_spread"] = Quantity(self.spread.energy, UNITS["energy"])
            quantities["held_out_forces_spread"] = Quantity(self.spread.forces, UNITS["forces"])
        return quantities

    @property
    @override
    def outcome(self) -> str:
        if self.held_out is None:
            return "trained; no frames that all members hold out tell how well"
        return error_words(self.held_out, self.parities, "frames that all members hold out")

    @property
    @override
    def basis(self) -> str:
        return f"{len(self.seeds)} members, each fitted to {self.frames} frames in {self.curves[0][-1].step} steps"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("held_out_forces_rmse", "held_out_energy_rmse", "held_out_forces_spread")

    @override
    def captions(self) -> dict[str, str]:
        return {
            "learning_curves": "Errors of each member while it was trained: faint on training batches, full on held-out"
            " frames. A member that stays behind the others spoils the mean.",
            **ACCURACY_CAPTIONS,
        }

    @override
    def tables(self) -> dict[str, QuantityTable]:
        columns = {"member": ("member", 0), "seed": ("seed", 0), "training_time": ("time", 0)}
        for part, words in (("training", "training"), ("held_out", "held out")):
            for label, decimals in _DECIMALS.items():
                columns[f"members_{part}_{label}_rmse"] = (f"{label} RMSE, {words}", decimals)
        caption = "Members: errors on their last training batches, and on the frames that each holds out."
        return {"members": QuantityTable(caption, columns)}

    @override
    def figures(self) -> dict[str, Figure]:
        figures = {"learning_curves": learning_curves_figure(self.curves)}
        if self.parities:
            figures |= accuracy_figures(self.parities)
        return figures

    @classmethod
    @override
    def read_from_directory(cls) -> Mapping[str, Callable[[Path], Any]]:
        return {"model": load_model, "model_path": lambda directory: directory}


def spread_of(model: Model, frames: Sequence[Frame]) -> Spread | None:
    """Evaluate how far the members lie apart on frames; None without frames."""
    if not frames:
        return None
    energies, forces = [], []
    for frame, output in zip(frames, model.evaluate_each(frames), strict=True):
        assert output.energy_std is not None
        assert output.forces_std is not None
        energies.append(output.energy_std.item() / len(frame.numbers))
        forces.append(output.forces_std.cpu().numpy().ravel())
    return Spread(*(float(np.sqrt(np.square(values).mean())) for values in (energies, np.concatenate(forces))))


def learning_curves_figure(curves: Sequence[Sequence[CurvePoint]]) -> Figure:
    """Plot the errors of all members against the step: held-out frames in full, training batches faint."""
    figure, (energy, forces) = new_panels([("step", "energy RMSE (meV/atom)"), ("step", "force RMSE (meV/Å)")])
    for panel, label in ((energy, "energy"), (forces, "forces")):
        for number, curve in enumerate(curves):
            colour, steps = COLOURS[number % len(COLOURS)], [point.step for point in curve]
            held_out = all(getattr(point, f"valid_{label}") is not None for point in curve)
            for part, alpha in (("train", 0.35 if held_out else 1.0), ("valid", 1.0)):
                values = [getattr(point, f"{part}_{label}") for point in curve]
                if None in values:
                    continue
                name = f"member-{number}" if alpha == 1.0 and len(curves) <= len(COLOURS) else None
                panel.semilogy(steps, [1000 * v for v in values], color=colour, alpha=alpha, lw=1.2, label=name)
        set_legend(panel)
    return figure
