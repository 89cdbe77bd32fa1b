"""Virial and stress of a frame: their forms, and whether they agree.

W = -V stress (the sign is defined in dp_sim.structures.batch; ASE's stress is positive if the cell tends to shrink).
"""

from __future__ import annotations

import numpy as np

from dp_sim.errors import InputError

#: A virial and a stress agree within this fraction of the largest component, or this many eV.
AGREEMENT_SHARE, AGREEMENT_EV = 1e-3, 1e-3
#: Factors between virial and -V stress, and what they mean.
_MEANINGS = (
    (-1.0, "the signs are opposite"),
    (1 / 160.2176634, "the stress looks like GPa"),
    (1 / 1602.176634, "the stress looks like kbar"),
    (-1 / 160.2176634, "the stress looks like GPa with the opposite sign"),
    (-1 / 1602.176634, "the stress looks like kbar with the opposite sign, as VASP prints it"),
)


def full_virial(value: np.ndarray, key: str, name: str) -> np.ndarray:
    """Reshape a virial, 9 numbers in eV, to (3, 3).

    Parameters
    ----------
    value
        The label.
    key
        Its name in the file.
    name
        What messages call the frame.

    Raises
    ------
    InputError
        `label-shape`: there are not 9 numbers.
    """
    if value.size != 9:
        raise InputError(
            "label-shape",
            f"{name}: virial must have the shape (3, 3), got {value.shape} in '{key}'; write all nine components: the "
            "order of six differs from program to program",
        )
    return value.reshape(3, 3)


def virial_of_stress(value: np.ndarray, volume: float, key: str, name: str) -> np.ndarray:
    """Compute the virial -V stress (3, 3), eV.

    Parameters
    ----------
    value
        Stress, eV/Angstrom^3: 6 numbers in Voigt's order (xx yy zz yz xz xy), or 9.
    volume
        V, Angstrom^3.
    key
        Name of the stress in the file.
    name
        What messages call the frame.

    Raises
    ------
    InputError
        `label-shape`: there are neither 6 nor 9 numbers.
    """
    from ase.stress import voigt_6_to_full_3x3_stress

    if value.shape == (6,):
        return -volume * voigt_6_to_full_3x3_stress(value)
    if value.size != 9:
        raise InputError(
            "label-shape",
            f"{name}: stress must have 6 or 9 numbers, got the shape {value.shape} in '{key}'; correct the label",
        )
    return -volume * value.reshape(3, 3)


def check_agreement(virial: np.ndarray, of_stress: np.ndarray, keys: tuple[str, str], name: str) -> None:
    """Refuse a virial and a stress that contradict each other.

    Parameters
    ----------
    virial, of_stress
        (3, 3) eV, the label itself and -V times the stress.
    keys
        Their names in the file.
    name
        What messages call the frame.

    Raises
    ------
    InputError
        They differ; the message says which factor between them was found, and what it means.
    """
    largest = max(np.abs(virial).max(), np.abs(of_stress).max())
    if np.abs(virial - of_stress).max() <= AGREEMENT_EV + AGREEMENT_SHARE * largest:
        return
    square = float((of_stress * of_stress).sum())
    ratio = float((virial * of_stress).sum()) / square if square > 0 else float("inf")
    meaning = next((f": {text}" for value, text in _MEANINGS if abs(ratio / value - 1) < 0.02), "")
    raise InputError(
        "virial-stress-conflict",
        f"{name}: '{keys[0]}' and '{keys[1]}' contradict each other: the virial (eV) must be -V times the stress "
        f"(eV/Angstrom^3, ASE's sign), and is {ratio:.4g} times that{meaning}; correct the file, or name the right "
        f"one: --virial-key {keys[0]} or --stress-key {keys[1]} (data: keys in a training input)",
    )
