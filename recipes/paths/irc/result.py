"""What the walk along a reaction coordinate finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.paths.barriers import BarrierResult
from dp_sim.recipes.paths.irc.distances import Changing, changing_distances, distance_figure
from dp_sim.recipes.paths.irc.expected import EndComparison
from dp_sim.recipes.paths.saddle.surface import Cost
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.page.scene import chosen_frames, movie
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.tables import csv_text
from dp_sim.recipes.static.normal_modes import ZERO_CM1

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ARC_UNIT = "amu^1/2 Angstrom"


@dataclass(frozen=True, kw_only=True)
class IrcResult(BarrierResult):
    """The path downhill on both sides of a saddle point.

    Attributes
    ----------
    images
        The path, the saddle point among them, each image with energy and forces.
    energies
        (n_images,) potential energy, eV.
    arc_length
        (n_images,) mass-weighted distance along the path, amu^1/2 Angstrom: 0 at the saddle point, negative towards the
        reactant.
    reactant, product
        The minima to which the first and the last point relax, with energy and forces. Which is which the structures
        say that were expected; without them the lower one is called the reactant.
    frequency_cm1
        Of the imaginary mode at the saddle point, cm^-1, as a negative number.
    reactant_frequencies_cm1, product_frequencies_cm1
        (M,) of the normal modes at the ends, imaginary ones negative; None where an end did not relax.
    reactant_comparison, product_comparison
        The ends beside those expected; None where none was.
    notes
        Where the energy did not fall any more before the force was small.
    cost
        What was asked of the calculator in this session.
    """

    recipe: ClassVar[str] = "irc"
    title: ClassVar[str] = "Intrinsic reaction coordinate"

    images: tuple[Atoms, ...]
    energies: np.ndarray
    arc_length: np.ndarray
    reactant: Atoms
    product: Atoms
    frequency_cm1: float
    reactant_frequencies_cm1: np.ndarray | None = None
    product_frequencies_cm1: np.ndarray | None = None
    reactant_comparison: EndComparison | None = None
    product_comparison: EndComparison | None = None
    notes: tuple[str, ...] = ()
    cost: Cost

    @property
    def saddle_index(self) -> int:
        """Index of the saddle point."""
        return int(np.argmin(np.abs(self.arc_length)))

    @property
    def ends_are_minima(self) -> bool:
        """Whether both ends relaxed to structures without an imaginary frequency (below -10 cm^-1)."""
        found = (self.reactant_frequencies_cm1, self.product_frequencies_cm1)
        return all(one is not None and not (one < -ZERO_CM1).any() for one in found)

    @property
    def is_monotonic(self) -> bool:
        """Whether the energy falls from the saddle point to either side, from each point to the next."""
        top = self.saddle_index
        return bool((np.diff(self.energies[: top + 1]) > 0).all() and (np.diff(self.energies[top:]) < 0).all())

    @property
    @override
    def outcome(self) -> str:
        given = (("reactant", self.reactant_comparison), ("product", self.product_comparison))
        words = [f"the {name} is the one expected" for name, one in given if one is not None and one.same]
        return "; ".join(["both ends are minima", *words]) if self.converged else ""

    @override
    def levels_eV(self) -> tuple[float, float, float]:
        saddle = float(self.energies[self.saddle_index])
        return float(self.reactant.get_potential_energy()), saddle, float(self.product.get_potential_energy())

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        numbers: dict[str, Quantity | Estimate] = {
            **self.barrier_quantities(),
            "imaginary_frequency": Quantity(self.frequency_cm1, "cm^-1"),
            "arc_to_reactant": Quantity(float(self.arc_length[0]), ARC_UNIT),
            "arc_to_product": Quantity(float(self.arc_length[-1]), ARC_UNIT),
            "images": Quantity(len(self.images)),
            "ends_are_minima": Quantity(self.ends_are_minima),
            "energy_falls_monotonically": Quantity(self.is_monotonic),
        }
        for name in ("reactant", "product"):
            found = getattr(self, f"{name}_frequencies_cm1")
            lowest = None if found is None or not len(found) else float(found[0])
            numbers[f"{name}_lowest_frequency"] = Quantity(lowest, "cm^-1", "there are no normal modes")
            if (comparison := getattr(self, f"{name}_comparison")) is not None:
                numbers[f"{name}_is_expected"] = Quantity(comparison.same)
                numbers[f"{name}_from_expected"] = Quantity(comparison.words)
        if self.notes:
            numbers["remarks"] = Quantity("; ".join(self.notes))
        return numbers | {
            "force_evaluations": Quantity(self.cost.evaluations),
            "hessian_evaluations": Quantity(self.cost.hessians),
            "calculator_time": Quantity(round(self.cost.seconds, 3), "s"),
        }

    @override
    def captions(self) -> dict[str, str]:
        return {
            "profile": "Energy downhill from the transition state (orange); dashed: the minima at the ends.",
            "distances": "The distances between atoms that change most: bonds that break and form.",
        }

    @override
    def animation(self) -> dict[str, Any] | None:
        frames = (self.reactant, *self.images, self.product)
        words = ["reactant", *(f"s = {arc:.2f} √amu Å" for arc in self.arc_length), "product"]
        top = self.levels_eV()[0]
        labels = [f"{word}, {one.get_potential_energy() - top:.3f} eV" for word, one in zip(words, frames, strict=True)]
        chosen = chosen_frames(len(frames), len(self.reactant))
        return movie([frames[k] for k in chosen], [labels[k] for k in chosen], back=True)

    @property
    def changing(self) -> Changing:
        """The distances that change most along the path."""
        return changing_distances((self.reactant, *self.images, self.product))

    @override
    def figures(self) -> dict[str, Figure]:
        figure, axes = new_figure("arc length (amu$^{1/2}$ Å)", "energy, transition state at zero (eV)")
        top = self.saddle_index
        relative = self.energies - self.energies[top]
        axes.plot(self.arc_length, relative, ".-", color=COLOURS[0])
        axes.plot(0.0, 0.0, "o", color=COLOURS[1])
        for barrier, colour in ((self.barrier_eV, COLOURS[2]), (self.reverse_barrier_eV, COLOURS[3])):
            axes.axhline(-barrier, color=colour, linewidth=0.8, linestyle="--")
        axes.set_title(self.barrier_title(), fontsize="medium")
        shown = {"profile": figure}
        if len(self.images) > 1 and self.changing.pairs:
            shown["distances"] = distance_figure(self.arc_length, self.changing, self.images[0].get_chemical_symbols())
        return shown

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path("path.extxyz"), self.images)
        write_frames(path("reactant.extxyz"), self.reactant)
        write_frames(path("product.extxyz"), self.product)
        symbols, changing = self.images[0].get_chemical_symbols(), self.changing
        names = [f"{symbols[i]}{i}-{symbols[j]}{j}_A" for i, j in changing.pairs]
        rows = [
            (image, f"{arc:.6f}", f"{energy:.9f}", *(f"{one:.5f}" for one in distances))
            for image, (arc, energy, distances) in enumerate(
                zip(self.arc_length, self.energies, changing.distances[1:-1], strict=True)
            )
        ]
        write_text(path("profile.csv"), csv_text(["image", "arc_amu1/2_A", "energy_eV", *names], rows))
