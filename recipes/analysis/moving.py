"""What moves: paths of the carriers and velocities, gathered over the frames, and diffusion made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.frame_range import FrameRange
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.carriers import Carriers, molecules, single_atoms
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.analysis.trajectory.unwrapping import PathRecorder
from dp_sim.recipes.analysis.transport.displacements import Displacements, displacements, withheld
from dp_sim.recipes.analysis.transport.finite_size import corrected, edge_of_cube
from dp_sim.recipes.results.quantities import Estimate


@dataclass
class MovingParts:
    """Gathers the paths of the carriers.

    Attributes
    ----------
    notes
        What the user should know, as sentences.
    """

    source: Source
    settings: AnalyseSettings
    frames: FrameRange
    carriers: Carriers
    recorder: PathRecorder
    notes: list[str] = field(default_factory=list)
    _edges: list[float | None] = field(default_factory=list)
    _reacted: int | None = None

    @classmethod
    def of(cls, source: Source, settings: AnalyseSettings, frames: FrameRange) -> MovingParts:
        """Choose the carriers from the first frame.

        Raises
        ------
        InputError
            The time between frames is not known, or molecules are asked for and there are none.
        """
        if frames.spacing_ps is None:
            raise InputError(
                "time-unknown",
                f"{source.name} does not say the time between its frames; give frame_fs (for a LAMMPS dump timestep), "
                "or only=structure, which needs no time",
            )
        first = frames.first_frame
        carriers = single_atoms(first) if settings.carriers == "atoms" else molecules(first)
        if settings.carriers == "molecules" and carriers.are_atoms:
            raise InputError("molecules-missing", f"{source.name} has no molecules: no two of its atoms are bonded")
        held = bool(first.constraints)
        recorder = PathRecorder(
            carriers, first.get_masses(), frames.n_used, with_velocities=False, remove_drift=not held
        )
        notes = source.motion.remarks()
        if held:
            notes.append("some atoms are fixed: displacements are not taken relative to the centre of mass")
        if source.motion.forbids_transport():
            notes.append(f"no diffusion or viscosity: {source.motion.forbids_transport()}")
        return cls(source, settings, frames, carriers, recorder, notes)

    def add(self, number: int, atoms: Atoms) -> None:
        """Take in one frame."""
        self.recorder.add(atoms, None)
        self._edges.append(edge_of_cube(atoms))
        if self._reacted is None and not self.carriers.are_atoms and self.carriers.have_reacted(atoms):
            self._reacted = number

    def results(self) -> dict[str, Any]:
        """Return the fields of the result that come from motion."""
        assert self.frames.spacing_ps is not None
        paths = self.recorder.paths(self.frames.spacing_ps)
        why_not = self._why_no_diffusion()
        found = [displacements(paths, name) for name in dict.fromkeys(paths.species.tolist())]
        if why_not:
            found = [withheld(one, why_not) for one in found]
        return {"displacements": tuple(found), "corrected_diffusions": tuple(map(self._corrected, found))}

    def _why_no_diffusion(self) -> str:
        if self._reacted is not None:
            return (
                f"a bond of the first frame has broken by frame {self._reacted}: molecules do not stay what they are; "
                "give carriers=atoms"
            )
        if not self.frames.first_frame.pbc.all():
            return "diffusion is that of a bulk, and needs a cell that is periodic along all three axes"
        return self.source.motion.forbids_transport()

    def _corrected(self, found: Displacements) -> Estimate:
        given = self.settings.viscosity_mPa_s
        viscosity = (
            Estimate.withheld("mPa s", "not measured")
            if given is None
            else Estimate(given, 0.0, (given, given), None, "mPa s")
        )
        edges = [edge for edge in self._edges if edge is not None]
        edge = float(np.mean(edges)) if len(edges) == len(self._edges) else None
        return corrected(found.diffusion, viscosity, self.source.temperature_K, edge)
