"""Phonons of a crystal: bands, density of states, thermal properties, stability."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.config.recipe import documented
from dp_sim.errors import import_optional
from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.force_constants import ForceConstants, compute_force_constants, edge_share
from dp_sim.recipes.crystals.phonon_result import PhononResult
from dp_sim.recipes.crystals.settings import PhononSettings
from dp_sim.recipes.crystals.spectra import (
    band_frequencies,
    density_of_states,
    sample_mesh,
    special_path,
    thermal_properties,
)
from dp_sim.recipes.crystals.stability import find_lowest
from dp_sim.recipes.crystals.start import Start, prepare_crystal, start_crystal
from dp_sim.recipes.crystals.supercell import check_memory, make_phonon, supercell_matrix
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.results.frames import evaluated_copy
from dp_sim.recipes.run.directory import RunDirectory

#: A force constant at the supercell's edge above this share of the one on the spot is worth a line.
LARGE_EDGE = 0.01


@documented(PhononSettings)
def phonons(
    atoms: Atoms,
    calc: Any,
    *,
    symprec_A: float = 0.01,
    fmax: float = 0.01,
    relax: bool = False,
    cell: bool = False,
    isotopes: Sequence[str] = (),
    supercell: str | None = None,
    length_A: float | None = None,
    hessian: str = "auto",
    delta: float = 0.01,
    points: int = 101,
    mesh_A: float = 100.0,
    temperature_min_K: float = 0.0,
    temperature_max_K: float = 1000.0,
    temperature_step_K: float = 20.0,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> PhononResult:
    """Compute the phonons of a crystal and its thermal properties in the harmonic approximation.

    Parameters
    ----------
    atoms
        Any cell of the crystal, relaxed (or `relax`). Phonons are those of its primitive cell.
    calc
        An ASE calculator, a model file, or a list of model files (a committee: frequencies have a spread).

    Returns
    -------
    PhononResult
        Bands along seekpath's path, density of states, thermal properties, and whether the crystal is stable.

    Raises
    ------
    InputError
        Not a crystal, constraints, a structure that is not relaxed, a supercell that does not fit in memory, a symmetry
        that is not found; a setting out of range, or from `prepare_atoms` and `RunDirectory`.
    MissingPackageError
        phonopy, spglib or seekpath is not installed.
    """
    settings = PhononSettings.taken_from(locals())
    for package in ("phonopy", "seekpath"):
        import_optional(package, extra="phonons", purpose="phonons")
    atoms, crystal = prepare_crystal(atoms, calc, settings, isotopes=settings.isotopes)
    matrix = supercell_matrix(crystal, atoms.calc, settings.supercell, settings.length_A)
    model = loaded_model(atoms.calc)
    check_memory(crystal, matrix, 0 if model is None else len(model.members))
    with RunDirectory.of(
        settings, out, structures=[atoms], calculator=atoms.calc, overwrite=overwrite, resume=resume
    ) as run:
        start = start_crystal(crystal, atoms.calc, settings, progress=progress)
        return run.finish(_compute(start, matrix, settings, run, progress))


def _compute(start: Start, matrix: Any, settings: PhononSettings, run: RunDirectory, progress: bool) -> PhononResult:
    crystal, calculator = start.crystal, start.primitive.calc
    evaluated = evaluated_copy(start.primitive)
    phonon = make_phonon(crystal, matrix)
    found = compute_force_constants(
        crystal,
        phonon,
        calculator,
        method=settings.hessian,
        delta=settings.delta,
        log=run.log,
        progress=progress,
    )
    path = special_path(crystal, phonon, settings.points)
    bands = band_frequencies(phonon, path.wave_vectors)
    lowest = find_lowest(path, bands, *sample_mesh(crystal, phonon, settings.mesh_A))
    thermal = None if lowest.imaginary else thermal_properties(phonon, _temperatures(settings))
    density = density_of_states(phonon, settings.mesh_A)
    edge = edge_share(phonon)
    _remark(crystal, edge, run)
    return PhononResult(
        converged=True,
        atoms=evaluated,
        start=start,
        supercell=np.array(matrix),
        energy_eV=float(evaluated.get_potential_energy()),
        force_constants=found.values,
        force_constants_source=found.source,
        edge_share=edge,
        path=path,
        bands_THz=bands,
        bands_std_THz=_spread(phonon, found, path.wave_vectors),
        lowest=lowest,
        density=density,
        thermal=thermal,
        phonon=phonon,
    )


def _temperatures(settings: PhononSettings) -> NDArray[np.float64]:
    """Space the temperatures of the table evenly."""
    end = settings.temperature_max_K + 1e-6 * settings.temperature_step_K
    return np.arange(settings.temperature_min_K, end, settings.temperature_step_K)


def _spread(phonon: Any, found: ForceConstants, wave_vectors: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Compute the standard deviation of frequencies over the members of a committee (ddof=1); None without one."""
    if not found.members:
        return None
    each = []
    for values in found.members:
        phonon.force_constants = values
        each.append(band_frequencies(phonon, wave_vectors))
    phonon.force_constants = found.values
    return np.asarray(np.std(each, axis=0, ddof=1))


def _remark(crystal: Crystal, edge: float, run: RunDirectory) -> None:
    """Say what the numbers do not hold: the field of ions, what the supercell cuts off."""
    if len(set(crystal.primitive.numbers.tolist())) > 1:
        run.note(
            "if this crystal is an insulator, the splitting of longitudinal and transverse optical modes near Γ is "
            "missing: it takes Born charges and the dielectric constant, which phonopy adds from its file BORN"
        )
    if edge > LARGE_EDGE:
        run.note(
            f"the supercell may be too small: at its edge force constants still have {100 * edge:.1f} % of the one on "
            "the spot; compare with a larger one (supercell, length_A)"
        )
