"""Dynamics in OpenMM: Langevin middle or Nose-Hoover, Monte Carlo moves of the cell, leap-frog at constant energy.

Integrators are OpenMM's (`openmm_integrators.py`), the barostat is ours (`openmm_barostat.py`). Its moves keep the
shape of molecules: scaled bonds would let through only moves so small that a liquid's density took ten times longer. A
Deep Potential knows no bonds, so molecules are found by distance (molecules.py), and found again when one has come
apart. The groups do not change what is sampled; that the structure chooses when they change is outside detailed
balance, once for each molecule that comes apart.

Units change here and nowhere else: Angstrom, eV, fs, bar on this side; nm, kJ/mol, ps, bar on OpenMM's. Restarts are
exact on the platforms CPU and Reference: OpenMM's checkpoint holds the chain and the random forces, the state beside it
the barostat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms, units
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from dp_sim.errors import InputError, import_optional
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes, check_heights
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.engines.held_bonds import check_held
from dp_sim.recipes.dynamics.engines.openmm_barostat import Barostat
from dp_sim.recipes.dynamics.engines.openmm_box import (
    VELOCITY_IN_NM_PER_PS,
    Box,
    View,
    topology_of,
    vectors_and_positions_nm,
)
from dp_sim.recipes.dynamics.engines.openmm_integrators import count_freedom, heat_bath_eV, make_integrator
from dp_sim.recipes.dynamics.engines.openmm_platform import find_platform, slow_samples
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Sample, State, UnstableError
from dp_sim.recipes.dynamics.engines.velocities import fixed_atoms, start_motion
from dp_sim.recipes.dynamics.molecules import find_molecules, has_broken_bond
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds, take_stretch_away
from dp_sim.recipes.dynamics.rigid_bonds.pressure import group_virial, kinetic_tensor
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError
from dp_sim.units import ANGSTROM_IN_NM, EV_IN_KJ_PER_MOL, EV_PER_A3_IN_BAR

if TYPE_CHECKING:
    import openmm
    import openmm.app

#: Energies of OpenMM's force and of the calculator that differ by more (eV per atom) are not those of one potential:
#: positions rounded to float32 and another order of summation change less.
SAME_ENERGY_EV = 1e-3


def openmm_for(atoms: Atoms) -> Any:
    """Import OpenMM for a structure that it can run.

    Raises
    ------
    InputError
        Periodic along some axes only.
    MissingPackageError
        OpenMM is not installed.
    """
    mm = import_optional("openmm", extra="openmm", purpose="engine='openmm'")
    if atoms.pbc.any() and not atoms.pbc.all():
        raise InputError(
            "periodicity-unsupported",
            "engine='openmm' needs a structure that is periodic along all three axes or along none, "
            f"got pbc={atoms.pbc.tolist()}; use engine='ase'",
        )
    return mm


class OpenMMEngine:
    """Dynamics of `atoms` (copied) under the force that `make_force` gives for their topology.

    Parameters
    ----------
    atoms
        The structure, periodic along all three axes or along none.
    make_force
        From an OpenMM topology to the force.
    conditions
        What is held constant.
    calculator
        An ASE calculator of the same energy, which gives the stress of samples: one evaluation, where the energies of
        stretched boxes would take two for the pressure alone. None: samples have no pressure. A Nose-Hoover chain needs
        it, to see which momenta the forces conserve.
    platform
        "CUDA", "OpenCL", "CPU" or "Reference"; None: CUDA where torch sees a GPU and OpenMM has the platform, else CPU.
    rigid_bonds
        Bonds that keep their length; None: none do.

    Raises
    ------
    InputError
        Periodic along some axes only (OpenMM's box is periodic along all three), a platform that is not there, a
        calculator of another energy than the force, or a cell that the change of the cell does not fit.
    MissingPackageError
        OpenMM is not installed.
    """

    options: ClassVar[frozenset[str]] = frozenset({"backend", "platform", "rigid_bonds"})
    ensembles: ClassVar[Mapping[str, tuple[str, ...]]] = {"langevin": CELL_CHANGES, "nose-hoover": CELL_CHANGES}
    forms: ClassVar[tuple[str, ...]] = ("dcd",)

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Refuse a calculator without a dp-sim model: OpenMM needs its force."""
        if loaded_model(calculator) is None:
            raise InputError(
                "engine-needs-our-model",
                f"engine='openmm' needs a dp-sim model, got the calculator {type(calculator).__name__}; "
                "give a model file, or use engine='ase'",
            )

    @classmethod
    def make(
        cls,
        atoms: Atoms,
        calculator: Any,
        conditions: Conditions,
        *,
        backend: str | None = None,
        platform: str | None = None,
        rigid_bonds: RigidBonds | None = None,
    ) -> OpenMMEngine:
        """Set up the engine with the force of the calculator's model."""
        from dp_sim.plugins.openmm_force import create_force

        def make_force(topology: openmm.app.Topology) -> Any:
            periodic = topology.getPeriodicBoxVectors() is not None  # the topology is made from the structure
            return create_force(calculator.model, topology, backend=backend or "auto", periodic=periodic)

        return cls(atoms, make_force, conditions, calculator=calculator, platform=platform, rigid_bonds=rigid_bonds)

    def __init__(
        self,
        atoms: Atoms,
        make_force: Callable[[openmm.app.Topology], openmm.Force],
        conditions: Conditions,
        *,
        calculator: Any = None,
        platform: str | None = None,
        rigid_bonds: RigidBonds | None = None,
    ) -> None:
        mm = openmm_for(atoms)
        self._atoms = atoms.copy()
        self._box = Box(atoms) if atoms.pbc.all() else None
        self._conditions = conditions
        self._rigid = rigid_bonds
        self._barostat = self._make_barostat()
        if rigid_bonds is not None:
            self._atoms.positions = rigid_bonds.whole(self._atoms)  # OpenMM's constraints know no periodic images
        moving = self._atoms.copy()
        moving.calc = calculator
        rng = np.random.default_rng(conditions.seed)
        self.degrees_of_freedom, self.notes = start_motion(moving, conditions, rng, rigid_bonds)
        self._atoms.set_momenta(moving.get_momenta())
        self._view = View(self._atoms, self._box, changes_shape=conditions.changes_shape)
        self._platform = find_platform(mm, platform)
        system = self._make_system(mm, make_force, conditions)
        self._context = mm.Context(system, make_integrator(mm, conditions), self._platform)
        if self._has_chain:
            count_freedom(self._context.getIntegrator(), self.degrees_of_freedom)
        self.platform = str(self._platform.getName())
        self._set_start()
        self._mm = mm
        self._calculator = calculator if self._box else None
        if self._calculator is not None:
            self._check_same_energy()
            self.notes += tuple(slow_samples(self.platform, loaded_model(calculator)))

    def _make_barostat(self) -> Barostat | None:
        """Make the barostat of constant pressure, and the molecules whole that it moves."""
        conditions = self._conditions
        if conditions.pressure_bar is None:
            return None
        assert self._box is not None  # others are refused before
        cell_modes(self._atoms.cell.array, conditions.cell_change)  # refuses a cell that it would bend
        bonds, self._atoms.positions = find_molecules(self._atoms)
        return Barostat(self._box, conditions.cell_change, len(self._atoms), self._with_rigid(bonds), conditions.seed)

    def _with_rigid(self, bonds: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Join rigid groups too: those of a network without end are no molecules, and keep their shape all the same."""
        return bonds if self._rigid is None else bonds + [(int(i), int(j)) for i, j in self._rigid.pairs]

    @property
    def _has_chain(self) -> bool:
        return self._conditions.temperature_K is not None and self._conditions.thermostat == "nose-hoover"

    def _make_system(self, mm: Any, make_force: Callable[..., Any], conditions: Conditions) -> Any:
        system = mm.System()
        fixed = set(fixed_atoms(self._atoms))
        for index, mass in enumerate(self._atoms.get_masses()):
            system.addParticle(0.0 if index in fixed else float(mass))  # OpenMM holds particles without mass
        if self._rigid is not None:
            for (first, second), length in zip(self._rigid.pairs.tolist(), self._rigid.lengths_A, strict=True):
                system.addConstraint(first, second, length * ANGSTROM_IN_NM)
        if self._box is not None:
            system.setDefaultPeriodicBoxVectors(*self._box.vectors_nm)
        system.addForce(make_force(topology_of(self._atoms)))
        return system

    @property
    def molecules(self) -> int:
        """Number of molecules and single atoms that the barostat moves."""
        assert self._barostat is not None
        return self._barostat.n_groups

    def _update_molecules(self, barostat: Barostat) -> None:
        """Find the molecules again if one has come apart since they were found."""
        now = self.structure()
        if not has_broken_bond(now, barostat.bonds):
            return
        bonds, whole = find_molecules(now)
        barostat.bonds = self._with_rigid(bonds)
        state = self._context.getState(positions=True)
        turn = self._view.rotation(self._view.lattice(state, self._basis))
        shifts = (whole - now.positions) @ turn.T * ANGSTROM_IN_NM
        self._context.setPositions(state.getPositions(asNumpy=True)._value + shifts)

    def _set_start(self) -> None:
        velocities = self._atoms.get_velocities() * VELOCITY_IN_NM_PER_PS
        self._context.setPositions(vectors_and_positions_nm(self._atoms)[1])
        self._context.setVelocities(velocities if self._box is None else velocities @ self._box.rotation)

    def retarget(self, conditions: Conditions) -> None:
        """Go on under another temperature or pressure."""
        if self._barostat is not None and conditions != self._conditions:
            self._barostat.adapt_again()
        self._conditions = conditions
        self._context.getIntegrator().setTemperature(conditions.temperature_K)

    def run(self, steps: int) -> None:
        """Advance by whole steps; raises UnstableError when positions or energies become non-finite."""
        with self._plain_errors():
            if self._barostat is None:
                self._context.getIntegrator().step(steps)
            else:
                self._run_under_pressure(self._barostat, steps)
        if self._conditions.changes_shape:
            check_heights(self._view.lattice(self._context.getState(), self._basis), self._atoms.cell.array)

    def _run_under_pressure(self, barostat: Barostat, steps: int) -> None:
        while steps:
            block = min(steps, barostat.steps_to_next)
            self._context.getIntegrator().step(block)
            steps -= block
            barostat.steps_to_next -= block
            if not barostat.steps_to_next:
                if barostat.bonds:
                    self._update_molecules(barostat)
                barostat.attempt(self._context, self._conditions, rests=self._has_chain)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn exceptions of OpenMM into errors of dp-sim: unstable motion where a number is not finite."""
        try:
            yield
        except self._mm.OpenMMException as error:
            from dp_sim.plugins.openmm_module import model_message  # noqa: PLC0415 - it loads torch

            sentence = model_message(error)
            # The model and OpenMM itself word it their own way; both name NaN.
            if re.search(r"\bnan\b", sentence or str(error), re.IGNORECASE):
                what = "the energy" if "the model's energy" in sentence else "a position"
                raise UnstableError("motion-unstable", f"{what} became non-finite") from error
            if sentence:
                raise EvaluationError("model-failed", sentence) from error
            raise

    def sample(self) -> Sample:
        """Return energies, volume and pressure now."""
        with self._plain_errors():
            return self._sample()

    def _sample(self) -> Sample:
        atoms = self.structure()
        if not np.isfinite(atoms.positions).all():
            raise UnstableError("motion-unstable", "a position became non-finite")
        if self._rigid is not None:
            check_held(self._rigid, atoms)
        kinetic = self._kinetic_eV()
        if self._calculator is None:
            volume = None if self._box is None else float(atoms.get_volume())
            potential = self._potential_eV()
            return Sample(potential, kinetic, volume, None, conserved_eV=self._conserved_eV(potential + kinetic))
        atoms.calc = self._calculator
        potential, volume = float(atoms.get_potential_energy()), float(atoms.get_volume())
        if not np.isfinite(potential):
            raise UnstableError("motion-unstable", "the energy became non-finite")
        per_volume = EV_PER_A3_IN_BAR / volume
        of_motion = self._kinetic_tensor_eV(atoms) * per_volume
        full = of_motion + self._virial_eV(atoms) * per_volume
        return Sample(
            potential,
            kinetic,
            volume,
            float(np.trace(full)) / 3,
            full_3x3_to_voigt_6_stress(full),
            atoms.cell.array if self._conditions.changes_shape else None,
            self._conserved_eV(potential + kinetic),
            None if self._rigid is None else float(np.trace(of_motion)) / 3,
        )

    def _conserved_eV(self, total_eV: float) -> float | None:
        """Return the energy that the motion conserves; None where the heat of random forces or moves is not summed."""
        if self._conditions.temperature_K is None:
            return total_eV
        if not self._has_chain or self._barostat is not None:
            return None
        return total_eV + heat_bath_eV(self._context)

    def _kinetic_eV(self) -> float:
        if self._rigid is not None and self._conditions.temperature_K is not None:
            # Of the thermostat's noise OpenMM leaves a part along the bonds till the next step, and counts it.
            return float(self.structure().get_kinetic_energy())
        # Without a group of forces OpenMM evaluates none of them. The leap-frog's energy is the only one that needs
        # them: its velocities are half a step behind.
        groups = 0 if self._conditions.temperature_K is not None else -1
        return float(self._context.getState(energy=True, groups=groups).getKineticEnergy()._value / EV_IN_KJ_PER_MOL)

    def _potential_eV(self) -> float:
        return float(self._context.getState(energy=True).getPotentialEnergy()._value / EV_IN_KJ_PER_MOL)

    def _kinetic_tensor_eV(self, atoms: Atoms) -> NDArray[np.float64]:
        """Compute sum_i m_i v_i v_i (3, 3), eV, of a structure with its calculator; its trace is twice the energy.

        With rigid bonds the sum goes over the centres of their groups (`rigid_bonds/pressure.py`).
        The velocities of the leap-frog are half a step behind: v(t) = v(t - dt/2) + f(t) dt / 2 m. Those of a
        thermostat are taken as they are, as OpenMM does for the energy.
        """
        masses, velocities = atoms.get_masses()[:, None], atoms.get_velocities()
        if self._conditions.temperature_K is None:
            velocities += atoms.get_forces() / masses * (0.5 * self._conditions.timestep_fs * units.fs)
        if self._rigid is not None:
            return kinetic_tensor(self._rigid, masses[:, 0], velocities)
        return np.asarray((masses * velocities).T @ velocities)

    def _virial_eV(self, atoms: Atoms) -> NDArray[np.float64]:
        """Compute -dU/d(strain) (3, 3), eV, of a structure with its calculator; rigid groups stay what they are."""
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        if self._rigid is None:
            return np.asarray(virial)
        return group_virial(self._rigid, virial, atoms.get_masses(), atoms.positions, atoms.get_forces())

    def _check_same_energy(self) -> None:
        """Refuse a calculator whose stress is not that of the force: its energy differs."""
        with self._plain_errors():
            of_force = self._potential_eV()
        atoms = self.structure()
        atoms.calc = self._calculator
        of_calculator = float(atoms.get_potential_energy())
        if abs(of_force - of_calculator) > SAME_ENERGY_EV * len(atoms):
            raise InputError(
                "forces-differ",
                f"the energy of OpenMM's force is {of_force:.6f} eV, that of the calculator "
                f"{type(self._calculator).__name__} {of_calculator:.6f} eV: the pressure of samples would not be that "
                "of the forces; give the calculator of all forces",
            )

    def structure(self) -> Atoms:
        """Return a copy of the structure, in the orientation and with the lattice vectors of the one that was given."""
        atoms = self._view.structure(self._context.getState(positions=True, velocities=True), self._basis)
        if self._rigid is not None and np.isfinite(atoms.positions).all():
            take_stretch_away(atoms, self._rigid)
        atoms.set_constraint(self._atoms.constraints)
        return atoms

    @property
    def _basis(self) -> NDArray[np.int_] | None:
        """What the vectors of OpenMM's box are made of; the barostat may choose others on the way."""
        return None if self._barostat is None else self._barostat.basis

    def state(self) -> State:
        """Return OpenMM's checkpoint, and the barostat."""
        state: State = {"checkpoint": np.frombuffer(self._context.createCheckpoint(), dtype=np.uint8)}
        if self._barostat is not None:
            state |= self._barostat.state()
        return state

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments, by the same OpenMM on the same platform."""
        if self._barostat is not None:
            self._barostat.restore(state)
        try:
            self._context.loadCheckpoint(state["checkpoint"].tobytes())
        except self._mm.OpenMMException as error:
            raise InputError(
                "checkpoint-invalid",
                f"the checkpoint does not fit OpenMM {self._mm.version.version} on platform {self.platform} ({error}); "
                "continue with the version, platform and machine that began the run, or start over with --overwrite",
            ) from error
