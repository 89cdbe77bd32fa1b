"""The charge and the spin that a structure states: given to a calculator that takes them, else refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from dp_sim.errors import InputError, first_line
from dp_sim.recipes.inputs.calculators import given_arguments, loaded_model
from dp_sim.recipes.inputs.failed_evaluations import is_failure
from dp_sim.structures.constraints import not_writable, obeying
from dp_sim.structures.stated import (
    ATOMIC_STATE,
    CHARGE_KEYS,
    MULTIPLICITY_KEYS,
    SPIN_KEYS,
    UNPAIRED_KEYS,
    lowest_multiplicity,
    notes_of,
    refuse_state,
    stated_charge,
    stated_field,
    stated_multiplicity,
)
from dp_sim.structures.words import stated_in_words

#: What calculators call a total charge and a spin multiplicity among their parameters.
_PARAMETERS = {"charge": ("charge", "total_charge", "net_charge"), "multiplicity": ("multiplicity", "mult")}
#: Two energies nearer than this (eV) are one: the calculator did not look at what differs.
_SAME_EV = 1e-6
#: Constraints hold to within this, Angstrom: what rounding in a file moves.
_OBEYED_A = 1e-3


def accept_state(atoms: Atoms, calculator: Any, name: str = "the structure") -> None:
    """Check that the calculator computes the charge and the spin that the structure states.

    A calculator made here from a SPEC is given them. Any other must have them among its parameters, or read them from
    the structure: two evaluations show whether it does.

    Raises
    ------
    InputError
        `charge-unsupported`, `spin-unsupported`: a Deep Potential, or a calculator that does not look at them;
        `charge-contradicted`: the calculator was made for others.
    """
    if loaded_model(calculator) is not None:
        refuse_state(atoms, name)
        calculator.told_unused.update(ATOMIC_STATE)  # the run's page says it (`remarks`)
        return
    stated: dict[str, float | None] = {
        "charge": stated_charge(atoms, name),
        "multiplicity": stated_multiplicity(atoms, name),
    }
    undecided = [what for what, value in stated.items() if not _fixed_by_parameter(calculator, what, value, name)]
    neutral = {"charge": 0, "multiplicity": lowest_multiplicity(atoms)}
    asked = [what for what in undecided if stated[what] not in (None, neutral[what])]
    if asked and not _reads_structure(atoms, calculator):
        sentence = (
            f"{name} states a {asked[0]} of {stated[asked[0]]:g}, which the calculator {type(calculator).__name__} "
            f"does not look at; give it to the calculator if it has such a parameter, use another one, or delete it"
        )
        raise (
            InputError("charge-unsupported", sentence)
            if asked[0] == "charge"
            else InputError("spin-unsupported", sentence)
        )


def _fixed_by_parameter(calculator: Any, what: str, value: float | None, name: str) -> bool:
    """Tell whether a parameter of the calculator fixes it; of a calculator made here, one that was not given is set."""
    parameters = {**getattr(calculator, "default_parameters", {}), **getattr(calculator, "parameters", {})}
    key = next((key for key in _PARAMETERS[what] if key in parameters), None)
    if key is None:
        return False
    ours = given_arguments(calculator)
    if ours is not None and key not in ours:
        default = getattr(calculator, "default_parameters", {}).get(key)
        calculator.set(**{key: default if value is None else int(value) if value == int(value) else value})
        return True
    if parameters[key] is None:
        return False
    if value is not None and float(parameters[key]) != value:
        raise InputError(
            "charge-contradicted",
            f"{name} states a {what} of {value:g} and the calculator {type(calculator).__name__} has "
            f"{key}={parameters[key]}; make them agree",
        )
    return True


def _reads_structure(atoms: Atoms, calculator: Any) -> bool:
    """Try out whether the calculator gives another energy without the charge and spin that the structure states."""
    bare = atoms.copy()
    for key in [key for key in bare.info if str(key).lower() in STATE_KEYS]:
        del bare.info[key]
    bare.arrays.pop("initial_charges", None)
    energies = []
    for one in (atoms, bare):
        if hasattr(calculator, "reset"):
            calculator.reset()  # ASE's calculators do not look whether `info` has changed
        try:
            energies.append(float(calculator.get_potential_energy(one)))
        except Exception:  # an odd number of electrons, say: then what is stated matters
            energies.append(np.nan)
    if hasattr(calculator, "reset"):
        calculator.reset()
    return not abs(energies[0] - energies[1]) < _SAME_EV


#: Every name under which a structure may state its charge or spin.
STATE_KEYS = frozenset((*CHARGE_KEYS, *MULTIPLICITY_KEYS, *SPIN_KEYS, *UNPAIRED_KEYS))


def stated_state(atoms: Atoms) -> dict[str, Any]:
    """Read what the comment line says of charge and spin, as it stands there."""
    stated = {str(key): atoms.info[key] for key in sorted(atoms.info, key=str) if str(key).lower() in STATE_KEYS}
    return stated | {f"{what} in words": value for what, value in stated_in_words(atoms.info).items()}


def check_same_state(first: Atoms, second: Atoms, names: tuple[str, str] = ("the reactant", "the product")) -> None:
    """Refuse two ends of a path that state different charges or spins.

    Raises
    ------
    InputError
        `charge-differs`.
    """
    for what, state in (("charge", stated_charge), ("multiplicity", stated_multiplicity)):
        values = [state(atoms, name) for atoms, name in zip((first, second), names, strict=True)]
        if values[0] != values[1]:
            shown = " and ".join(
                f"{name} states {'no ' + what if value is None else f'a {what} of {value:g}'}"
                for name, value in zip(names, values, strict=True)
            )
            raise InputError("charge-differs", f"{shown}; one path has one {what}: give both ends the same")


def remarks(structures: Sequence[Atoms], calculator: Any) -> list[str]:
    """Write sentences for log and page on what was read, and on what of the structures a run does not use or keep."""
    sentences: dict[str, None] = {}
    ignored = getattr(calculator, "ignored_changes", ())
    for atoms in structures:
        for sentence in notes_of(atoms):
            sentences[sentence] = None
        if charge := stated_charge(atoms):
            sentences[f"computed with the charge of {charge:+g} that the structure states"] = None
        for array, words in ATOMIC_STATE.items():
            if array in ignored and array in atoms.arrays and atoms.arrays[array].any():
                sentences[f"the {words} on its atoms are not used: {type(calculator).__name__} knows none"] = None
        if field := stated_field(atoms):
            sentences[f"the electric field that the structure states ({field}) is not handed to the calculator"] = None
        for kind in not_writable(atoms):
            sentences[f"the constraint {kind} cannot be kept in files: set it again before using them"] = None
        if calculator is not None and (sentence := _disobeyed(atoms, calculator)):
            sentences[sentence] = None
    return list(sentences)


def _disobeyed(atoms: Atoms, calculator: Any) -> str:
    """Say how far a structure is from where its constraints hold, and what it costs to go there; empty for no way."""
    if all(type(constraint) is FixAtoms for constraint in atoms.constraints):
        return ""
    moved, shift = obeying(atoms)
    if shift < _OBEYED_A:
        return ""
    try:
        change = calculator.get_potential_energy(moved) - calculator.get_potential_energy(atoms)
        cost = f"which changes the energy by {change:+.3f} eV"
    except Exception as error:
        if not is_failure(error):
            raise
        cost = f"where the calculator fails ({first_line(error)})"
    kinds = ", ".join(sorted({type(constraint).__name__ for constraint in atoms.constraints}))
    return (
        f"the structure does not obey its constraints ({kinds}): they move atoms by up to {shift:.3f} Angstrom as soon "
        f"as a step is taken, {cost}"
    )
