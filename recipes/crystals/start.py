"""How every recipe on a crystal starts: checks, symmetry, relaxation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ase import Atoms

from dp_sim.errors import import_optional
from dp_sim.recipes.crystals.crystal import Crystal, check_crystal, find_crystal, with_primitive
from dp_sim.recipes.crystals.relaxation import RELAX_TO, check_relaxed, check_stress, pressure_of, relax_crystal
from dp_sim.recipes.crystals.settings import CrystalSettings
from dp_sim.recipes.inputs.isotopes import with_isotopes
from dp_sim.recipes.inputs.structures import prepare_atoms
from dp_sim.recipes.results.formatting import atoms_words
from dp_sim.recipes.results.page.scene import movie
from dp_sim.recipes.results.quantities import Estimate, Quantity

NO_STRESS = "the calculator has no stress"


class Start(NamedTuple):
    """A relaxed crystal.

    Attributes
    ----------
    crystal
        Its symmetry and cells.
    primitive
        The primitive cell, evaluated.
    fmax_eV_A
        Largest force on an atom.
    pressure_GPa
        None where the calculator has no stress.
    """

    crystal: Crystal
    primitive: Atoms
    fmax_eV_A: float
    pressure_GPa: float | None

    def picture(self) -> dict[str, Any] | None:
        """Return the conventional cell for the viewer of a page."""
        cell = self.crystal.conventional
        return movie([cell], [f"conventional cell of {self.crystal.symbol}, {atoms_words(cell)}"])

    @property
    def words(self) -> str:
        """What crystal it is, for the line below the first numbers."""
        return f"{atoms_words(self.crystal.primitive)} in the primitive cell, {self.crystal.symbol}"

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Return what the page of every recipe on a crystal says of it."""
        crystal = self.crystal
        return {
            "space_group": Quantity(f"{crystal.symbol} ({crystal.number})"),
            "primitive_cell": Quantity(atoms_words(crystal.primitive)),
            "volume": Quantity(crystal.primitive.get_volume(), "Angstrom^3"),
            "pressure": Quantity(None if self.pressure_GPa is None else round(self.pressure_GPa, 4), "GPa", NO_STRESS),
            "fmax": Quantity(round(self.fmax_eV_A, 6), "eV/Angstrom"),
            "moved_onto_symmetry": Quantity(round(crystal.moved_A, 6), "Angstrom"),
            "cell_strained_onto_symmetry": Quantity(round(crystal.strained, 8)),
        }


def prepare_crystal(
    atoms: Atoms, calc: Any, settings: CrystalSettings, *, stress: bool = False, isotopes: Sequence[str] = ()
) -> tuple[Atoms, Crystal]:
    """Check a structure before any work, and find its symmetry.

    Parameters
    ----------
    atoms, calc
        As for every recipe.
    settings
        Of the recipe.
    stress
        Whether the recipe needs the stress.
    isotopes
        As for `with_isotopes`.

    Returns
    -------
    tuple
        The structure with its calculator, and the crystal on its symmetry.

    Raises
    ------
    InputError
        From `prepare_atoms`, `check_crystal`, `find_crystal` and `with_isotopes`; a calculator without the stress that
        is needed.
    MissingPackageError
        spglib is not installed.
    """
    import_optional("spglib", extra="phonons", purpose=f"the symmetry of a crystal ({settings.recipe})")
    atoms = prepare_atoms(atoms, calc)
    check_crystal(atoms)
    if settings.cell or stress:
        check_stress(atoms)
    return atoms, find_crystal(with_isotopes(atoms, isotopes), settings.symprec_A)


def start_crystal(crystal: Crystal, calculator: Any, settings: CrystalSettings, *, progress: bool) -> Start:
    """Relax the primitive cell, or refuse it where it is not relaxed.

    Raises
    ------
    InputError
        `structure-not-relaxed`, or `relaxation-failed`.
    """
    primitive = crystal.primitive.copy()
    primitive.calc = calculator
    if settings.relax:
        relaxed = relax_crystal(primitive, fmax=RELAX_TO * settings.fmax, cell=settings.cell, progress=progress)
        crystal = with_primitive(crystal, relaxed)
        primitive = crystal.primitive.copy()
        primitive.calc = calculator
    largest = check_relaxed(primitive, settings.fmax, settings.recipe)
    return Start(crystal, primitive, largest, pressure_of(primitive))
