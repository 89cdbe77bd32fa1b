"""What of a structure may move: checks before any work, and what is then moved."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian, FixCom, FixedLine, FixedPlane, FixScaled, FixSymmetry

from dp_sim.errors import InputError
from dp_sim.recipes.inputs.calculators import loaded_model
from dp_sim.recipes.inputs.forces import mobile_atoms
from dp_sim.recipes.static.relaxation.moving import Moving
from dp_sim.recipes.static.relaxation.space_group import SYMPREC_A, keep_symmetry, space_group, symmetric_strains
from dp_sim.recipes.static.relaxation.strain import StrainSpace, strain_space
from dp_sim.recipes.static.settings import OptSettings

#: Constraints that hold in fractional coordinates, so that the atoms go with a cell that changes.
_WITH_CELL = (FixAtoms, FixCartesian, FixCom, FixedLine, FixedPlane, FixScaled, FixSymmetry)
#: Constraints whose atoms stay where the cell carries them.
_CARRIED = (FixAtoms, FixCartesian, FixedLine, FixedPlane, FixScaled)


def check_freedom(atoms: Atoms, settings: OptSettings) -> list[str]:
    """Check that something may move, and that cell, constraints and symmetry go together.

    Parameters
    ----------
    atoms
        The structure with its calculator, which is replaced where another is needed for the stress of a slab.
    settings
        Of the run.

    Returns
    -------
    list of str
        What the page should say of it.

    Raises
    ------
    InputError
        `atoms-all-fixed`, `constraint-with-cell`, `stress-missing`, `pressure-on-vacuum`; from `mobile_atoms`,
        `strain_space` and `keep_symmetry`.
    """
    notes: list[str] = []
    if not settings.cell:
        _check_atoms_free(atoms)
    else:
        notes += _check_cell(atoms, settings)
    if settings.check_minimum:
        mobile_atoms(atoms, but_symmetry=True)  # refuses constraints that normal modes cannot keep, before any work
    trial = atoms.copy()
    if settings.symmetry:
        keep_symmetry(trial, settings.symprec_A or SYMPREC_A)
    if settings.cell:
        _strains(trial, settings)
    if settings.symmetry and not settings.cell and not _some_atom_free(trial):
        notes.append("the symmetry holds every atom: only the cell could relax (cell, --cell)")
    return notes


def make_moving(atoms: Atoms, settings: OptSettings) -> tuple[Moving, str, list[str]]:
    """Set up what is moved.

    Returns
    -------
    moving : Moving
        The structure, moved onto its symmetry where that is kept, with its cell where that is relaxed.
    group : str
        Its space group where the symmetry is kept; else empty.
    lines : list of str
        For the log.
    """
    group, lines = "", []
    if settings.symmetry:
        symprec_A = settings.symprec_A or SYMPREC_A
        group = space_group(atoms, symprec_A)
        moved = keep_symmetry(atoms, symprec_A)
        lines.append(f"space group {group}, kept; atoms were moved onto it by up to {moved:.2g} Angstrom")
    return Moving(atoms, _strains(atoms, settings) if settings.cell else None, settings.pressure_GPa), group, lines


def _strains(atoms: Atoms, settings: OptSettings) -> StrainSpace:
    space = strain_space(atoms, settings.cell_mask, keep_shape=settings.keep_shape, keep_volume=settings.keep_volume)
    return symmetric_strains(space, atoms)


def _check_cell(atoms: Atoms, settings: OptSettings) -> list[str]:
    strain_space(atoms, settings.cell_mask, keep_shape=settings.keep_shape, keep_volume=settings.keep_volume)
    if settings.pressure_GPa and not atoms.pbc.all():
        raise InputError(
            "pressure-on-vacuum",
            f"pressure_GPa={settings.pressure_GPa:g} acts on a cell without vacuum, and the structure has "
            f"pbc={atoms.pbc.tolist()}; leave the pressure out",
        )
    for one in atoms.constraints:
        if not isinstance(one, _WITH_CELL):
            raise InputError(
                "constraint-with-cell",
                f"the constraint {type(one).__name__} is about distances in space, which a cell that changes does not "
                "keep; remove it, or keep the cell",
            )
    model = loaded_model(atoms.calc)
    if model is not None and not atoms.pbc.all():
        from dp_sim.plugins.ase_calculator import DPCalculator

        atoms.calc = DPCalculator(model, stress_of_slabs=True)
    if "stress" not in atoms.calc.implemented_properties:
        raise InputError(
            "stress-missing",
            f"cell needs the stress, which {type(atoms.calc).__name__} does not compute; keep the cell, or take "
            "another calculator",
        )
    if any(isinstance(one, _CARRIED) for one in atoms.constraints):
        return ["the constraints hold in fractional coordinates: fixed atoms go with the cell"]
    return []


def _check_atoms_free(atoms: Atoms) -> None:
    if not _some_atom_free(atoms):
        kinds = ", ".join(sorted({type(one).__name__ for one in atoms.constraints}))
        raise InputError(
            "atoms-all-fixed",
            f"the constraints ({kinds}) leave no atom free to move, and the cell is kept; free an atom, or relax the "
            "cell (cell, --cell)",
        )


def _some_atom_free(atoms: Atoms) -> bool:
    """Tell whether the constraints let any force through, by random ones."""
    forces = np.random.default_rng(0).normal(size=(len(atoms), 3))
    for one in atoms.constraints:
        one.adjust_forces(atoms, forces)
    return bool(np.abs(forces).max() > 1e-9)
