"""Charge and spin in the free text of a comment line, as other programs write them: `Charge: +1`, `charge -1`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NUMBER = r"\s*[:=]?\s*([+-]?\d+(?:\.\d+)?|\d+[+-])(?![\w.+-])"
#: What is stated -> its pattern.
_PATTERNS = {
    "charge": re.compile(r"(?<![a-z])charge" + _NUMBER, re.IGNORECASE),
    "multiplicity": re.compile(r"(?<![a-z])mult(?:iplicity)?" + _NUMBER, re.IGNORECASE),
    "spin": re.compile(r"(?<![a-z])spin" + _NUMBER, re.IGNORECASE),
}
#: A comment line of one number with decimals.
_DECIMAL = re.compile(r"[+-]?\d+\.\d+(?:[eEdD][+-]?\d+)?")
#: A comment line of two numbers, as in input of Gaussian.
_PAIR = re.compile(r"\s*([+-]?\d)\s+(\d)\s*")


def free_text(info: Mapping[str, Any]) -> str:
    """Put together the words of a comment line that are no `key=value`: ASE's reader keeps each as a flag."""
    return " ".join(str(key) for key, value in info.items() if value is True)


def stated_in_words(info: Mapping[str, Any]) -> dict[str, str]:
    """Find what the free text of a comment line states: charge, multiplicity, spin -> the number as written."""
    text = free_text(info)
    found = {what: pattern.search(text) for what, pattern in _PATTERNS.items()}
    return {what: _signed(match[1]) for what, match in found.items() if match is not None}


def _signed(text: str) -> str:
    """Write `2+` as `+2`."""
    return text[-1] + text[:-1] if text[-1] in "+-" else text


def unread_pair(info: Mapping[str, Any]) -> str:
    """Return a comment line of two numbers that could be a charge other than 0 and a multiplicity; else empty."""
    match = _PAIR.fullmatch(free_text(info))
    return match[0].strip() if match is not None and int(match[1]) and int(match[2]) else ""


def bare_number(info: Mapping[str, Any]) -> str:
    """Return a comment line that is one number with decimals, the energy of CREST, GOAT and others; else empty."""
    text = free_text(info).strip()
    return text if _DECIMAL.fullmatch(text) else ""
