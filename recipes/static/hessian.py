"""The Hessian of a structure: exact where the calculator has it, else central differences of the forces."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.files import atomic_path
from dp_sim.recipes.inputs.calculator_pool import CalculatorPool
from dp_sim.recipes.inputs.calculators import only_model
from dp_sim.recipes.inputs.forces import energies_and_forces
from dp_sim.recipes.run.progress import progress_bar

Hessian = NDArray[np.float64]
#: Finished differences, (n, 3, 3N) and 3 more with a dipole, NaN where not done yet: an interrupted run continues here.
PARTIAL = "hessian_rows.npy"
#: Forces of the same calculator in two processes agree to this, eV/Angstrom: an SCF may end at another iteration.
SAME_FORCES = 1e-3
#: Seconds between two savings of them: of 1000 atoms they take 72 MB. What ends a run in order saves them too.
SAVE_EVERY_S = 10.0


class SecondDerivatives(NamedTuple):
    """Second derivatives of the energy by the n mobile atoms of N.

    Attributes
    ----------
    hessian
        (3n, 3n) eV/Angstrom^2; symmetric.
    source
        How it was computed, in words.
    exact
        Whether it was computed without finite differences.
    dipole_derivatives
        (n, 3, 3) derivatives of the dipole's components (last axis) by each coordinate, e. None where the calculator
        gives no dipole, or the structure is periodic and has none.
    members
        (3n, 3n) of each member of a committee, where `hessian`, their mean, is exact; else empty.
    """

    hessian: Hessian
    source: str
    exact: bool
    dipole_derivatives: NDArray[np.float64] | None
    members: tuple[Hessian, ...] = ()


def compute_hessian(
    atoms: Atoms,
    *,
    method: str,
    delta: float,
    mobile: NDArray[np.intp],
    partial: Path | None,
    log: Callable[[str], object],
    progress: bool,
    processes: int = 1,
) -> SecondDerivatives:
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
    partial
        File that keeps finished rows of the differences.
    log
        Takes a line on the accuracy.
    progress
        Show a progress bar.
    processes
        How many share the differences; see `CalculatorPool`.

    Raises
    ------
    InputError
        `method` is "exact" and the calculator has no Hessian.
    """
    if method in ("auto", "exact"):
        members = member_hessians(atoms, mobile)
        exact = np.mean(members, axis=0) if members else exact_hessian(atoms, mobile)
        if exact is not None:
            columns = (3 * mobile[:, None] + np.arange(3)).ravel()
            dipoles = _dipole_differences(atoms, mobile, delta) if has_dipole(atoms) else None
            each = tuple(_symmetric(one[:, columns]) for one in members)
            hessian = _symmetric(np.asarray(exact)[:, columns], log)
            return SecondDerivatives(hessian, _exact_source(atoms.calc), True, dipoles, each)
        if method == "exact":
            raise InputError(
                "hessian-missing",
                f"hessian='exact' was asked for and {type(atoms.calc).__name__} has no get_hessian(atoms); "
                "use 'differences' or 'auto'",
            )
    full, dipoles = difference_rows(
        atoms, delta=delta, mobile=mobile, partial=partial, progress=progress, processes=processes
    )
    columns = (3 * mobile[:, None] + np.arange(3)).ravel()
    source = f"central differences of the forces, {delta:g} Angstrom"
    return SecondDerivatives(_symmetric(full[:, columns], log), source, False, dipoles)


def has_dipole(atoms: Atoms) -> bool:
    """Whether the calculator gives a dipole and the structure, being finite, has one."""
    return "dipole" in getattr(atoms.calc, "implemented_properties", ()) and not atoms.pbc.any()


def exact_hessian(atoms: Atoms, mobile: NDArray[np.intp] | None = None) -> Hessian | None:
    """Ask the calculator for its Hessian.

    Parameters
    ----------
    atoms
        The structure, with a calculator.
    mobile
        (n,) indices of the atoms whose rows are wanted; None: all.

    Returns
    -------
    numpy.ndarray or None
        (3n, 3N) eV/Angstrom^2; None where the calculator has no Hessian.
    """
    get_hessian: Any = getattr(atoms.calc, "get_hessian", None)
    if get_hessian is None:
        return None
    if mobile is not None and "indices" in inspect.signature(get_hessian).parameters:
        return np.asarray(get_hessian(atoms, indices=mobile), dtype=np.float64)
    try:
        hessian = np.asarray(get_hessian(atoms), dtype=np.float64)
    except (NotImplementedError, PropertyNotImplementedError):
        return None
    hessian = hessian.reshape(3 * len(atoms), 3 * len(atoms))
    return hessian if mobile is None else hessian[(3 * mobile[:, None] + np.arange(3)).ravel()]


def member_hessians(atoms: Atoms, mobile: NDArray[np.intp]) -> list[Hessian]:
    """Compute the rows (3n, 3N) of each member of a committee of Deep Potentials; empty for anything else."""
    model = only_model(atoms.calc)
    if model is None or len(model.members) == 1:
        return []
    return [rows.toarray() for rows in model.member_hessians(atoms, mobile.tolist())]


def _exact_source(calculator: Any) -> str:
    """Say how an exact Hessian was computed, where the calculator tells."""
    methods = sorted(
        {member.method for member in getattr(getattr(calculator, "model", None), "second_derivatives", ())}
    )
    return f"exact ({', '.join(methods)})" if methods else "exact"


def difference_hessian(
    atoms: Atoms, *, delta: float, mobile: NDArray[np.intp], partial: Path | None, progress: bool
) -> Hessian:
    """Compute rows of the Hessian by central differences: the first part of `difference_rows`, (3n, 3N)."""
    return difference_rows(atoms, delta=delta, mobile=mobile, partial=partial, progress=progress)[0]


def difference_rows(
    atoms: Atoms,
    *,
    delta: float,
    mobile: NDArray[np.intp],
    partial: Path | None,
    progress: bool,
    processes: int = 1,
) -> tuple[Hessian, NDArray[np.float64] | None]:
    """Differentiate forces and dipole: H_ij = -[F_j(x_i + delta) - F_j(x_i - delta)] / (2 delta).

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
    processes
        How many share the work; see `CalculatorPool`.

    Returns
    -------
    hessian
        (3n, 3N): rows of the mobile atoms, columns of all, eV/Angstrom^2.
    dipole_derivatives
        (n, 3, 3), e; None where there is no dipole. They cost nothing: the forces were asked for.
    """
    dipole = has_dipole(atoms)
    columns = 3 * len(atoms)
    rows = np.full((len(mobile), 3, columns + 3 * dipole), np.nan)
    if partial is not None and partial.is_file():
        earlier = np.load(partial, allow_pickle=False)
        if earlier.shape == rows.shape:
            rows = earlier
    try:
        _fill(rows, atoms, mobile, delta, partial, progress, processes)
    except BaseException:
        _save(partial, rows)
        raise
    hessian = rows[:, :, :columns].reshape(3 * len(mobile), columns)
    return hessian, rows[:, :, columns:] if dipole else None


def _fill(
    rows: NDArray[np.float64],
    atoms: Atoms,
    mobile: NDArray[np.intp],
    delta: float,
    partial: Path | None,
    progress: bool,
    processes: int,
) -> None:
    """Compute the rows that are not there yet, and save them now and then."""
    dipole, saved = has_dipole(atoms), time.monotonic()
    missing = [number for number in range(len(mobile)) if np.isnan(rows[number]).any()]
    computed = _one_after_another if processes == 1 else _side_by_side
    with progress_bar("hessian", total=len(mobile), show=progress) as advance:
        advance(len(mobile) - len(missing))
        for number, differences in computed(atoms, mobile, missing, delta, dipole, processes):
            rows[number] = differences
            if time.monotonic() - saved > SAVE_EVERY_S:
                _save(partial, rows)
                saved = time.monotonic()
            advance()


#: The number of an atom among the mobile ones, and its differences.
Computed = Iterator[tuple[int, NDArray[np.float64]]]


def _one_after_another(
    atoms: Atoms, mobile: NDArray[np.intp], missing: list[int], delta: float, dipole: bool, _: int
) -> Computed:
    for number in missing:
        yield number, _differences(atoms, mobile[number], delta, dipole)


def _side_by_side(
    atoms: Atoms, mobile: NDArray[np.intp], missing: list[int], delta: float, dipole: bool, processes: int
) -> Computed:
    groups = [functools.partial(_displaced, atoms, mobile[number], delta) for number in missing]
    with CalculatorPool(atoms.calc, min(processes, len(groups) or 1)) as pool:
        ((_, (there,)),) = pool.evaluate([lambda: [atoms]], dipole=False)
        apart = float(np.abs(there.forces - atoms.get_forces(apply_constraint=False)).max())
        if apart > SAME_FORCES:
            raise InputError(
                "calculator-not-copied",
                f"processes: in another process the forces of {type(atoms.calc).__name__} differ by {apart:.2g} "
                "eV/Angstrom from those here, so its settings were changed after it was made; leave processes out",
            )
        for group, values in pool.evaluate(groups, dipole=dipole):
            yield missing[group], _quotients([(value.forces, value.dipole) for value in values], delta)


def _save(partial: Path | None, rows: NDArray[np.float64]) -> None:
    if partial is not None:
        with atomic_path(partial) as temporary:
            np.save(temporary, rows)


def _differences(atoms: Atoms, atom: int, delta: float, dipole: bool) -> NDArray[np.float64]:
    """Differentiate the gradient, and the dipole if asked, along the coordinates of one atom: (3, 3N [+ 3])."""
    displaced = _displaced(atoms, atom, delta)
    names = [f"atom {atom} displaced by {sign}{delta:g} Angstrom along {axis}" for axis in "xyz" for sign in "+-"]
    evaluated = zip(displaced, energies_and_forces(displaced, atoms.calc, names), strict=True)
    return _quotients(
        [(forces, atoms.calc.get_dipole_moment(moved) if dipole else None) for moved, (_, forces) in evaluated], delta
    )


def _quotients(values: Sequence[tuple[NDArray[np.float64], Any]], delta: float) -> NDArray[np.float64]:
    """Divide the differences of the six structures of `_displaced`, forces and perhaps dipole of each, by 2 delta."""
    rows = [-forces.ravel() if dipole is None else np.append(-forces, dipole) for forces, dipole in values]
    return np.asarray((np.array(rows[0::2]) - np.array(rows[1::2])) / (2 * delta))


def _dipole_differences(atoms: Atoms, mobile: NDArray[np.intp], delta: float) -> NDArray[np.float64]:
    """Differentiate the dipole alone, (n, 3, 3)."""
    dipoles = np.array(
        [[atoms.calc.get_dipole_moment(moved) for moved in _displaced(atoms, atom, delta)] for atom in mobile]
    )
    return np.asarray((dipoles[:, 0::2] - dipoles[:, 1::2]) / (2 * delta))


def _displaced(atoms: Atoms, atom: int, delta: float) -> list[Atoms]:
    """Displace one atom along x, y and z, each to both sides: six structures."""
    displaced = [atoms.copy() for _ in range(6)]
    for number, moved in enumerate(displaced):
        moved.positions[atom, number // 2] += -delta if number % 2 else delta
    return displaced


def _symmetric(hessian: Hessian, log: Callable[[str], object] | None = None) -> Hessian:
    """Take the symmetric part; the antisymmetric part is an error of the differences or of rounding, and is logged."""
    if hessian.size and log is not None:
        log(f"largest asymmetry of the Hessian: {np.abs(hessian - hessian.T).max():.1e} eV/Angstrom^2")
    return (hessian + hessian.T) / 2
