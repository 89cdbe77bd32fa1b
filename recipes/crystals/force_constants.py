"""Force constants of a supercell: exact rows of the Hessian of a Deep Potential, or differences of forces.

Phi[k, j] = d2E / dr_k dr_j for the atoms k of the primitive cell and all atoms j of the supercell, in phonopy's compact
form. The lattice repeats them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.recipes.crystals.crystal import Crystal
from dp_sim.recipes.crystals.supercell import as_ase
from dp_sim.recipes.inputs.calculators import only_model
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.run.progress import progress_bar
from dp_sim.recipes.static.hessian import exact_hessian

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

Array = NDArray[np.float64]


class ForceConstants(NamedTuple):
    """Force constants of n atoms of the primitive cell and N of the supercell.

    Attributes
    ----------
    values
        (n, N, 3, 3) eV/Angstrom^2.
    source
        How they were computed, in words.
    exact
        Whether they were computed without finite differences.
    members
        The same of each member of a committee; empty without one, or where forces were differenced.
    """

    values: Array
    source: str
    exact: bool
    members: tuple[Array, ...] = ()


def compute_force_constants(
    crystal: Crystal,
    phonon: Any,
    calculator: Any,
    *,
    method: str,
    delta: float,
    partial: Path | None,
    log: Callable[[str], object],
    progress: bool,
) -> ForceConstants:
    """Compute the force constants of phonopy's supercell, and give them to `phonon`.

    Parameters
    ----------
    crystal
        The crystal that `phonon` was made of.
    phonon
        Phonopy's object; it holds the force constants afterwards, and the displacements where there were any.
    calculator
        An ASE calculator.
    method
        "exact": second derivatives of a Deep Potential, or of a calculator with `get_hessian(atoms)`. "differences": of
        the forces. "auto": exact for a Deep Potential; the whole Hessian of another may cost more than differences.
    delta
        Displacement of the differences, Angstrom.
    partial
        File that keeps the forces of finished displacements, from which an interrupted computation continues.
    log
        Takes a line on the accuracy.
    progress
        Show a progress bar.

    Raises
    ------
    InputError
        `method` is "exact" and the calculator has no Hessian.
    """
    model = only_model(calculator)
    if method == "exact" and model is None:
        found = _foreign(as_ase(crystal, phonon), phonon, calculator)
    elif model is not None and method != "differences":
        found = _exact(as_ase(crystal, phonon), phonon, model)
    else:
        found = _differences(crystal, phonon, calculator, delta, partial, log, progress)
    phonon.force_constants = found.values
    return found


def _exact(supercell: Atoms, phonon: Any, model: Model) -> ForceConstants:
    wanted = np.asarray(phonon.primitive.p2s_map)
    shape = (len(wanted), 3, len(supercell), 3)
    members = [
        rows.toarray().reshape(shape).transpose(0, 2, 1, 3)
        for rows in model.member_hessians(supercell, wanted.tolist())
    ]
    methods = ", ".join(sorted({member.method for member in model.second_derivatives}))
    return ForceConstants(
        np.mean(members, axis=0), f"exact ({methods})", True, tuple(members) if len(members) > 1 else ()
    )


def _foreign(supercell: Atoms, phonon: Any, calculator: Any) -> ForceConstants:
    """Take the rows of the primitive cell's atoms out of the Hessian of another program's calculator."""
    supercell.calc = calculator
    whole = exact_hessian(supercell)
    if whole is None:
        raise InputError(
            "hessian-missing",
            f"hessian='exact' was asked for and {type(calculator).__name__} has no get_hessian(atoms); use "
            "'differences' or 'auto'",
        )
    n = len(supercell)
    symmetric = ((whole + whole.T) / 2).reshape(n, 3, n, 3)
    return ForceConstants(symmetric[np.asarray(phonon.primitive.p2s_map)].transpose(0, 2, 1, 3), "exact", True)


def _differences(
    crystal: Crystal,
    phonon: Any,
    calculator: Any,
    delta: float,
    partial: Path | None,
    log: Callable[[str], object],
    progress: bool,
) -> ForceConstants:
    phonon.generate_displacements(distance=delta)
    displaced = [as_ase(crystal, phonon, one) for one in phonon.supercells_with_displacements]
    phonon.forces = _forces(displaced, calculator, partial, log, progress)
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    drift = float(np.abs(phonon.force_constants.sum(axis=1)).max())
    log(f"largest sum of force constants before it is set to zero: {drift:.1e} eV/Angstrom^2")
    phonon.symmetrize_force_constants(show_drift=False)
    count = f"{len(displaced)} displacement" + ("s" if len(displaced) > 1 else "")
    return ForceConstants(
        np.array(phonon.force_constants), f"differences of the forces, {count} of {delta:g} Angstrom", False
    )


def _forces(
    displaced: list[Atoms], calculator: Any, partial: Path | None, log: Callable[[str], object], progress: bool
) -> Array:
    """Evaluate the displaced supercells (D, N, 3), but for those whose forces an earlier session has left."""
    positions = np.array([one.positions for one in displaced])
    forces = np.full_like(positions, np.nan)
    if partial is not None and partial.is_file():
        with np.load(partial, allow_pickle=False) as earlier:
            if earlier["positions"].shape == positions.shape and np.allclose(
                earlier["positions"], positions, atol=1e-6
            ):
                forces = earlier["forces"]
    todo = np.flatnonzero(np.isnan(forces).any(axis=(1, 2)))
    if len(todo) < len(displaced):
        log(
            f"forces of {len(displaced) - len(todo)} of {len(displaced)} displacements are those of the earlier session"
        )
    # A Deep Potential does them in batches, and in seconds: nothing is worth keeping on the way.
    keep = partial if only_model(calculator) is None else None
    with progress_bar("displacements", total=len(todo), show=progress) as advance:
        for number, (_, one) in zip(
            todo, energies_and_forces([displaced[number] for number in todo], calculator), strict=True
        ):
            forces[number] = one
            if keep is not None:
                with atomic_path(keep) as temporary:
                    np.savez(temporary, positions=positions, forces=forces)
            advance()
    return forces


def edge_share(phonon: Any) -> float:
    """Measure what the supercell cuts off: the largest force constant at half its height over the one on the spot.

    Force constants of atoms that are nearer to a periodic image than the images are apart sum up several distances.
    """
    values, supercell = phonon.force_constants, phonon.supercell
    heights = 1 / np.linalg.norm(np.linalg.inv(supercell.cell), axis=0)
    edge = 0.45 * heights.min()
    sizes = np.linalg.norm(values, axis=(2, 3))
    largest = 0.0
    for number, atom in enumerate(phonon.primitive.p2s_map):
        apart = supercell.scaled_positions - supercell.scaled_positions[atom]
        distances = np.linalg.norm((apart - np.rint(apart)) @ supercell.cell, axis=1)
        largest = max(largest, float(sizes[number, distances >= edge].max(initial=0.0) / sizes[number, atom]))
    return largest
