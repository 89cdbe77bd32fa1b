"""Phonons of a crystal: bands, density of states, thermal properties, stability."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.config.recipe import documented
from dp_sim.errors import import_optional
from dp_sim.recipes.crystals.crystal import Crystal, with_primitive
from dp_sim.recipes.crystals.force_constants import ForceConstants, compute_force_constants, edge_share
from dp_sim.recipes.crystals.phonon_result import STANDARD_K, PhononResult
from dp_sim.recipes.crystals.quasi_harmonic import (
    FEWEST_VOLUMES,
    GRUNEISEN_STEP,
    Gruneisen,
    QuasiHarmonic,
    expand,
    gruneisen_parameters,
)
from dp_sim.recipes.crystals.relaxation import RELAX_TO
from dp_sim.recipes.crystals.settings import PhononSettings
from dp_sim.recipes.crystals.spectra import (
    Path,
    Thermal,
    band_frequencies,
    density_of_states,
    sample_mesh,
    special_path,
    spread_of,
    thermal_properties,
)
from dp_sim.recipes.crystals.stability import IMAGINARY_THZ, find_lowest
from dp_sim.recipes.crystals.start import Start, prepare_crystal, start_crystal
from dp_sim.recipes.crystals.supercell import check_memory, keeps_symmetry, make_phonon, supercell_matrix
from dp_sim.recipes.crystals.volumes import at_volume
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.members import spread_worth
from dp_sim.recipes.inputs.temperatures import even_temperatures
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
    gruneisen: bool = False,
    qha: bool = False,
    volumes: int = 9,
    volume_min: float = 0.96,
    volume_max: float = 1.08,
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

    Notes
    -----
    Differences continue with `resume` at the displacement where they stopped. A finished run takes another mesh, path
    or table of temperatures, or more of `gruneisen` and `qha`, in this way too.
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
        return run.finish(_compute(start, Task(matrix, settings, run, progress)))


class Task(NamedTuple):
    """What stays the same at every volume: the supercell (3, 3), settings, where to tell and to show."""

    matrix: NDArray[np.intp]
    settings: PhononSettings
    run: RunDirectory
    progress: bool


def _compute(start: Start, task: Task) -> PhononResult:
    crystal, settings = start.crystal, task.settings
    evaluated = evaluated_copy(start.primitive)
    phonon, found = _phonon_of(crystal, start.primitive.calc, 1.0, task)
    path = special_path(crystal, phonon, settings.points)
    bands = band_frequencies(phonon, path.wave_vectors)
    lowest = find_lowest(path, bands, *sample_mesh(crystal, phonon, settings.mesh_A))
    thermal = None
    if not lowest.imaginary:
        thermal = thermal_properties(phonon, np.union1d(_temperatures(settings), [STANDARD_K]))
    density = density_of_states(phonon, settings.mesh_A)
    edge = edge_share(phonon)
    _remark(crystal, phonon, edge, task.run)
    gruneisen = expansion = None
    if settings.gruneisen and thermal is not None:
        gruneisen = _gruneisen(start, phonon, path.wave_vectors, task)
    if settings.qha and thermal is not None:
        expansion = _expansion(start, task)
    bands_std, thermal_std = _spread(crystal, phonon, found, path, thermal, task)
    return PhononResult(
        converged=not isinstance(expansion, str),
        cause=expansion if isinstance(expansion, str) else "",
        atoms=evaluated,
        start=start,
        supercell=task.matrix,
        energy_eV=float(evaluated.get_potential_energy()),
        force_constants=found.values,
        force_constants_source=found.source,
        edge_share=edge,
        path=path,
        bands_THz=bands,
        bands_std_THz=bands_std,
        lowest=lowest,
        density=density,
        thermal=thermal,
        thermal_std=thermal_std,
        worth=spread_worth(start.primitive.calc) if found.members else None,
        gruneisen=gruneisen,
        qha=None if isinstance(expansion, str) else expansion,
        phonon=phonon,
    )


def _phonon_of(crystal: Crystal, calculator: Any, ratio: float, task: Task) -> tuple[Any, ForceConstants]:
    """Compute the force constants of a crystal at a multiple of its volume, and phonopy's object that holds them."""
    phonon = make_phonon(crystal, task.matrix)
    found = compute_force_constants(
        crystal,
        phonon,
        calculator,
        method=task.settings.hessian,
        delta=task.settings.delta,
        partial=task.run.path(f"forces-{ratio:.4f}.npz"),
        log=task.run.log,
        progress=task.progress,
    )
    return phonon, found


def _phonon_at(start: Start, ratio: float, task: Task) -> tuple[Any, float]:
    """Compute phonopy's object at a multiple of the volume, and the energy of the primitive cell there."""
    cell = at_volume(start, ratio, RELAX_TO * task.settings.fmax)
    energy = float(cell.get_potential_energy())
    phonon, _ = _phonon_of(with_primitive(start.crystal, cell), start.primitive.calc, ratio, task)
    return phonon, energy


def _gruneisen(start: Start, phonon: Any, wave_vectors: NDArray[np.float64], task: Task) -> Gruneisen:
    others = [_phonon_at(start, ratio, task)[0] for ratio in (1 + GRUNEISEN_STEP, 1 - GRUNEISEN_STEP)]
    settings = task.settings
    return gruneisen_parameters(
        start.crystal, [phonon, *others], wave_vectors, _temperatures(settings), settings.mesh_A
    )


def _expansion(start: Start, task: Task) -> QuasiHarmonic | str:
    """Compute phonons at several volumes and minimise the free energy; the reason where that cannot be."""
    settings, kept, left_out = task.settings, [], []
    for ratio in np.linspace(settings.volume_min, settings.volume_max, settings.volumes):
        phonon, energy = _phonon_at(start, float(ratio), task)
        _, frequencies = sample_mesh(start.crystal, phonon, settings.mesh_A)
        if frequencies.min() < IMAGINARY_THZ:
            left_out.append(f"{ratio:.3f} ({frequencies.min():.2f} THz)")
            continue
        kept.append((phonon, energy))
    if left_out:
        task.run.note(f"volumes at which the crystal is unstable are left out of the expansion: {', '.join(left_out)}")
    if len(kept) < FEWEST_VOLUMES:
        return (
            f"no quasi-harmonic expansion: the crystal is stable at {len(kept)} of {settings.volumes} volumes, "
            f"and {FEWEST_VOLUMES} are needed; move volume_min and volume_max to where it is"
        )
    phonons, energies = zip(*kept, strict=True)
    found = expand(phonons, np.array(energies), _temperatures(settings), settings.mesh_A)
    return found if len(found.temperatures_K) else f"no quasi-harmonic expansion: {found.cause}"


def _temperatures(settings: PhononSettings) -> NDArray[np.float64]:
    """Space the temperatures of the tables evenly."""
    return even_temperatures(settings.temperature_min_K, settings.temperature_max_K, settings.temperature_step_K)


def _spread(
    crystal: Crystal, phonon: Any, found: ForceConstants, path: Path, thermal: Thermal | None, task: Task
) -> tuple[NDArray[np.float64] | None, Thermal | None]:
    """Compute standard deviations over the members of a committee (ddof=1), of bands and thermal properties.

    Without a committee there are none; none of thermal properties where a member calls the crystal unstable.
    """
    if not found.members:
        return None, None
    mesh_A, bands, tables, unstable = task.settings.mesh_A, [], [], []
    for number, values in enumerate(found.members):
        phonon.force_constants = values
        bands.append(band_frequencies(phonon, path.wave_vectors))
        lowest = find_lowest(path, bands[-1], *sample_mesh(crystal, phonon, mesh_A))
        if lowest.imaginary:
            unstable.append(f"member {number + 1} ({lowest.frequency_THz:.2f} THz at {lowest.place})")
        elif thermal is not None:
            tables.append(thermal_properties(phonon, thermal.temperatures_K))
    phonon.force_constants = found.values
    sample_mesh(crystal, phonon, mesh_A)
    if unstable:
        task.run.note(f"the crystal is unstable with {', '.join(unstable)}: thermal properties have no spread")
    std = spread_of(tables) if thermal is not None and not unstable else None
    return np.asarray(np.std(bands, axis=0, ddof=1)), std


def _remark(crystal: Crystal, phonon: Any, edge: float, run: RunDirectory) -> None:
    """Say what the numbers do not hold: the field of ions, what the supercell cuts off."""
    if len(set(crystal.primitive.numbers.tolist())) > 1:
        run.note(
            "if this crystal is an insulator, the splitting of longitudinal and transverse optical modes near Γ is "
            "missing: it takes Born charges and the dielectric constant, which phonopy adds from its file BORN"
        )
    if not keeps_symmetry(phonon):
        run.note(
            "the supercell has less symmetry than the crystal, so that bands which symmetry joins may part; take equal "
            "multiples along equivalent axes (supercell)"
        )
    if edge > LARGE_EDGE:
        run.note(
            f"the supercell may be too small: at its edge force constants still have {100 * edge:.1f} % of the one on "
            "the spot; compare with a larger one (supercell, length_A)"
        )
