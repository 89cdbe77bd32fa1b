"""Accuracy of a model on labelled data: errors and parity plot (Zhang et al., NeurIPS 2018, table 2 and fig. 2)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import as_calculator, loaded_model
from dp_sim.recipes.models.data_remarks import report_remarks
from dp_sim.recipes.models.settings import AccuracySettings
from dp_sim.recipes.results.figures import COLOURS, new_panels, set_legend
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.training.accuracy import ErrorPair, Parity, SystemErrors, compare, pool, system_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: More points than this only make a plot slow.
PLOTTED_POINTS = 20_000
ACCURACY_CAPTIONS = {
    "parity": "Predictions over labels: points on the line are right, their distance from it is the error.",
    "errors": "How many errors are smaller than the one below; dashed: half of them, and 95 %.",
}
#: Error of the forces over the forces (both root mean squares) above which a model is called not yet useful.
USEFUL_SHARE = 0.2
UNITS = {"energy": "eV/atom", "forces": "eV/Angstrom", "virial": "eV/atom"}


@dataclass(frozen=True, kw_only=True)
class AccuracyResult(Result):
    """Errors on labelled frames.

    Attributes
    ----------
    total
        Errors on all frames (`dp_sim.training.accuracy.SystemErrors`: energy eV/atom, forces eV/Angstrom, virial
        eV/atom).
    systems
        The same for each composition.
    parities
        Labels and predictions of each composition.
    remarks
        What was decided while the data were read.
    """

    recipe: ClassVar[str] = "test"
    title: ClassVar[str] = "Accuracy on labelled data"

    total: SystemErrors
    systems: tuple[SystemErrors, ...]
    parities: tuple[Parity, ...]
    remarks: tuple[str, ...] = ()

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        quantities: dict[str, Quantity | Estimate] = {"frames": Quantity(self.total.frames)}
        shown = [self.total] if len(self.systems) == 1 else [self.total, *self.systems]
        for errors in shown:
            prefix = "" if errors is self.total else f"{errors.system}_"
            quantities.update(error_quantities(errors, prefix))
        return quantities

    @property
    @override
    def outcome(self) -> str:
        return error_words(self.total, self.parities, "labelled frames")

    @override
    def headline(self) -> tuple[str, ...]:
        return ("forces_rmse", "energy_rmse", "virial_rmse")

    @override
    def captions(self) -> dict[str, str]:
        return ACCURACY_CAPTIONS

    @override
    def figures(self) -> dict[str, Figure]:
        return accuracy_figures(self.parities)


def error_words(errors: SystemErrors, parities: Sequence[Parity], frames: str) -> str:
    """Say how large the error is: of forces, beside the forces themselves; of energies where frames have no forces.

    Parameters
    ----------
    errors, parities
        Of all frames, and their labels and predictions.
    frames
        What the frames are, in words.
    """
    if errors.forces.rmse is None:
        energy = errors.energy.rmse
        words = "no errors" if energy is None else f"energy error {1000 * energy:.3g} meV/atom"
        return f"{words} on {errors.frames} {frames}"
    labels = np.concatenate([one.forces[:, 0] for one in parities if len(one.forces)])
    share = errors.forces.rmse / max(float(np.sqrt(np.mean(labels**2))), 1e-12)
    words = f"force error {1000 * errors.forces.rmse:.3g} meV/Å ({100 * share:.2g} % of the forces)"
    return f"{words} on {errors.frames} {frames}" + (": not yet a useful model" if share > USEFUL_SHARE else "")


def error_quantities(errors: SystemErrors, prefix: str = "") -> dict[str, Quantity | Estimate]:
    """Collect MAE and RMSE of each label that the frames have.

    Parameters
    ----------
    errors
        Of one composition, or of all frames.
    prefix
        What the names begin with.
    """
    quantities: dict[str, Quantity | Estimate] = {}
    for label, unit in UNITS.items():
        pair: ErrorPair = getattr(errors, label)
        if pair.mae is not None:
            quantities[f"{prefix}{label}_mae"] = Quantity(pair.mae, unit)
            quantities[f"{prefix}{label}_rmse"] = Quantity(pair.rmse, unit)
    return quantities


def accuracy_figures(parities: Sequence[Parity]) -> dict[str, Figure]:
    """Draw predictions against labels, and the distribution of their errors."""
    return {"parity": parity_figure(parities), "errors": errors_figure(parities)}


def parity_figure(parities: Sequence[Parity]) -> Figure:
    """Plot predictions against labels: energies, standardised per system as in fig. 2 of the paper, and forces."""
    figure, (energy, forces) = new_panels(
        [
            ("energy: (label − mean)/deviation", "(prediction − mean)/deviation"),
            ("force component: label (eV/Å)", "prediction (eV/Å)"),
        ]
    )
    for number, parity in enumerate(parities):
        colour = COLOURS[number % len(COLOURS)]
        deviation = parity.energy[:, 0].std() if len(parity.energy) > 1 else 0.0
        if deviation > 0:
            standard = (parity.energy - parity.energy[:, 0].mean()) / deviation
            energy.plot(standard[:, 0], standard[:, 1], ".", ms=4, color=colour, alpha=0.6, label=parity.system)
        points = parity.forces[:: max(1, len(parity.forces) // PLOTTED_POINTS)]
        forces.plot(points[:, 0], points[:, 1], ".", ms=2, color=colour, alpha=0.4, label=parity.system)
    for panel in (energy, forces):
        low, high = panel.dataLim.intervalx
        if np.isfinite([low, high]).all():
            panel.plot([low, high], [low, high], color="gray", lw=0.8, zorder=0)
        panel.set_aspect("equal", adjustable="datalim")
    if 1 < len(parities) <= len(COLOURS):
        set_legend(forces)
    return figure


def errors_figure(parities: Sequence[Parity]) -> Figure:
    """Plot the share of frames and of force components with a smaller error, which a parity plot hides in its line."""
    figure, panels = new_panels(
        [
            ("error of the energy (meV/atom)", "frames with a smaller one (%)"),
            ("error of a force component (meV/Å)", "components with a smaller one (%)"),
        ]
    )
    energies = [(one.energy[:, 1] - one.energy[:, 0]) / one.atoms for one in parities if len(one.energy)]
    forces = [one.forces[:, 1] - one.forces[:, 0] for one in parities]
    for panel, of_systems in zip(panels, (energies, forces), strict=True):
        errors = np.sort(1000 * np.abs(np.concatenate([*of_systems, []])))
        shares = 100 * np.arange(1, len(errors) + 1) / max(1, len(errors))
        few = slice(None, None, max(1, len(errors) // 1000))
        if errors.any():
            panel.semilogx(errors[errors > 0][few], shares[errors > 0][few], color=COLOURS[0])
            panel.set_xlim(left=max(np.quantile(errors, 0.02), 1e-3 * errors[-1]))
        for level in (50, 95):
            panel.axhline(level, color="gray", lw=0.6, ls="--")
    return figure


@documented(AccuracySettings)
def measure_accuracy(
    model: Any,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    energy_key: str | None = None,
    forces_key: str | None = None,
    virial_key: str | None = None,
    stress_key: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> AccuracyResult:
    """Evaluate a model on labelled frames.

    Parameters
    ----------
    model : path, sequence of paths or DPCalculator
        A model file, a list of them (a committee) or a DPCalculator.
    data : path or sequence of paths
        Files that ASE reads (FILE@INDEX for a part), DeePMD-kit folders, or dpdata:FORMAT:FILE.

    Returns
    -------
    AccuracyResult
        MAE and RMSE of energy and virial (eV/atom) and of force components (eV/Angstrom), with a parity plot.

    Raises
    ------
    InputError
        No dp-sim model, unreadable data, an element that the model does not know, or an empty name of a label.
    """
    settings = AccuracySettings.taken_from(locals())
    calculator = as_calculator(model)
    loaded = loaded_model(calculator)
    if loaded is None:
        raise InputError(
            "calculator-kind",
            f"accuracy is measured for dp-sim models, got {type(calculator).__name__}; give a model file",
        )
    sources = [str(source) for source in ([data] if isinstance(data, (str, os.PathLike)) else data)]
    remarks = Remarks()
    with progress_bar("read", total=None, show=progress) as advance:
        frames = read_all(sources, keys=settings.label_keys(), remarks=remarks, on_frame=advance)
    for frame in frames:
        loaded.species_index(frame.numbers, frame.name)
    with (
        RunDirectory.of(
            settings, out, structures=[], calculator=calculator, overwrite=overwrite, resume=resume, data=sources
        ) as run,
        progress_bar("test", total=len(frames), show=progress) as advance,
    ):
        parities = tuple(compare(loaded, frames, advance))
        systems = tuple(system_errors(parity) for parity in parities)
        total = system_errors(pool(parities))
        lines = report_remarks(remarks, run)
        return run.finish(
            AccuracyResult(converged=True, total=total, systems=systems, parities=parities, remarks=lines)
        )
