"""Vibrations: normal modes from the exact Hessian, or from differences of forces where the calculator has none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.io import read
from numpy.typing import NDArray

from dp_sim.config.recipe import documented
from dp_sim.recipes.inputs.calculator_pool import CalculatorPool
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.inputs.isotopes import with_isotopes
from dp_sim.recipes.inputs.memory import check_memory
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.inputs.temperatures import even_temperatures
from dp_sim.recipes.results.frames import evaluated_copy, write_frames
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.static.hessian import PARTIAL
from dp_sim.recipes.static.infrared import intensities_km_mol
from dp_sim.recipes.static.members import member_modes
from dp_sim.recipes.static.mode_analysis import ModeAnalysis, analyse_modes
from dp_sim.recipes.static.opt import optimize
from dp_sim.recipes.static.settings import VibSettings
from dp_sim.recipes.static.thermochemistry import electron_multiplicity
from dp_sim.recipes.static.vib_result import STANDARD_K, GasOptions, VibResult

#: Above it a frequency is called unphysical, cm^-1.
FASTEST_CM1 = 5000.0
#: Matrices as large as the Hessian that are in memory at once: itself, mass-weighted, projected, eigenvectors, ...
MATRICES = 10
#: With `relax` the forces go this far below the bound.
RELAX_TO = 0.1
#: The relaxed structure, from which a resumed run goes on.
RELAXED = "relaxed.extxyz"


@documented(VibSettings)
def vibrations(
    atoms: Atoms,
    calc: Any,
    *,
    hessian: str = "auto",
    delta: float = 0.005,
    processes: int = 1,
    fmax: float = 0.02,
    relax: bool = False,
    isotopes: Sequence[str] = (),
    thermo: str = "auto",
    temperature_min_K: float = 100.0,
    temperature_max_K: float = 1000.0,
    temperature_step_K: float = 100.0,
    pressure_bar: float = 1.0,
    symmetry_number: int | None = None,
    spin_multiplicity: int | None = None,
    width_cm1: float = 10.0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> VibResult:
    """Compute normal modes, what they tell of the structure, and its thermochemistry.

    Parameters
    ----------
    atoms
        The structure, at a stationary point; atoms held by `FixAtoms` stay where they are.
    calc
        An ASE calculator, a model file, or a list of model files.

    Returns
    -------
    VibResult
        Translations and rotations of the whole are taken out where they cost no energy, whatever the periodicity and
        the fixed atoms; see `dp_sim.recipes.static.rigid_motions`.

    Raises
    ------
    InputError
        A setting out of range, constraints other than `FixAtoms`, a Hessian that does not fit in memory, or from
        `prepare_atoms` and `RunDirectory`.

    Notes
    -----
    A Hessian by differences continues with `resume` at the atom where it stopped.
    """
    settings = VibSettings.taken_from(locals())
    atoms = prepare_atoms(atoms, calc)
    electron_multiplicity(atoms, settings.spin_multiplicity)  # refused before any work
    mobile = mobile_atoms(atoms, but_symmetry=True)
    model = loaded_model(atoms.calc)
    memory = _memory_words(len(mobile), 0 if model is None else len(model.members) - 1)
    if settings.processes > 1 and model is None:
        CalculatorPool(atoms.calc, settings.processes)  # refuses, before anything is written, what it cannot copy
    weighed = with_isotopes(atoms, settings.isotopes)
    weighed.calc = atoms.calc
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        run.log(memory)
        if settings.relax:
            _relax(weighed, RELAX_TO * settings.fmax, run, progress)
        gradient = -weighed.get_forces()  # of fixed atoms it is zero
        energy = float(weighed.get_potential_energy())
        found = analyse_modes(
            weighed,
            mobile,
            method=settings.hessian,
            delta=settings.delta,
            partial=run.path(PARTIAL),
            log=run.log,
            progress=progress,
            processes=settings.processes,
        )
        for words in _remarks(settings, found, len(model.members) if model is not None else 1, atoms):
            run.note(words)
        largest = float(np.linalg.norm(gradient, axis=1).max())
        result = _result(weighed, energy, found, mobile, largest, settings.fmax)
        return run.finish(replace(result, gas=_gas_options(settings), width_cm1=settings.width_cm1))


def _remarks(settings: VibSettings, found: ModeAnalysis, members: int, atoms: Atoms) -> list[str]:
    """Say which settings had no effect, and what is odd about the modes."""
    remarks = []
    if any(isinstance(one, FixSymmetry) for one in atoms.constraints):
        remarks.append("modes of every symmetry are computed: the constraint FixSymmetry holds none of them")
    if settings.processes > 1 and found.second.exact:
        remarks.append(f"processes={settings.processes} was not used: the Hessian is exact")
    if found.second.exact and settings.delta != VibSettings.model_fields["delta"].default:
        remarks.append(f"delta={settings.delta:g} was not used: the Hessian is exact")
    if not found.second.exact and members > 1:
        remarks.append(
            "differences of forces are those of the committee's mean: what its members differ by is not known"
        )
    frequencies = found.modes.frequencies_cm1
    if atoms.pbc.any() and not len(frequencies):
        remarks.append(
            "with one atom in the periodic cell nothing vibrates but against its own images: those are phonons "
            "(dp-sim phonons), or take a larger cell"
        )
    if (fastest := float(frequencies.max(initial=0.0))) > FASTEST_CM1:
        remarks.append(
            f"{fastest:.0f} cm^-1 is faster than any vibration of nature (H2 has 4401 cm^-1): are the positions in "
            "Angstrom, and was the model trained on structures like this one?"
        )
    return remarks


def _memory_words(n_atoms: int, more_members: int) -> str:
    """Say what memory the modes of so many atoms take, after a check that it is there; a committee keeps all of its."""
    needed = (MATRICES + 2 * more_members) * 8 * (3 * n_atoms) ** 2
    what = f"the Hessian of {n_atoms:,} atoms, with its modes,"
    check_memory(needed, what, "hold atoms that need not move (FixAtoms), or take a smaller structure")
    return f"{what} takes some {needed / 1e9:.2g} GB"


def _gas_options(settings: VibSettings) -> GasOptions:
    """Gather what the table is made for: evenly spaced temperatures, and that of published tables among them."""
    even = even_temperatures(settings.temperature_min_K, settings.temperature_max_K, settings.temperature_step_K)
    return GasOptions(
        tuple(float(value) for value in np.unique([*even, STANDARD_K])),
        settings.pressure_bar,
        settings.thermo,
        settings.symmetry_number,
        settings.spin_multiplicity,
    )


def _relax(atoms: Atoms, fmax: float, run: RunDirectory, progress: bool) -> None:
    """Move `atoms` to the stationary point nearby; a resumed run goes on from the one it had found."""
    file = run.path(RELAXED)
    if run.resumed and file is not None and file.is_file():
        atoms.set_positions(read(file).positions, apply_constraint=False)
        return
    found = optimize(atoms, atoms.calc, fmax=fmax, progress=progress)
    run.log(f"relaxed in {found.steps} steps to {found.fmax_eV_A:.2g} eV/Angstrom")
    atoms.set_positions(found.atoms.positions, apply_constraint=False)
    atoms.get_forces()
    if file is not None:
        write_frames(file, evaluated_copy(atoms))


def _result(
    atoms: Atoms,
    energy_eV: float,
    found: ModeAnalysis,
    mobile: NDArray[np.intp],
    largest: float,
    fmax: float,
) -> VibResult:
    second, rigid, modes = found
    displacements = np.zeros((len(modes.frequencies_cm1), len(atoms), 3))
    displacements[:, mobile] = modes.displacements
    intensities = None
    if second.dipole_derivatives is not None:
        intensities = intensities_km_mol(second.dipole_derivatives, modes.displacements, modes.reduced_masses_amu)
    cause = ""
    if largest > fmax:
        cause = (
            f"the structure is not relaxed: its largest force is {largest:.3g} eV/Angstrom, {largest / fmax:.1f} times "
            f"the bound of {fmax:g}; relax it first (relax=True, dp-sim vib --relax)"
        )
    return VibResult(
        converged=largest <= fmax,
        cause=cause,
        atoms=atoms.copy(),
        energy_eV=energy_eV,
        frequencies_cm1=modes.frequencies_cm1,
        modes=displacements,
        reduced_masses_amu=modes.reduced_masses_amu,
        n_imaginary=modes.n_imaginary,
        zero_point_energy_eV=modes.zero_point_energy_eV,
        hessian=second.hessian,
        hessian_source=second.source,
        fmax_eV_A=largest,
        rigid_frequencies_cm1=modes.rigid_frequencies_cm1,
        rigid=rigid,
        intensities_km_mol=intensities,
        members=member_modes(atoms, mobile, found, at_rest=largest <= fmax),
    )
