"""What `calibrate` found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.models.calibration.figures import coverage_figure, reliability_figure
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text
from dp_sim.uncertainty.calibration import SCALES, Calibration
from dp_sim.uncertainty.reliability import Measured, Reliability
from dp_sim.uncertainty.scale import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What the kinds are called, and the unit of their errors.
KINDS = {
    "energy": ("energies", "eV/atom"),
    "forces": ("force components", "eV/Angstrom"),
    "atoms": ("forces on atoms", "eV/Angstrom"),
}


@dataclass(frozen=True, kw_only=True)
class CalibrationResult(Result):
    """What the spread of a committee, or the raw uncertainty of a single model's last layer, is worth.

    Attributes
    ----------
    calibration
        The scales, of all frames together.
    energy, forces, atoms
        How well uncertainties hold, on blocks of frames that the scale was not fitted on.
    committee
        The folder that holds the calibrated members, or the file of the single model; None for a run without files.
    """

    recipe: ClassVar[str] = "calibrate"
    title: ClassVar[str] = "Calibration of uncertainties"

    calibration: Calibration
    energy: Reliability
    forces: Reliability
    atoms: Reliability
    committee: Path | None = None

    @property
    def _several(self) -> bool:
        return len(self.calibration.members) > 1

    @property
    def useless(self) -> tuple[str, ...]:
        """Where the spread says nothing or misleads, as sentences."""
        return tuple(line for kind in SCALES for line in getattr(self, kind).useless)

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        found: dict[str, Quantity | Estimate] = {"members": Quantity(len(self.calibration.members))}
        if self.committee is not None:
            found["committee" if self._several else "model"] = Quantity(str(self.committee))
        if self.useless:
            found["where_the_spread_is_useless"] = Quantity("; ".join(self.useless))
        for kind, (_, unit) in KINDS.items():
            scale, held = getattr(self.calibration, kind), getattr(self, kind)
            alpha = None if scale.alpha_squared is None else scale.alpha_squared
            few = "it is of single components" if kind == "atoms" else "fewer than four members"
            few = few if self._several else "it is of committees"
            found |= {
                f"{kind}_rmse": Quantity(held.rmse, unit),
                f"{kind}_uncertainty_over_spread": Quantity(scale.factor),
                f"{kind}_alpha_squared": Quantity(alpha, "", "" if alpha is not None else few),
                f"{kind}_within_standard_uncertainty": _estimate(held.standard_coverage),
                f"{kind}_rank_correlation": _estimate(held.rank_correlation),
                f"{kind}_calibration_error": Quantity(held.calibration_error),
                f"{kind}_frames": Quantity(held.frames),
                f"{kind}_points": Quantity(held.points),
                f"{kind}_points_without_spread": Quantity(held.without_spread),
                f"{kind}_half_width": Quantity(list(scale.intervals)),
                f"{kind}_coverage": Quantity([None if one is None else 100 * one.value for one in held.coverage], "%"),
                f"{kind}_coverage_error": Quantity(
                    [None if one is None else 100 * one.error for one in held.coverage], "%"
                ),
            }
        found["level"] = Quantity(list(LEVELS), "%")
        return found

    @property
    @override
    def outcome(self) -> str:
        within = self.forces.coverage[-1]
        held = "" if within is None else f", 95 % intervals hold {100 * within.value:.0f} % of left-out force errors"
        where = "" if not self.useless else "; where the spread is useless: see below"
        raw = "spreads" if self._several else "raw uncertainties of the last layer"
        return f"force errors are {self.calibration.forces.factor:.3g} {raw}{held}{where}"

    @property
    @override
    def basis(self) -> str:
        what = f"{len(self.calibration.members)} members" if self._several else "the last layer of one model"
        return f"{what} on {self.forces.frames} held-out frames"

    @override
    def headline(self) -> tuple[str, ...]:
        return ("forces_uncertainty_over_spread", "energy_uncertainty_over_spread", "forces_rank_correlation")

    @override
    def labels(self) -> dict[str, str]:
        words = {
            "rmse": "RMSE",
            "uncertainty_over_spread": "uncertainty over spread",
            "alpha_squared": "α², variance of the truth over a member's",
            "within_standard_uncertainty": "within the uncertainty (0.683 if true)",
            "rank_correlation": "rank correlation with the spread",
            "calibration_error": "calibration error",
            "frames": "frames",
            "points": "points",
            "points_without_spread": "points without spread",
        }
        return {
            f"{kind}_{name}": f"{what}: {text}" for kind, (what, _) in KINDS.items() for name, text in words.items()
        }

    @override
    def captions(self) -> dict[str, str]:
        return {
            "reliability": "Errors against what was told of them: points above the line are errors larger than told.",
            "coverage": "How far the share of left-out errors that intervals hold is from what they say, with two "
            "standard errors from the scatter of the blocks: below zero they are too narrow.",
        }

    @override
    def tables(self) -> dict[str, QuantityTable]:
        columns = {"level": ("interval", 0)}
        for kind, (name, _) in KINDS.items():
            columns |= {
                f"{kind}_half_width": (f"{name}: half width / std", 2),
                f"{kind}_coverage": ("held", 1),
                f"{kind}_coverage_error": ("±", 1),
            }
        caption = (
            "Intervals, in standard uncertainties, and the share of held-out errors in them: each block of frames "
            "with the scale of the others, ± from the scatter of the blocks."
        )
        return {"coverage": QuantityTable(caption, columns)}

    @override
    def figures(self) -> dict[str, Figure]:
        kinds = (self.energy, self.forces, self.atoms)
        return {"reliability": reliability_figure(*kinds), "coverage": coverage_figure(*kinds)}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        self.calibration.write(path("calibration.json"))
        bins = [
            (kind, told, observed)
            for kind in SCALES
            for told, observed in zip(getattr(self, kind).told, getattr(self, kind).observed, strict=True)
        ]
        header = ("kind", "standard_uncertainty_eV_or_eV_A", "holds_68_percent_eV_or_eV_A")
        write_text(path("reliability.csv"), csv_text(header, bins))
        rows = [
            (kind, level, width, *((None, None) if share is None else (share.value, share.error)))
            for kind in SCALES
            for level, width, share in zip(
                LEVELS, getattr(self.calibration, kind).intervals, getattr(self, kind).coverage, strict=True
            )
        ]
        columns = ("kind", "level_percent", "half_width_over_standard_uncertainty", "coverage", "coverage_error")
        write_text(path("coverage.csv"), csv_text(columns, rows))


def _estimate(measured: Measured) -> Estimate:
    value, error = measured.value, measured.error
    return Estimate(value, error, (value - 2 * error, value + 2 * error), None, "")
