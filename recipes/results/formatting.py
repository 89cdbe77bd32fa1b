"""Numbers and values as text, and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Decimals that people who use a unit are used to: energies to 0.1 meV, frequencies to 0.1 cm^-1.
DECIMALS = {"eV": 4, "cm^-1": 1, "Angstrom": 4, "Angstrom^3": 2, "THz": 3}


def format_estimate(value: float, error: float) -> str:
    """Write a value and its error as `1.234 ± 0.056`: two significant digits of the error, as many decimals in both.

    Where the larger of them is below 1e-4 or from 1e7 on, with a common power of ten: `(4.80 ± 0.67)e-33`.
    """
    power = math.floor(math.log10(max(abs(value), error))) if value or error else 0
    if not -4 <= power < 7:
        return f"({format_estimate(value / 10.0**power, error / 10.0**power)})e{power}"
    digits = 2 if error == 0 else max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def format_interval(low: float, high: float, error: float) -> str:
    """Write the bounds of an interval with the decimals of its estimate, `1.12 to 1.34`, or powers of ten."""
    power = math.floor(math.log10(max(abs(low), abs(high), error))) if low or high or error else 0
    if not -4 <= power < 7 or error == 0:
        return f"{low:.3g} to {high:.3g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{low:.{digits}f} to {high:.{digits}f}"


def format_quantity(value: Any, unit: str) -> str:
    """Write a value of `plain` that has a unit for people.

    A number has four significant digits, without zeros at their end, and no fewer decimals than are usual for its unit
    (`DECIMALS`); anything else is written as `format_value` does.
    """
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


def format_value(value: Any) -> str:
    """Write a value of `plain` for people.

    Numbers have six significant digits, large ones four decimals. Long lists are shortened. The numbers of a list have
    the same number of decimals, so that noise beside large numbers reads as zero.
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
        largest = max((abs(item) for item in value if isinstance(item, float)), default=0.0)
        if 1e-4 < largest < 1e6:
            decimals = max(0, 5 - math.floor(math.log10(largest)))
            shown = [
                f"{round(item, decimals) + 0.0:.{decimals}f}" if isinstance(item, float) else item for item in shown
            ]
        return ", ".join(f"[{format_value(item)}]" if isinstance(item, list) else format_value(item) for item in shown)
    return str(value)


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
    for ascii_text, symbol in (("Angstrom", "Å"), ("amu^1/2", "√amu"), ("^-1", "⁻¹"), ("^2", "²"), ("^3", "³")):
        unit = unit.replace(ascii_text, symbol)
    return "µs" if unit == "us" else unit


def readable(name: str) -> str:
    """Make words of a name: `mean_energy` -> `mean energy`."""
    return name.replace("_", " ")
