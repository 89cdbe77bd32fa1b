"""What the relaxation of many structures gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from ase import Atoms
from typing_extensions import override

from dp_sim.files import write_text
from dp_sim.recipes.results.figures import COLOURS, new_panels
from dp_sim.recipes.results.frames import write_frames
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import QuantityTable
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OPTIMIZED = "optimized.extxyz"
#: Structures that a cause names.
_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class RelaxedStructure:
    """One of many structures that were relaxed.

    Attributes
    ----------
    name
        Its number among the structures given, from 0, as text.
    atoms
        The last structure, with energy and forces where it could be evaluated.
    converged, cause, ended_by
        As in `OptResult`.
    steps
        Optimiser steps of all sessions.
    energy_eV, energy_change_eV, fmax_eV_A, stress_left_GPa
        As in `OptResult`; None where they are not known.
    verdict
        As in `OptResult`.
    """

    name: str
    atoms: Atoms
    converged: bool
    cause: str
    ended_by: str
    steps: int = 0
    energy_eV: float | None = None
    energy_change_eV: float | None = None
    fmax_eV_A: float | None = None
    stress_left_GPa: float | None = None
    verdict: str = "not checked"

    #: Fields that stand in the comment line of its frame.
    IN_FILE: ClassVar[tuple[str, ...]] = (
        "name", "converged", "cause", "ended_by", "steps", "energy_change_eV", "fmax_eV_A", "stress_left_GPa", "verdict"
    )  # fmt: skip
    #: What these fields are called there.
    PREFIX: ClassVar[str] = "opt_"

    def frame(self) -> Atoms:
        """Return the structure with the other fields in its `info`."""
        frame = self.atoms.copy()
        frame.calc = self.atoms.calc
        for field in self.IN_FILE:
            value = getattr(self, field)
            if value is not None and value != "":
                frame.info[self.PREFIX + field] = value
        return frame

    @classmethod
    def from_frame(cls, frame: Atoms) -> Self | None:
        """Read what `frame` has written; None for a structure of other origin."""
        found: dict[str, Any] = {
            field: frame.info.pop(cls.PREFIX + field) for field in cls.IN_FILE if cls.PREFIX + field in frame.info
        }
        if not {"name", "ended_by"} <= set(found):
            return None
        found = {"cause": "", **found, "name": str(found["name"]), "converged": bool(found["converged"])}
        energy = None if frame.calc is None else float(frame.get_potential_energy())
        return cls(atoms=frame, energy_eV=energy, **found)


@dataclass(frozen=True, kw_only=True)
class ManyOptResult(Result):
    """Many optimised structures.

    Attributes
    ----------
    results
        Name -> structure, in the order in which they were given.
    in_batches
        How many of them were relaxed in batches; the others one after another.
    """

    recipe: ClassVar[str] = "opt"
    title: ClassVar[str] = "Geometry optimisation of many structures"

    results: Mapping[str, RelaxedStructure]
    in_batches: int

    @classmethod
    def of(cls, results: Mapping[str, RelaxedStructure], in_batches: int) -> Self:
        """Collect structures; the cause says which did not converge, and why."""
        failed = [one for one in results.values() if not one.converged]
        named = "; ".join(f"{one.name}: {one.ended_by}" for one in failed[:_NAMED])
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        cause = (
            f"{len(failed)} of {len(results)} structures did not converge ({named}{more}); structures.csv says why"
            if failed
            else ""
        )
        return cls(converged=not failed, cause=cause, results=dict(results), in_batches=in_batches)

    @property
    def structures(self) -> list[Atoms]:
        """The last structures, in the order in which they were given."""
        return [one.atoms for one in self.results.values()]

    def _column(self, field: str) -> list[Any]:
        return [getattr(one, field) for one in self.results.values()]

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        ended = Counter(self._column("ended_by"))
        quantities: dict[str, Quantity | Estimate] = {
            "structures": Quantity(len(self.results)),
            "converged_structures": Quantity(sum(self._column("converged"))),
            "ended_by": Quantity(", ".join(f"{kind} {number}" for kind, number in ended.most_common())),
            "in_batches": Quantity(self.in_batches),
            "name": Quantity(self._column("name")),
            "ending": Quantity(self._column("ended_by")),
            "steps": Quantity(self._column("steps")),
            "energy": Quantity(self._column("energy_eV"), "eV"),
            "energy_change": Quantity(self._column("energy_change_eV"), "eV"),
            "fmax": Quantity(self._column("fmax_eV_A"), "eV/Angstrom"),
        }
        if any(value is not None for value in self._column("stress_left_GPa")):
            quantities["stress_left"] = Quantity(self._column("stress_left_GPa"), "GPa")
        if set(self._column("verdict")) != {"not checked"}:
            quantities["verdict"] = Quantity(self._column("verdict"))
        return quantities

    @override
    def tables(self) -> dict[str, QuantityTable]:
        columns = {
            "name": ("structure", 0), "ending": ("ended by", 0), "steps": ("steps", 0), "energy": ("energy", 4),
            "energy_change": ("change", 4), "fmax": ("fmax", 4), "stress_left": ("stress left", 3),
            "verdict": ("verdict", 0),
        }  # fmt: skip
        return {
            "structures": QuantityTable(
                "The structures, numbered from 0 as they were given; trajectories are not kept.", columns
            )
        }

    @override
    def figures(self) -> dict[str, Figure]:
        known = [one for one in self.results.values() if one.energy_eV is not None]
        if not known:
            return {}
        lowest: dict[str, float] = {}
        for one in known:
            formula = one.atoms.get_chemical_formula()
            lowest[formula] = min(lowest.get(formula, np.inf), one.energy_eV or 0.0)
        above = [(one.energy_eV or 0.0) - lowest[one.atoms.get_chemical_formula()] for one in known]
        figure, (energies, steps) = new_panels(
            [("structure", "energy above the lowest of its formula (eV)"), ("steps", "structures")]
        )
        energies.plot([int(one.name) for one in known], above, ".", color=COLOURS[0])
        steps.hist([one.steps for one in known], bins=20, color=COLOURS[1])
        return {"structures": figure}

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        write_frames(path(OPTIMIZED), [one.frame() for one in self.results.values()])
        header = ["structure", "converged", "ended_by", "cause", "steps", "energy (eV)", "energy_change (eV)",
                  "fmax (eV/Angstrom)", "stress_left (GPa)", "verdict"]  # fmt: skip
        rows = [
            [one.name, one.converged, one.ended_by, one.cause, one.steps, one.energy_eV, one.energy_change_eV,
             one.fmax_eV_A, one.stress_left_GPa, one.verdict]
            for one in self.results.values()
        ]  # fmt: skip
        write_text(path("structures.csv"), csv_text(header, rows))
