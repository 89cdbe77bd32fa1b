"""What moves: paths of the carriers and velocities, gathered over the frames, and diffusion made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.frame_range import FrameRange
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.carriers import Carriers, molecules, single_atoms
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.analysis.trajectory.unwrapping import PathRecorder, Paths, stored_array
from dp_sim.recipes.analysis.transport.displacements import Displacements, displacements, withheld
from dp_sim.recipes.analysis.transport.finite_size import corrected, edge_of_cube
from dp_sim.recipes.analysis.transport.velocities import (
    MISMATCH,
    AtomSteps,
    DensityOfStates,
    density_of_states,
    mismatch,
    velocity_correlation,
    without_diffusion,
)
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]


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
    velocities: Array | None
    notes: list[str] = field(default_factory=list)
    _steps: AtomSteps = field(default_factory=AtomSteps)
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
        held, moves = bool(first.constraints), settings.wants("velocities") and first.has("momenta")
        recorder = PathRecorder(
            carriers, first.get_masses(), frames.n_used, with_velocities=moves, remove_drift=not held
        )
        notes = source.motion.remarks()
        if settings.wants("velocities") and not moves:
            notes.append(
                "the frames carry no velocities: no velocity correlation and no vibrational density of states; "
                "run with velocities in the frames, and a few fs between two"
            )
        if held:
            notes.append("some atoms are fixed: displacements are not taken relative to the centre of mass")
        if source.motion.forbids_transport():
            notes.append(f"no diffusion or viscosity: {source.motion.forbids_transport()}")
        velocities = stored_array((frames.n_used, len(first), 3)) if moves else None
        return cls(source, settings, frames, carriers, recorder, velocities, notes)

    def add(self, number: int, atoms: Atoms) -> None:
        """Take in one frame.

        Raises
        ------
        InputError
            The first frame has velocities and this one has none.
        """
        velocities = None
        if self.velocities is not None:
            if not atoms.has("momenta"):
                raise InputError(
                    "frames-differ", f"{self.source.name}: frame {number} has no velocities and the first one has"
                )
            velocities = atoms.get_velocities() * (1000 * units.fs)  # Angstrom/ps
            masses = atoms.get_masses()
            drift = 0.0 if atoms.constraints else masses @ velocities / masses.sum()
            self.velocities[number] = velocities - drift
            self._steps.add(atoms, velocities)
        self.recorder.add(atoms, velocities)
        self._edges.append(edge_of_cube(atoms))
        if self._reacted is None and not self.carriers.are_atoms and self.carriers.have_reacted(atoms):
            self._reacted = number

    def results(self, viscosity: Estimate) -> dict[str, Any]:
        """Return the fields of the result that come from motion.

        Parameters
        ----------
        viscosity
            For the finite-size correction, mPa s.
        """
        assert self.frames.spacing_ps is not None
        paths = self.recorder.paths(self.frames.spacing_ps)
        why_not = self._why_no_diffusion()
        found = [displacements(paths, name) for name in dict.fromkeys(paths.species.tolist())]
        if why_not:
            found = [withheld(one, why_not) for one in found]
        parts: dict[str, Any] = {}
        if self.settings.wants("diffusion"):
            corrections = tuple(self._corrected(one, viscosity) for one in found)
            parts |= {"displacements": tuple(found), "corrected_diffusions": corrections}
        return parts | (self._of_velocities(paths, why_not) if self.velocities is not None else {})

    def _of_velocities(self, paths: Paths, why_not: str) -> dict[str, Any]:
        """Correlate the velocities of the carriers and of the atoms, unless the frames are too far apart for it."""
        assert self.velocities is not None
        if not self.velocities.any():
            return {"velocity_cause": "every velocity in the frames is zero"}
        parts: dict[str, Any] = {}
        off = self._steps.mismatch(paths.frame_ps)
        if off > MISMATCH:
            parts["states_cause"] = _too_far_apart("atoms", off, paths.frame_ps)
        else:
            parts["density_of_states"] = self._density_of_states(paths.frame_ps)
        off = mismatch(paths)
        if off > MISMATCH:
            return parts | {"velocity_cause": _too_far_apart("carriers", off, paths.frame_ps)}
        found = [velocity_correlation(paths, name) for name in dict.fromkeys(paths.species.tolist())]
        if why_not:
            found = [without_diffusion(one, why_not) for one in found]
        return parts | {"velocity_correlations": tuple(found)}

    def _density_of_states(self, frame_ps: float) -> DensityOfStates:
        first = self.frames.first_frame
        assert self.velocities is not None
        counted = self.source.degrees_of_freedom
        fixed = {int(atom) for one in first.constraints for atom in one.get_indices()}
        free = 3 * (len(first) - len(fixed)) - (0 if fixed else 3) - self.source.rigid_bonds
        return density_of_states(
            self.velocities,
            first.get_masses(),
            np.array(first.get_chemical_symbols()),
            frame_ps,
            resolution_cm1=self.settings.dos_resolution_cm1,
            # A thermostat that drives the drift too counts three more; they are taken out of the velocities.
            degrees_of_freedom=free if counted is None else min(free, counted),
        )

    def _why_no_diffusion(self) -> str:
        if self._reacted is not None:
            return (
                f"a bond of the first frame has broken by frame {self._reacted}: molecules do not stay what they are; "
                "give carriers=atoms"
            )
        if not self.frames.first_frame.pbc.all():
            return "diffusion is that of a bulk, and needs a cell that is periodic along all three axes"
        return self.source.motion.forbids_transport()

    def _corrected(self, found: Displacements, viscosity: Estimate) -> Estimate:
        edges = [edge for edge in self._edges if edge is not None]
        edge = float(np.mean(edges)) if len(edges) == len(self._edges) else None
        return corrected(found.diffusion, viscosity, self.source.temperature_K, edge)


def _too_far_apart(what: str, off: float, frame_ps: float) -> str:
    """Say that velocities do not account for steps, of which they miss a share `off` of the mean square."""
    return (
        f"the velocities of the {what} do not account for the steps between frames {frame_ps * 1000:g} fs apart (they "
        f"miss {100 * off:.0f} % of the mean square): the frames are too far apart for vibrations, or the velocities "
        "are not theirs; write a frame every 2 fs (4 fs without hydrogen)"
    )
