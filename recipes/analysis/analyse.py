"""Structure and transport from a finished run: one pass over its frames, and what each part makes of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from dp_sim.config.recipe import documented
from dp_sim.recipes.analysis.frame_range import FrameRange
from dp_sim.recipes.analysis.heat_capacity.corrections import HeatCapacityCorrections, asked_corrections, with_quantum
from dp_sim.recipes.analysis.moving import MovingParts
from dp_sim.recipes.analysis.reading import read_source
from dp_sim.recipes.analysis.result import AnalysisResult
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.structure.rdf import RadialDistribution, longest_distance
from dp_sim.recipes.analysis.structure.scattering import DirectStructureFactor
from dp_sim.recipes.analysis.trajectory.source import Source
from dp_sim.recipes.analysis.transport.green_kubo import GreenKubo
from dp_sim.recipes.analysis.transport.viscosity import viscosity, withheld_viscosity
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar


@documented(AnalyseSettings)
def analyse(
    source: str | os.PathLike[str] | DynamicsResult | Sequence[Atoms],
    *,
    only: Sequence[str] = (),
    first: int | None = None,
    last: int | None = None,
    stride: int = 1,
    r_max_A: float | None = None,
    bin_A: float = 0.05,
    q_max_per_A: float = 8.0,
    structure_frames: int = 1000,
    carriers: str = "auto",
    viscosity_mPa_s: float | None = None,
    dos_resolution_cm1: float = 10.0,
    neighbour: str | os.PathLike[str] | None = None,
    energy_noise_meV: float | None = None,
    test_results: str | os.PathLike[str] | None = None,
    members: Sequence[str] = (),
    topology: str | None = None,
    frame_fs: float | None = None,
    types: Sequence[str] = (),
    units: str | None = None,
    timestep: float | None = None,
    log: str | None = None,
    thermostat: str | None = None,
    temperature_K: float | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> AnalysisResult:
    """Compute radial distributions, structure factors, diffusion, vibrations and viscosity, each with its error.

    Parameters
    ----------
    source : path, DynamicsResult or sequence of ase.Atoms
        The directory of a run of nve, nvt or npt, or its result; a trajectory file of another program (extended XYZ,
        .traj, a LAMMPS dump, DCD, XTC, TRR, HDF5, NetCDF, or what else ASE reads); or structures in memory.

    Returns
    -------
    AnalysisResult
        Each number an `Estimate`, withheld with the reason where the trajectory does not support it.

    Raises
    ------
    InputError
        A source that cannot be read, frames that do not match their topology, a time between frames that is not known
        or contradicts the file, a setting that the source has no use for.
    """
    settings = AnalyseSettings.taken_from(locals())
    if isinstance(source, DynamicsResult) and source.directory is not None:
        source = source.directory
    found = read_source(source, settings)
    asked = asked_corrections(found, settings)
    named = [os.fspath(source)] if isinstance(source, (str, os.PathLike)) else []
    structures = [] if named else [found.frames[0]]
    with RunDirectory.of(
        settings, out, structures=structures, calculator=None, overwrite=overwrite, resume=resume, data=named
    ) as run:
        for sentence in found.notes:
            run.note(sentence)
        work = _Work.begin(found, settings)
        work.asked = asked
        for sentence in work.notes:
            run.note(sentence)
        with progress_bar("analyse", total=work.frames.n_used, show=progress) as advance:
            for number, atoms in work.frames.read():
                work.add(number, atoms)
                advance()
        return run.finish(work.result())


@dataclass
class _Work:
    """What gathers over the frames.

    Attributes
    ----------
    source, settings, frames
        What is read.
    radial, direct
        Of the structure; None where it is not computed.
    moving
        Of diffusion and velocities; None where neither is computed.
    notes
        What the user should know, as sentences.
    cause
        Why the structure is not computed; else empty.
    asked
        Corrections of the heat capacity that settings ask for.
    """

    source: Source
    settings: AnalyseSettings
    frames: FrameRange
    radial: RadialDistribution | None
    direct: DirectStructureFactor | None
    moving: MovingParts | None
    notes: list[str]
    cause: str = ""
    asked: HeatCapacityCorrections = field(default_factory=HeatCapacityCorrections)

    @classmethod
    def begin(cls, source: Source, settings: AnalyseSettings) -> _Work:
        """Decide from the first frame what can be computed, and set it up."""
        frames = FrameRange.of(source, settings)
        first = frames.first_frame
        radial = direct = None
        cause = ""
        if settings.wants("structure"):
            if first.pbc.all():
                species = np.array(first.get_chemical_symbols())
                r_max = longest_distance(first, settings.r_max_A)
                radial = RadialDistribution(species, r_max, settings.bin_A)
                direct = DirectStructureFactor(first, species, settings.q_max_per_A, settings.seed)
            else:
                cause = (
                    "radial distributions and structure factors need a cell that is periodic along all three axes, "
                    f"this one has pbc={first.pbc.tolist()}"
                )
        moving = None
        if settings.wants("diffusion") or settings.wants("velocities"):
            moving = MovingParts.of(source, settings, frames)
        notes = [*frames.notes, *([cause] if cause else []), *(moving.notes if moving else [])]
        return cls(source, settings, frames, radial, direct, moving, notes, cause)

    def add(self, number: int, atoms: Atoms) -> None:
        """Take in one frame; `number` counts those that are used, from 0."""
        if number % self.frames.structure_stride == 0:
            if self.radial is not None:
                self.radial.add(atoms)
            if self.direct is not None:
                self.direct.add(atoms)
        if self.moving is not None:
            self.moving.add(number, atoms)

    def result(self) -> AnalysisResult:
        """Make the result."""
        stress = self._viscosity()
        parts = self.moving.results(self._used_viscosity(stress)) if self.moving is not None else {}
        cause = self.cause if self.settings.wants("structure") else ""
        heat = with_quantum(self.asked, self.source, parts.get("density_of_states"))
        return AnalysisResult(
            converged=not cause,
            cause=cause,
            source=self.source.name,
            n_frames=self.frames.n_used,
            first_frame=self.frames.first,
            frame_ps=self.frames.spacing_ps,
            distributions=tuple(self.radial.results()) if self.radial is not None else (),
            structure_factors=tuple(self.direct.results()) if self.direct is not None else (),
            viscosity=stress,
            heat_capacity=heat,
            **parts,
        )

    def _viscosity(self) -> GreenKubo | None:
        """Compute the viscosity of a run with a table; None where it is not asked for, or the source has no table."""
        if not self.settings.wants("viscosity") or not self.source.table:
            return None
        motion, temperature_K = self.source.motion, self.source.temperature_K
        if motion.forbids_transport():
            return withheld_viscosity(motion.forbids_transport())
        if temperature_K is None:
            return withheld_viscosity("the temperature of the run is not known")
        return viscosity(self.source.table, temperature_K)

    def _used_viscosity(self, measured: GreenKubo | None) -> Estimate:
        """Return the viscosity for the finite-size correction: the one given, else the one measured."""
        given = self.settings.viscosity_mPa_s
        if given is not None:
            return Estimate(given, 0.0, (given, given), None, "mPa s")
        return Estimate.withheld("mPa s", "not measured") if measured is None else measured.value
