"""Numbers and values as text, and as JSON."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

#: Decimals that people who use a unit are used to: energies to 0.1 meV, frequencies to 0.1 cm^-1.
DECIMALS = {"eV": 4, "cm^-1": 1, "Angstrom": 4, "Angstrom^3": 2, "THz": 3, "GPa": 2}
#: Those of lists, in which what is below is noise of rigid motions, or of symmetry.
LIST_DECIMALS = {"cm^-1": 1, "THz": 3, "GPa": 4}
#: A force below this is rounding, eV/Angstrom.
ROUNDED_FORCE = 1e-9
#: Significant digits that a value has at most, however small its error: more are those of a fit, not of the material.
MOST_DIGITS = 6
#: Units of numbers with an arbitrary zero: how large they are says nothing of their digits.
_ENERGIES = ("eV", "eV/atom", "kJ/mol")
#: Parts of names that are written otherwise in a text.
_WORDS = {
    "arrhenius": "Arrhenius",
    "debye": "Debye",
    "gibbs": "Gibbs",
    "gruneisen": "Grüneisen",
    "hessian": "Hessian",
    "mae": "MAE",
    "poisson": "Poisson's",
    "reuss": "(Reuss)",
    "rmse": "RMSE",
    "voigt": "(Voigt)",
    "young": "Young's",
}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_estimate(value: float, error: float, unit: str = "") -> str:
    """Write a value and its error as `1.234 ± 0.056`: two significant digits of the error, as many decimals in both.

    The value has six significant digits at most (`129.722 ± <0.001`), energies as many as their error asks for. An
    error of zero is left out: there was no scatter to estimate one from. Where the larger of them is below 1e-4 or (no
    energy) from 1e7 on, with a common power of ten: `(4.80 ± 0.67)e-33`. In brackets before a unit that begins with a
    power of ten.
    """
    power = _power(value, error)
    if _is_written_with(power, unit):
        return f"({format_estimate(value / 10.0**power, error / 10.0**power)})e{power}"
    if error == 0:
        return f"{value:.{MOST_DIGITS}g}"
    decimals = decimals_of(value, error, unit)
    shown = _rounded(error, decimals)
    text = f"{_rounded(value, decimals)} ± {shown if float(shown) else f'<{10.0**-decimals:.{decimals}f}'}"
    return f"({text})" if unit.startswith("10^") else text


def format_interval(low: float, high: float, error: float, unit: str = "") -> str:
    """Write the bounds of an interval with the decimals of its estimate, `1.12 to 1.34`, or powers of ten.

    Empty where both bounds read the same.
    """
    if _is_written_with(_power(low, high, error), unit) or error == 0:
        bounds = [f"{bound:.3g}" for bound in (low, high)]
    else:
        decimals = decimals_of(max(abs(low), abs(high)), error, unit)
        bounds = [_rounded(bound, decimals) for bound in (low, high)]
    return " to ".join(bounds) if bounds[0] != bounds[1] else ""


def _power(*numbers: float) -> int:
    """Return the power of ten of the largest of numbers, 0 of zeros."""
    largest = max(map(abs, numbers))
    return math.floor(math.log10(largest)) if largest else 0


def _is_written_with(power: int, unit: str) -> bool:
    return power < -4 or (power >= 7 and unit not in _ENERGIES)


def decimals_of(value: float, error: float, unit: str) -> int:
    """Return the decimals of an estimate, as `format_estimate` writes it; negative ones are places before the point."""
    by_error = 1 - _power(error)
    return by_error if unit in _ENERGIES or not value else min(by_error, MOST_DIGITS - 1 - _power(value))


def _rounded(number: float, decimals: int) -> str:
    return f"{round(number, decimals) + 0.0:.{max(decimals, 0)}f}"  # + 0.0: no -0.00


def format_quantity(value: Any, unit: str) -> str:
    """Write a value of `plain` that has a unit for people.

    A number has four significant digits, without zeros at their end, and no fewer decimals than are usual for its unit
    (`DECIMALS`); frequencies and stresses in a list have those of `LIST_DECIMALS`, forces of rounding alone are told as
    such, and anything else is written as `format_value` does.
    """
    if unit == "eV/Angstrom" and isinstance(value, float) and 0 < abs(value) < ROUNDED_FORCE:
        return f"<{ROUNDED_FORCE:g}"
    if isinstance(value, list) and unit in LIST_DECIMALS:
        return format_value(value, decimals=LIST_DECIMALS[unit])
    if not isinstance(value, float) or value.is_integer() or not math.isfinite(value):
        return format_value(value)
    power = math.floor(math.log10(abs(value)))
    if not -5 <= power < 7:
        return f"{value:.3e}"
    usual = DECIMALS.get(unit, 0)
    text = f"{value:.{max(usual, 3 - power)}f}"
    while 3 - power > usual and text.endswith("0") and len(text.partition(".")[2]) > max(usual, 1):
        text = text[:-1]
    return text


def format_value(value: Any, decimals: int | None = None) -> str:
    """Write a value of `plain` for people.

    Numbers have six significant digits, large ones four decimals. Long lists are shortened. The numbers of a list have
    the same number of decimals (`decimals` where it is given), so that noise beside large numbers reads as zero.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        decimals = 0 if value.is_integer() else 4
        return f"{value:.{decimals}f}" if 100 <= abs(value) < 1e7 else f"{value:.6g}"
    if value == []:
        return "none"
    if isinstance(value, list):
        shown = value if len(value) <= 24 else [*value[:12], "…", *value[-6:]]
        numbers = [item for item in value if isinstance(item, float)]
        largest = max(map(abs, numbers), default=0.0)
        if decimals is None and 1e-4 < largest < 1e6:
            decimals = max(0, 5 - math.floor(math.log10(largest)))
        if decimals is not None:
            while decimals > 1 and all(round(one, decimals - 1) == round(one, decimals) for one in numbers):
                decimals -= 1
            shown = [_rounded(item, decimals) if isinstance(item, float) else item for item in shown]
        return ", ".join(f"[{format_value(item)}]" if isinstance(item, list) else format_value(item) for item in shown)
    return str(value)


def atoms_words(atoms: Atoms) -> str:
    """Write a structure as `Si2, 2 atoms`."""
    return f"{atoms.get_chemical_formula()}, {len(atoms)} atom" + ("s" if len(atoms) > 1 else "")


def plain(value: Any) -> Any:
    """Convert a value to the types of JSON.

    Raises
    ------
    ValueError
        A number is not finite: result.json holds numbers only where they are known.
    """
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a result must not hold {value}: use Quantity(None, unit, cause) or Estimate.withheld(...)")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def typeset_unit(unit: str) -> str:
    """Set a unit for people: `eV/Angstrom^2` -> `eV/Å²`, `cm^-1` -> `cm⁻¹`; result.json keeps to ASCII."""
    for ascii_text, symbol in (("Angstrom", "Å"), ("amu^1/2", "√amu")):
        unit = unit.replace(ascii_text, symbol)
    unit = re.sub(r"\^(-?\d+)", lambda power: power[1].translate(_RAISED), unit)
    unit = re.sub(r"^10(?=[⁻¹²³⁰-⁹])", "× 10", unit)
    return "µs" if unit == "us" else unit


def readable(name: str) -> str:
    """Make words of a name: `mean_energy` -> `mean energy`, `forces_rmse` -> `forces RMSE`."""
    return " ".join(_WORDS.get(word, word) for word in name.split("_"))
