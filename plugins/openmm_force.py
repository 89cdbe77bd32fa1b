"""A Deep Potential as an OpenMM Force: `create_force`, with a TorchForce or a PythonForce behind it.

Both call the same scripted module (`openmm_module`), which returns energy and forces, so they give the same numbers.
The model takes its compiled path there (dp_sim.compiled). TorchForce runs without Python, on the platform's own
device, but its binary plugin fits one version of torch only and is deprecated upstream; PythonForce comes with OpenMM
and runs with any torch.

Beside a bias. Either force is one of several of a System. A `CustomCVForce` goes beside it, or OpenMM's
`app.Metadynamics`, with collective variables that are forces of OpenMM's own; energies and forces add up, and with
`setForceGroup` on each `getState` tells them apart. A PlumedForce would go beside it likewise, but its package,
openmm-plumed, is on conda-forge and not on PyPI, and was not tried.

Failures. The message of a PythonForce is our sentence alone. That of a TorchForce begins with TorchScript's trace, and
our sentence, after "dp-sim: ", is its last line: TorchScript's interpreter puts the trace before every error that is
raised in it, so a module cannot change that. `dp-sim nvt` and the other recipes show the sentence alone with either; a
script takes it with `str(error).rpartition("dp-sim: ")[2].strip()`.

Systems in XML. Both forces carry the whole model in the XML, not its path: the file needs no other file. To read it,

* TorchForce: first call `import_torch_plugin()`. Without it OpenMM says "There is no serialization proxy registered for
  type 'TorchForce'", or "Unknown builtin op: dp_sim::...". For a force made with `portable=True` the line
  `import torch, vesin_torch, openmmtorch`, in this order, does as well, without dp-sim (before Python 3.13).
* PythonForce: dp-sim must be installed where the XML is read, with its compiled operators unless the force was made
  with `portable=True`; nothing needs to be imported. OpenMM keeps Python forces as pickles, so reading a System in
  XML, like any pickle, can run code: read files that you trust.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution, version
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import Tensor

from dp_sim.compiled.library import register_operators
from dp_sim.errors import InputError, choose, import_optional, nearest_name
from dp_sim.model.evaluator import Model
from dp_sim.model.model_file import ModelSource, as_model
from dp_sim.plugins.openmm_module import MARK, load_scripted, model_message, scripted_potential

if TYPE_CHECKING:
    import openmm
    import openmm.app

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "torchscript", "python")


def create_force(
    model: ModelSource,
    topology: openmm.app.Topology | None = None,
    *,
    backend: str = "auto",
    atoms: Iterable[int] | None = None,
    species: Sequence[str | int] | None = None,
    periodic: bool | None = None,
    device: str | None = None,
    dtype: str | None = None,
    portable: bool = False,
) -> openmm.Force:
    """Make the force of a model, for `system.addForce`.

    Energies and forces are those of `Model.evaluate` in kJ/mol and kJ/mol/nm. A NaN position or energy, and a System
    with another number of particles, end the run with an OpenMMException; a TorchForce's has the sentence that says why
    in its last line, below TorchScript's trace (see the module's docstring).

    Parameters
    ----------
    model
        A model file, several (a committee: the mean of its members), or a loaded model.
    topology
        Gives the element of each particle of the System.
    backend
        "torchscript" (TorchForce), "python" (PythonForce), or "auto": TorchForce if its plugin loads and reproduces the
        model on a few atoms, else PythonForce; which one, and why, goes to the log `dp_sim`.
    atoms
        Indices of the particles that the model describes, in any order; None: all of them.
    species
        Chemical symbols or atomic numbers, one for each particle of the System, in place of a topology.
    periodic
        Use the periodic box of the Context, as it changes. None: yes, if the topology has a box; where it has none, or
        there is no topology, it must be given, because a System may have a box all the same.
    device
        For files: where a PythonForce runs the model, "cpu" by default. A TorchForce runs on the platform's device.
    dtype
        For files: "float32" or "float64"; default: as trained.
    portable
        Leave dp-sim's compiled operators out: several times slower, but a System in XML can be read without them.

    Returns
    -------
    openmm.Force
        A TorchForce or a PythonForce.

    Raises
    ------
    InputError
        No element for a particle, or one that the model does not know; atoms out of range or twice; unknown backend,
        device or dtype; device or dtype together with a loaded model; `periodic` not given where nothing tells it.
    MissingPackageError
        OpenMM, or the plugin of the backend asked for, is not installed or does not load.
    """
    import_optional("openmm", extra="openmm", purpose="A force for OpenMM")
    choose("backend", backend, BACKENDS)
    model = as_model(model, device=device, dtype=dtype)
    elements, in_box = _read_elements(topology, species)
    if periodic is None and not in_box:
        raise InputError(
            "periodic-unsaid",
            "periodic must be given where no topology with a box tells it: periodic=True takes the box of the System, "
            "periodic=False evaluates the atoms as a cluster, whatever box the System has",
        )
    periodic = in_box if periodic is None else periodic
    part = None if atoms is None else _checked_part(atoms, len(elements))
    index = model.species_index(_numbers(elements, range(len(elements)) if part is None else part))
    content = scripted_potential(model, index, None if part is None else torch.tensor(part), portable=portable)
    if backend == "auto":
        backend = working_backend(model, index, portable=portable)
    force = _torch_force(content) if backend == "torchscript" else _python_force(content, str(model.device))
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


@functools.cache
def import_torch_plugin() -> ModuleType:
    """Load OpenMM's plugin for TorchForce, and dp-sim's operators: do so before a System with a TorchForce is read.

    Where the operators cannot be used, Systems that call them cannot be read: OpenMM says "Unknown builtin op:
    dp_sim::...". Forces made with `portable=True` call none.

    Raises
    ------
    MissingPackageError
        openmmtorch is not installed, or was built for another torch.
    """
    # Order matters: torch (imported above) brings libnvrtc, and vesin_torch the class that the model's file names.
    _load_libnvrtc_13()
    import_optional("vesin_torch", extra="openmm", purpose="A TorchForce")
    # openmmtorch imports OpenMM by its former name, for which OpenMM logs a warning that no user can act upon.
    root = logging.getLogger()
    root.addFilter(_not_about_simtk)
    try:
        plugin = import_optional("openmmtorch", extra="openmm", purpose="A TorchForce (backend='torchscript')")
    finally:
        root.removeFilter(_not_about_simtk)
    _load_kernels()
    register_operators()
    return plugin


def _load_libnvrtc_13() -> None:
    """Load the libnvrtc that the extra `openmm` brings from Python 3.13 on.

    There openmmtorch 1.5 links that of CUDA 13, while torch 2.9 brings that of CUDA 12.
    """
    try:
        files = distribution("nvidia-cuda-nvrtc").files or []
    except PackageNotFoundError:
        return
    for file in files:
        if file.name == "libnvrtc.so.13":
            ctypes.CDLL(str(file.locate()))


def _not_about_simtk(record: logging.LogRecord) -> bool:
    return "simtk.openmm" not in record.getMessage()


def _load_kernels() -> None:
    """Load the plugin's kernels: `import openmm` tries to, and fails if torch was not loaded before."""
    import openmm

    for index in range(openmm.Platform.getNumPlatforms()):
        name = f"libOpenMMTorch{openmm.Platform.getPlatform(index).getName()}.so"
        library = os.path.join(openmm.version.openmm_library_path, "plugins", name)
        if os.path.exists(library) and library not in openmm.pluginLoadedLibNames:
            openmm.Platform.loadPluginLibrary(library)


class ScriptedComputation:
    """The function that a PythonForce calls. It pickles as plain data.

    The module is loaded at the first call, not with the pickle: an error while OpenMM unpickles ends the process.

    Parameters
    ----------
    content
        The module, from `scripted_potential`.
    device
        Where it runs.
    """

    def __init__(self, content: bytes, device: str) -> None:
        self.content = content
        self.device = device
        self._module: torch.jit.ScriptModule | None = None

    def __reduce__(self) -> tuple[type[ScriptedComputation], tuple[bytes, str]]:
        """Pickle the file's content and the device, not the module."""
        return ScriptedComputation, (self.content, self.device)

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Compute the energy, kJ/mol, and forces (n, 3), kJ/mol/nm, of a State."""
        from openmm import OpenMMException, unit

        if self._module is None:
            self._module = load_scripted(self.content, self.device)
        positions = self._tensor(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        try:
            box = self._tensor(state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.nanometer))
        except OpenMMException:  # how a State says that the force is not periodic
            box = None
        try:
            energy, forces = self._module(positions, box)
        except torch.jit.Error as error:  # its trace through TorchScript helps nobody
            sentence = model_message(error)
            raise OpenMMException(MARK + sentence) if sentence else error from None
        return energy.item(), forces.cpu().numpy()

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def _torch_force(content: bytes) -> openmm.Force:
    force = import_torch_plugin().TorchForce(load_scripted(content))
    force.setOutputsForces(True)
    return force


def _python_force(content: bytes, device: str) -> openmm.Force:
    from openmm import PythonForce

    return PythonForce(ScriptedComputation(content, device))


def working_backend(model: Model, species: Tensor, *, portable: bool = False) -> str:
    """Choose a backend for `create_force`, and log why.

    Parameters
    ----------
    model
        The model.
    species
        (n,) int64, species of the atoms that it describes; the self-check takes up to three of them.
    portable
        As for `create_force`.

    Returns
    -------
    str
        "torchscript" if a TorchForce passes `check_one_step`, else "python".
    """
    try:
        check_one_step(scripted_potential(model, species[:3], portable=portable), len(species[:3]))
    # Any exception: a plugin built for another torch fails in whatever way the mismatch brings about.
    except Exception as error:
        logger.warning("backend 'auto' takes PythonForce, because TorchForce cannot be used here: %s", error)
        return "python"
    logger.info("backend 'auto' takes TorchForce: its plugin loads and reproduces the model")
    return "torchscript"


def check_one_step(content: bytes, n_atoms: int) -> None:
    """Compare one step of a TorchForce with the module in Python: atoms in a row, on the platform Reference.

    Parameters
    ----------
    content
        The module, from `scripted_potential`.
    n_atoms
        How many atoms it describes.

    Raises
    ------
    RuntimeError
        Energy or forces differ, or the plugin was built for another OpenMM; other exceptions come from the plugin.
    """
    import openmm

    # The class that carries a Force to XML and into copies has another layout in 8.6: the process ends in it.
    if tuple(map(int, openmm.__version__.split(".")[:2])) >= (8, 6) and version("openmmtorch") == "1.5":
        raise RuntimeError(
            f"openmmtorch 1.5 was built for OpenMM 8.5, and fails to copy its forces in {openmm.__version__}"
        )
    system = openmm.System()
    for _ in range(n_atoms):
        system.addParticle(1.0)
    system.addForce(_torch_force(content))
    integrator = openmm.VerletIntegrator(0.001)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(np.outer(np.arange(n_atoms), [0.1, 0.05, 0.02]))  # nm
    integrator.step(1)
    state = context.getState(positions=True, energy=True, forces=True)
    energy, expected = load_scripted(content)(torch.from_numpy(state.getPositions(asNumpy=True)._value))
    # Room for the rounding of a float32 model, no more: a wrong plugin is wrong in the first digits.
    same_energy = np.isclose(state.getPotentialEnergy()._value, energy.item(), rtol=1e-5, atol=1e-3)
    forces = state.getForces(asNumpy=True)._value
    same_forces = np.allclose(forces, expected.numpy(), rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    if not (same_energy and same_forces):
        raise RuntimeError("its energy or forces differ from the model's own in the self-check")


def _read_elements(
    topology: openmm.app.Topology | None, species: Sequence[str | int] | None
) -> tuple[list[str | int | None], bool]:
    """Read symbol or number of each particle (None where a topology has none), and whether the topology has a box."""
    if (topology is None) == (species is None):
        raise InputError(
            "species-missing",
            "the elements of the particles come from a topology or from species=[...]; give one of them",
        )
    if species is not None:
        return list(species), False
    from openmm.app import Topology

    if not isinstance(topology, Topology):
        raise InputError(
            "topology-kind",
            f"topology must be an openmm.app.Topology, got {type(topology).__name__}; try .topology of it",
        )
    elements = [None if atom.element is None else atom.element.symbol for atom in topology.atoms()]
    return elements, topology.getPeriodicBoxVectors() is not None


def _numbers(elements: list[str | int | None], part: Iterable[int]) -> list[int]:
    """Look up the atomic numbers of the particles in `part`."""
    numbers = []
    for particle in part:
        element = elements[particle]
        if element is None:
            raise InputError(
                "species-missing", f"particle {particle} has no element in the topology; leave it out with atoms=[...]"
            )
        if isinstance(element, str) and element not in atomic_numbers:
            raise InputError(
                "species-unknown",
                f"species of particle {particle} must be a chemical symbol or an atomic number, got '{element}'"
                f"{nearest_name(element, atomic_numbers)}",
            )
        numbers.append(atomic_numbers[element] if isinstance(element, str) else int(element))
    return numbers


def _checked_part(atoms: Iterable[int], n_particles: int) -> list[int]:
    """Check that particle indices are distinct and within range."""
    part = [int(atom) for atom in atoms]
    if not part:
        raise InputError(
            "particles-missing",
            "atoms is empty; name the particles that the model describes, or leave atoms out for all",
        )
    outside = [atom for atom in part if not 0 <= atom < n_particles]
    if outside:
        raise InputError(
            "particle-out-of-range",
            f"atoms must be indices from 0 to {n_particles - 1}, got {outside[0]}; the topology (or species) has "
            f"{n_particles} particles",
        )
    if len(set(part)) < len(part):
        twice = next(atom for atom in part if part.count(atom) > 1)
        raise InputError(
            "particle-repeated",
            f"atoms must name each particle once, got {twice} more than once; remove the repetition",
        )
    return part
