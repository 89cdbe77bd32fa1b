"""Errors that users can cause; each message names the thing, what was expected, what was got, and what to do."""

from __future__ import annotations

import importlib
import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from types import ModuleType
from typing import Any


class DPSimError(Exception):
    """Base of every error that dp-sim raises on purpose.

    Parameters
    ----------
    code
        A short name of the kind of error that stays from version to version, for scripts and tests.
    message
        A sentence: the thing, what was expected, what was got, and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[DPSimError], tuple[str, str]]:
        """Errors travel between processes with their code."""
        return type(self), (self.code, str(self))


class InputError(DPSimError, ValueError):
    """Bad input: a structure, a label, a setting or a file. The command line exits with status 2."""


class TrainingError(DPSimError):
    """Training cannot go on; what it wrote before is kept."""


class ModelFileError(InputError):
    """A model file or checkpoint that cannot be used: truncated, of another kind, or of a newer version."""


class MissingPackageError(InputError, ImportError):
    """An optional package that this feature needs is not installed or does not load."""


def nearest_name(name: str, known: Iterable[str]) -> str:
    """Suggest the known name nearest to `name`: `"; did you mean 'x'?"`, or an empty string.

    A name that differs in its digits alone is not suggested: who writes float16 does not mean float64.
    """
    letters = str.maketrans("", "", "0123456789")
    matches = get_close_matches(name, [one for one in known if one.translate(letters) != name.translate(letters)], n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Raises
    ------
    MissingPackageError
        Names the package, what it is wanted for, and the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            "package-missing",
            f"{purpose} needs the package '{module}', which does not import here ({error}); "
            f"install it with: pip install 'dp-sim[{extra}]'",
        ) from error


def choose(name: str, value: str, known: tuple[str, ...]) -> str:
    """Return `value` if it is one of `known`, else raise an InputError that names the nearest."""
    if value not in known:
        raise InputError(
            "choice-unknown", f"{name} must be one of {', '.join(known)}; got '{value}'{nearest_name(value, known)}"
        )
    return value


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def shown(value: Any) -> str:
    """Show a value in a message, shortened, whatever its size; a number of NumPy as the number."""
    return _SHORT.repr(value.item() if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 else value)


def first_line(error: BaseException) -> str:
    """Return the first line of a message that is not empty, or the type of the error."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
