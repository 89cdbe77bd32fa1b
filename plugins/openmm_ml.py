"""OpenMM-ML: `MLPotential("dp-sim", modelPath="water.pt")`, found through the entry point "openmmml.potentials".

`import openmmml` loads every entry point in its group, and one that fails breaks it for everyone. So this module
imports nothing heavy, and its classes have the methods of MLPotentialImplFactory and MLPotentialImpl without deriving
from them: importing openmmml here would run in a circle.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openmm
    import openmm.app


class DPSimPotentialImplFactory:
    """The factory that OpenMM-ML registers under the name "dp-sim"."""

    def createImpl(
        self,
        name: str,
        *,
        modelPath: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        device: str = "cpu",
        dtype: str | None = None,
    ) -> DPSimPotentialImpl:
        """Load the model for `MLPotential("dp-sim", modelPath=...)`.

        Parameters
        ----------
        name
            "dp-sim".
        modelPath
            A model file, or several as a committee.
        device
            Where a PythonForce runs the model; a TorchForce runs it on the platform's device.
        dtype
            "float32" or "float64"; default: as trained.

        Raises
        ------
        InputError
            No file is given, or one that is absent, truncated, or no model.
        """
        from dp_sim.errors import InputError  # noqa: PLC0415 - nothing of ours is imported with openmmml

        if modelPath is None:
            raise InputError(
                "model-missing",
                "MLPotential('dp-sim') needs a model file; give it: MLPotential('dp-sim', modelPath='water.pt')",
            )
        from dp_sim.model.model_file import load_model  # noqa: PLC0415 - it imports torch

        return DPSimPotentialImpl(load_model(modelPath, device=device, dtype=dtype))


class DPSimPotentialImpl:
    """A loaded model that adds its force to the Systems that OpenMM-ML builds."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def addForces(
        self,
        topology: openmm.app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        *,
        backend: str = "auto",
        periodic: bool | None = None,
        linkAtomDistances: object = None,
    ) -> None:
        """Add the force of the model; OpenMM-ML calls this from createSystem and createMixedSystem.

        Parameters
        ----------
        topology, system
            Of the whole System; the force is added to it.
        atoms
            Indices of the particles that the model describes; None: all of them.
        forceGroup
            Of the force.
        backend
            As for `create_force`.
        periodic
            As for `create_force`; None: whether the topology has a box or another force of the System is periodic.
        linkAtomDistances
            An option of OpenMM-ML's embedding, which passes it on; the model does not use it.
        """
        from dp_sim.plugins.openmm_force import create_force

        if periodic is None and topology.getPeriodicBoxVectors() is None and system.getNumParticles():
            periodic = system.usesPeriodicBoundaryConditions()  # the empty System of interpolate=True tells nothing
        force = create_force(self.model, topology, backend=backend, atoms=atoms, periodic=periodic)
        force.setForceGroup(forceGroup)
        system.addForce(force)

    def getMLLongRange(self) -> bool:
        """Return False: a Deep Potential ends at its cutoff."""
        return False

    def getSupportedEmbeddings(self) -> list[str]:
        """Return an empty list: OpenMM-ML's mechanical embedding works, there is none of our own."""
        return []


def mend_interpolation(system: openmm.System) -> None:
    """Give the periodic images back to a System from `createMixedSystem(interpolate=True)`, in place.

    OpenMM-ML (1.7) computes the force field between the atoms of the ML subset with bonds that know no periodic
    images, so that at `lambda_interpolate` below 1 molecules that face each other across the box do not see each other.
    This makes these bonds, and the exceptions of the nonbonded force, periodic. Call it before making a Context.
    """
    import openmm as mm

    for force in system.getForces():
        if isinstance(force, mm.NonbondedForce):
            force.setExceptionsUsePeriodicBoundaryConditions(force.usesPeriodicBoundaryConditions())
    periodic = system.usesPeriodicBoundaryConditions()
    for force in system.getForces():
        if isinstance(force, mm.CustomCVForce):
            for index in range(force.getNumCollectiveVariables()):
                inner = force.getCollectiveVariable(index)
                if isinstance(inner, mm.CustomBondForce):
                    inner.setUsesPeriodicBoundaryConditions(periodic)
