"""Dynamics in LAMMPS, in one process or several MPI ranks: velocity Verlet, and the fixes of `fixes.py`.

Restarts: positions, velocities and cell to the last bit, so a run without thermostat goes on as it was but for the
order of sums. Random numbers are drawn anew, from the seed and the step. The chains of Nose-Hoover are in LAMMPS's
restart file, which is part of the state there.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from dp_sim.errors import InputError
from dp_sim.plugins.lammps.box import ASE_VELOCITY_IN_A_PER_PS, LammpsBox
from dp_sim.plugins.lammps.building import ready_plugin
from dp_sim.plugins.lammps.installed import find_lammps
from dp_sim.recipes.dynamics.engines.cell_modes import cell_modes, check_heights
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.engines.lammps.fixes import fixes, groups
from dp_sim.recipes.dynamics.engines.lammps.session import LammpsError, Session
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Sample, State, UnstableError
from dp_sim.recipes.dynamics.engines.velocities import fixed_atoms, start_motion
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

#: Of LAMMPS's generator of random numbers (Marsaglia's).
LARGEST_SEED = 900_000_000
#: What LAMMPS says where the motion is no longer the system's.
_UNSTABLE = ("not finite", "NaN", "on one spot", "Lost atoms", "Non-numeric", "out of range atoms", "non-numeric")
_CELL = ("xlo", "ylo", "zlo", "lx", "ly", "lz", "xy", "xz", "yz")
_PRESSURES = ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
_ASKED = ("step", "pe", "ke", "econserve", *_PRESSURES, *_CELL)
_SETUP = """\
units metal
atom_style atomic
boundary {boundary}
box tilt large
{read}
pair_style dp_sim {models}
pair_coeff * * {species}
neighbor 1.0 bin
neigh_modify every 1 delay 0 check yes
timestep {timestep_ps:.17g}
thermo_style custom step pe ke econserve pxx pyy pzz pxy pxz pyz
thermo_modify norm no
compute_modify thermo_temp extra/dof 0
thermo 1000000000"""


class LammpsEngine:
    """Dynamics of `atoms` (copied) under a Deep Potential, in LAMMPS.

    Parameters
    ----------
    atoms, calculator, conditions
        As for `make`.
    ranks
        MPI processes.
    """

    options: ClassVar[frozenset[str]] = frozenset({"ranks"})
    ensembles: ClassVar[Mapping[str, tuple[str, ...]]] = {"langevin": (), "bussi": (), "nose-hoover": CELL_CHANGES}
    forms: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def check(cls, atoms: Atoms, calculator: Any) -> None:
        """Refuse a calculator without a dp-sim model, and a missing LAMMPS."""
        model = loaded_model(calculator)
        if model is None:
            raise InputError(
                "engine-needs-our-model",
                f"engine='lammps' needs a dp-sim model, got the calculator {type(calculator).__name__}; "
                "give a model file, or use engine='ase'",
            )
        find_lammps()

    @classmethod
    def make(cls, atoms: Atoms, calculator: Any, conditions: Conditions, *, ranks: int | None = None) -> LammpsEngine:
        """Set up the engine."""
        return cls(atoms, calculator, conditions, ranks or 1)

    def __init__(self, atoms: Atoms, calculator: Any, conditions: Conditions, ranks: int = 1) -> None:
        self._atoms, self._conditions = atoms.copy(), conditions
        self._bulk = bool(atoms.pbc.all())
        if conditions.pressure_bar is not None:
            cell_modes(atoms.cell.array, conditions.cell_change)  # refuses a shape that it would not keep
        self._start_cell = atoms.cell.array.copy()
        moving = self._atoms.copy()
        moving.calc = calculator
        self.degrees_of_freedom, self.notes = start_motion(moving, conditions, np.random.default_rng(conditions.seed))
        self._atoms.set_momenta(moving.get_momenta())
        self._box = LammpsBox(self._atoms)
        self._types, self._symbols, self._masses = _types(self._atoms)
        home = tempfile.TemporaryDirectory(prefix="dp-sim-lammps-")
        folder = Path(home.name)
        self._models = _write_models(calculator.model, folder)
        lammps = find_lammps()
        threads = int(os.environ.get("OMP_NUM_THREADS", "1") or 1)
        self._session = Session(lammps, ready_plugin(lammps), folder, ranks, threads)
        weakref.finalize(self, _end, self._session, home)
        self._now: dict[str, float] = {}
        self._begin(0)

    def _begin(self, step: int, restart: Path | None = None) -> None:
        """Set LAMMPS up with the structure as it is, or with a restart file of LAMMPS."""
        self._box.write(
            self._session.folder / "structure.lmp",
            self._atoms,
            self._symbols,
            types=self._types,
            masses=self._masses,
            velocities=True,
        )
        read = "read_data structure.lmp" if restart is None else f"read_restart {restart.name}"
        script = _SETUP.format(
            boundary=self._box.boundary.replace("f", "s"),  # open axes follow the atoms, so that none is lost
            read=read,
            models=" ".join(self._models),
            species=" ".join(self._symbols),
            timestep_ps=self._conditions.timestep_fs / 1000.0,
        )
        commands = ["clear", *script.splitlines()]
        if restart is not None:  # which says units, style and boundary itself
            commands = [line for line in commands if line.split()[0] not in ("units", "atom_style", "boundary", "box")]
        else:
            commands += [f"reset_timestep {step}", *(["change_box all triclinic"] if self._is_flexible else [])]
        self._do([*commands, *self._integrator(step), f"run 0 {self._course}post no"])
        self._look()

    @property
    def _is_flexible(self) -> bool:
        return self._conditions.pressure_bar is not None and self._conditions.cell_change == "flexible"

    @property
    def _course(self) -> str:
        """The steps from the start to the end of a ramp, for the command `run`."""
        ramp = self._conditions.ramp
        return "" if ramp is None else f"start 0 stop {ramp.steps} "

    def _integrator(self, step: int) -> list[str]:
        """Give the groups and fixes of the ensemble."""
        fixed = fixed_atoms(self._atoms)
        still = 3 * (len(self._atoms) - len(fixed)) - self.degrees_of_freedom
        seed = int(np.random.default_rng([self._conditions.seed, step]).integers(1, LARGEST_SEED))
        return [*groups(fixed), *fixes(self._conditions, still, seed)]

    def retarget(self, conditions: Conditions) -> None:
        """Do nothing: LAMMPS follows the ramp itself."""

    def run(self, steps: int) -> None:
        """Advance by whole steps; raises UnstableError where LAMMPS says that the motion is not sound."""
        self._do([f"run {steps} {self._course}pre no post no"])
        self._look()
        if self._conditions.changes_shape:
            check_heights(self._atoms.cell.array, self._start_cell)

    def _do(self, commands: list[str]) -> list[str]:
        try:
            return self._session.do(commands)
        except LammpsError as error:
            if any(word in str(error) for word in _UNSTABLE):
                raise UnstableError("motion-unstable", f"atoms left the structure ({error})") from error
            raise EvaluationError("model-failed", str(error)) from error

    def _look(self) -> None:
        """Fetch energies, pressure, cell, positions and velocities of this step."""
        words = " ".join(f"$({name}:%.17g)" for name in _ASKED)
        dump = "write_dump all custom frame.txt id xu yu zu vx vy vz modify sort id format float %.17g"
        printed = self._do([f'print "now {words}"', dump])
        line = next(line for line in printed if line.startswith("now "))
        self._now = dict(zip(_ASKED, map(float, line.split()[1:]), strict=True))
        body = (self._session.folder / "frame.txt").read_text().split("vx vy vz", 1)[1]
        rows = np.array(body.split(), dtype=np.float64).reshape(-1, 7)
        if len(rows) != len(self._atoms) or not np.isfinite(rows).all():
            raise UnstableError("motion-unstable", "a position became non-finite")
        low = np.array([self._now[name] for name in _CELL[:3]])
        if self._conditions.pressure_bar is not None:
            n = self._now
            cell = np.array([[n["lx"], 0, 0], [n["xy"], n["ly"], 0], [n["xz"], n["yz"], n["lz"]]])
            self._atoms.set_cell(self._box.from_lammps(cell))
        self._atoms.set_positions(self._box.positions_from_lammps(rows[:, 1:4] - low * self._atoms.pbc))
        self._atoms.set_velocities(self._box.from_lammps(rows[:, 4:7]) / ASE_VELOCITY_IN_A_PER_PS)

    def sample(self) -> Sample:
        """Return energies, volume, pressure and its tensor now."""
        now = self._now
        if not all(np.isfinite(value) for value in now.values()):
            raise UnstableError("motion-unstable", "the energy became non-finite")
        volume = pressure = tensor = None
        if self._bulk:
            volume = float(self._atoms.get_volume())
            xx, yy, zz, xy, xz, yz = (now[name] for name in _PRESSURES)
            full = self._box.tensor_from_lammps(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
            pressure, tensor = float(np.trace(full)) / 3.0, full_3x3_to_voigt_6_stress(full)
        scaled = self._conditions.temperature_K is None or self._conditions.thermostat == "nose-hoover"
        conserved = now["econserve"] if scaled else None
        cell = self._atoms.cell.array.copy() if self._conditions.changes_shape else None
        return Sample(now["pe"], now["ke"], volume, pressure, tensor, cell, conserved)

    def structure(self) -> Atoms:
        """Return a copy of the structure now."""
        return self._atoms.copy()

    def state(self) -> State:
        """Return positions, momenta, cell and step; with Nose-Hoover chains LAMMPS's restart file."""
        state: State = {
            "positions": self._atoms.get_positions(),
            "momenta": self._atoms.get_momenta(),
            "cell": self._atoms.cell.array.copy(),
            "step": np.array(int(self._now["step"])),
        }
        if self._conditions.temperature_K is not None and self._conditions.thermostat == "nose-hoover":
            # To write it sets LAMMPS up anew, which the run after it must know.
            self._do(["write_restart state.restart", f"run 0 {self._course}post no"])
            content = (self._session.folder / "state.restart").read_bytes()
            state["restart"] = np.frombuffer(content, dtype=np.uint8)
        return state

    def restore(self, state: State) -> None:
        """Continue from a state of an engine made with the same arguments."""
        self._atoms.set_cell(state["cell"])
        self._atoms.set_positions(state["positions"])
        self._atoms.set_momenta(state["momenta"])
        restart = None
        if "restart" in state:
            restart = self._session.folder / "restored.restart"
            restart.write_bytes(state["restart"].tobytes())
        self._begin(int(state["step"]), restart)


def _types(atoms: Atoms) -> tuple[list[int], list[str], list[float]]:
    """Give a type to each element and mass: types of the atoms, symbols and masses of the types."""
    kinds = sorted(set(zip(atoms.get_chemical_symbols(), atoms.get_masses(), strict=True)))
    types = [kinds.index(kind) + 1 for kind in zip(atoms.get_chemical_symbols(), atoms.get_masses(), strict=True)]
    return types, [symbol for symbol, _ in kinds], [float(mass) for _, mass in kinds]


def _write_models(model: Model, folder: Path) -> list[str]:
    """Write the members of a model for the kernels, and return the names of the files."""
    from dp_sim.model.kernel_export import SUFFIX, kernel_content  # noqa: PLC0415 - it loads torch

    names = []
    for k, (module, metadata) in enumerate(zip(model.modules, model.members, strict=True)):
        names.append(f"model{k}{SUFFIX}")
        source = model.files[k] if k < len(model.files) else "model"
        (folder / names[-1]).write_bytes(kernel_content(module, metadata, source))
    return names


def _end(session: Session, home: tempfile.TemporaryDirectory[str]) -> None:
    session.close()
    home.cleanup()
