"""The Hessian of a structure: exact where the calculator has it, else central differences of the forces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import progress_bar

Hessian = NDArray[np.float64]
#: Finished rows of a Hessian by differences, (3n, 3N), NaN where not done yet: what an interrupted run continues from.
PARTIAL = "hessian_rows.npy"


def compute_hessian(
    atoms: Atoms, *, method: str, delta: float, mobile: NDArray[np.intp], run: RunDirectory, progress: bool
) -> tuple[Hessian, str]:
    """Compute the second derivatives of the energy over the mobile atoms.

    Parameters
    ----------
    atoms
        The structure, with a calculator.
    method
        "exact": `get_hessian(atoms)` of the calculator. "differences": central differences of the forces. "auto": exact
        if the calculator has it.
    delta
        Displacement of the differences, Angstrom.
    mobile
        (n,) indices of the atoms that may move.
    run, progress
        Where finished rows of the differences are kept, and whether the progress is shown.

    Returns
    -------
    hessian
        (3n, 3n) eV/Angstrom^2, symmetric.
    source
        How it was computed, in words.

    Raises
    ------
    InputError
        `method` is "exact" and the calculator has no Hessian.
    """
    if method in ("auto", "exact"):
        exact = exact_hessian(atoms)
        if exact is not None:
            rows = (3 * mobile[:, None] + np.arange(3)).ravel()
            return _symmetric(exact[np.ix_(rows, rows)], run), "exact"
        if method == "exact":
            raise InputError(
                "hessian-missing",
                f"hessian='exact' was asked for and {type(atoms.calc).__name__} has no get_hessian(atoms); "
                "use 'differences' or 'auto'",
            )
    full = difference_hessian(atoms, delta=delta, mobile=mobile, partial=run.path(PARTIAL), progress=progress)
    columns = (3 * mobile[:, None] + np.arange(3)).ravel()
    return _symmetric(full[:, columns], run), f"central differences of the forces, {delta:g} Angstrom"


def exact_hessian(atoms: Atoms) -> Hessian | None:
    """Ask the calculator for its Hessian (3N, 3N), eV/Angstrom^2; None where it has none."""
    get_hessian: Any = getattr(atoms.calc, "get_hessian", None)
    if get_hessian is None:
        return None
    try:
        hessian = np.asarray(get_hessian(atoms), dtype=np.float64)
    except (NotImplementedError, PropertyNotImplementedError):
        return None
    return hessian.reshape(3 * len(atoms), 3 * len(atoms))


def difference_hessian(
    atoms: Atoms, *, delta: float, mobile: NDArray[np.intp], partial: Path | None, progress: bool
) -> Hessian:
    """Compute the Hessian by central differences: H_ij = -[F_j(x_i + delta) - F_j(x_i - delta)] / (2 delta).

    Parameters
    ----------
    atoms
        The structure, with a calculator.
    delta
        Displacement, Angstrom.
    mobile
        (n,) indices of the atoms that are displaced.
    partial
        File that keeps the rows of finished atoms, from which an interrupted computation continues.
    progress
        Show a progress bar.

    Returns
    -------
    (3n, 3N) array
        Rows of the mobile atoms, columns of all, eV/Angstrom^2.
    """
    rows = np.full((len(mobile), 3, 3 * len(atoms)), np.nan)
    if partial is not None and partial.is_file():
        rows = np.load(partial, allow_pickle=False)
    with progress_bar("hessian", total=len(mobile), show=progress) as advance:
        for number, atom in enumerate(mobile):
            if np.isnan(rows[number]).any():
                rows[number] = _differences(atoms, atom, delta)
                if partial is not None:
                    with atomic_path(partial) as temporary:
                        np.save(temporary, rows)
            advance()
    return rows.reshape(3 * len(mobile), 3 * len(atoms))


def _differences(atoms: Atoms, atom: int, delta: float) -> NDArray[np.float64]:
    """Compute the three rows of one atom (3, 3N), from six structures."""
    displaced = [atoms.copy() for _ in range(6)]
    for number, moved in enumerate(displaced):
        moved.positions[atom, number // 2] += -delta if number % 2 else delta
    forces = np.array([own.ravel() for _, own in energies_and_forces(displaced, atoms.calc)])
    return -(forces[0::2] - forces[1::2]) / (2 * delta)


def _symmetric(hessian: Hessian, run: RunDirectory) -> Hessian:
    """Take the symmetric part; the antisymmetric part is an error of the differences or of rounding, and is logged."""
    if hessian.size:
        run.log(f"largest asymmetry of the Hessian: {np.abs(hessian - hessian.T).max():.1e} eV/Angstrom^2")
    return (hessian + hessian.T) / 2
