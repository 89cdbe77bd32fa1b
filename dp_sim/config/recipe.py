"""Settings of a recipe: name, type, default, unit, meaning and bounds of each, in one place.

From a model of this kind come the checks of a recipe, its command-line options, what config.yaml holds and the
Parameters section of its docstring. The recipe's own signature repeats names, types and defaults, so that editors and
type checkers see them; a test holds the two together. A new setting is a field in the settings.py of its room and a
keyword of the recipe, and nothing else.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin

import annotated_types
from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from dp_sim.config.section import Section
from dp_sim.errors import InputError, choose, nearest_name

Function = TypeVar("Function", bound=Callable[..., Any])


def setting(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    detail: str = "",
    choices: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    metavar: str = "",
    panel: str = "",
    may_change: bool = False,
    is_path: bool = False,
    min_length: int | None = None,
    **bounds: float,
) -> Any:
    """Declare one setting of a recipe.

    Parameters
    ----------
    default
        Its default; `...` where it must be given.
    meaning
        What it is, as a phrase: the help text of the option.
    unit
        Unit of the value.
    detail
        Sentences that follow the meaning in the documentation.
    choices
        The values that a text may have; of a list of texts, each of them, and `a,b` stands for a and b.
    flags
        Names of the command-line option, where they are not `--name-of-the-setting`.
    metavar
        What the help shows in place of the type.
    panel
        Heading under which the help shows the option; by default among the command's own.
    may_change
        Whether a run may be resumed with another value.
    is_path
        Whether it names a file: config.yaml then holds its absolute path.
    min_length
        Characters that a text has at least.
    **bounds
        `gt`, `ge`, `lt`, `le`: above, at least, below, at most.

    Returns
    -------
    A pydantic field.
    """
    extra: dict[str, Any] = {
        "unit": unit,
        "detail": detail,
        "choices": choices,
        "flags": flags,
        "metavar": metavar,
        "panel": panel,
        "may_change": may_change,
        "is_path": is_path,
    }
    return Field(default, description=meaning, json_schema_extra=extra, min_length=min_length, **bounds)  # type: ignore[call-overload]


def described(info: FieldInfo) -> dict[str, Any]:
    """Return what `setting` declared of a field beside its meaning: unit, choices, flags and so on."""
    return dict(info.json_schema_extra) if isinstance(info.json_schema_extra, dict) else {}


def phrase(info: FieldInfo) -> str:
    """Return the meaning of a setting with its unit: `Time step (fs); chosen by the lightest atom if not given`."""
    first, semicolon, rest = (info.description or "").partition(";")
    unit = described(info)["unit"]
    return f"{first} ({unit}){semicolon}{rest}" if unit else f"{first}{semicolon}{rest}"


class RecipeSettings(Section):
    """Base of the settings of every recipe; the first line of a subclass's docstring is the help of its command."""

    model_config = ConfigDict(strict=True)

    #: Name of the recipe: that of its command, and `recipe` in result.json.
    recipe: ClassVar[str]
    #: Where the recipe is, as module:function; a name, because importing it loads what it calculates with.
    function: ClassVar[str]
    #: Whether an interrupted run can go on half-way.
    resumable: ClassVar[bool] = True
    #: Whether it takes a list of structures in place of one.
    takes_several: ClassVar[bool] = False

    seed: int = setting(0, "Seed of every random number", ge=0)

    @field_validator("*", mode="before")
    @classmethod
    def _plain_value(cls, value: Any, info: ValidationInfo) -> Any:
        """Convert numbers of NumPy, paths and lists to plain values, and check a text against its choices."""
        if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", None) == 0:
            value = value.item()
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, list):
            value = tuple(value)
        field = cls.model_fields[info.field_name or ""]
        choices = described(field)["choices"]
        if not choices or value is None:
            return value
        if plain_type(field.annotation)[1]:
            value = _separated(value)
        for one in value if isinstance(value, tuple) else (value,):
            choose(info.field_name or "", str(one), choices)
        return value

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> Self:
        """Make the settings of a run.

        Raises
        ------
        InputError
            A setting that is unknown, missing, of another type or out of its bounds: named, with what was expected
            and what was got.
        """
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            raise _as_input_error(cls, error) from None

    @classmethod
    def taken_from(cls, keywords: Mapping[str, Any]) -> Self:
        """Check those of `keywords` that are settings: `locals()` at the start of a recipe, for example."""
        return cls.check({name: keywords[name] for name in cls.model_fields})

    def as_used(self) -> dict[str, Any]:
        """Return the settings as config.yaml holds them, without the seed, which stands beside them.

        Files have their absolute paths, so that config.yaml means the same in every directory.
        """
        used = self.model_dump(mode="json", exclude={"seed"})
        for name, info in type(self).model_fields.items():
            if not described(info)["is_path"] or used[name] is None:
                continue
            given = used[name]
            used[name] = [_absolute(one) for one in given] if isinstance(given, list) else _absolute(given)
        return used

    @classmethod
    def may_change(cls) -> tuple[str, ...]:
        """Return the names of the settings that may differ when a run is resumed."""
        return tuple(name for name, info in cls.model_fields.items() if described(info)["may_change"])


def _absolute(name: str) -> str:
    """Make FILE or FILE@INDEX absolute; what is no file that exists stays as it is."""
    if os.path.exists(name):
        return os.path.abspath(name)
    file, at, index = name.rpartition("@")
    return f"{os.path.abspath(file)}@{index}" if at and os.path.exists(file) else name


def _as_input_error(settings: type[RecipeSettings], error: ValidationError) -> InputError:
    # A misspelt name that leaves a required one missing: the misspelt one is the cause.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    refusal = first.get("ctx", {}).get("error")
    if isinstance(refusal, InputError):
        return refusal
    name, kind = str(first["loc"][0]) if first["loc"] else "", first["type"]
    if kind == "extra_forbidden":
        known = tuple(settings.model_fields)
        return InputError(
            "setting-unknown",
            f"{settings.recipe} has no setting '{name}'{nearest_name(name, known)} (it has: {', '.join(known)})",
        )
    info = settings.model_fields[name]
    if kind == "missing":
        return InputError("setting-missing", f"the setting {name} is missing; it must be {expectation(info)}")
    usual = "" if info.is_required() or info.default is None else f"; the default is {info.default}"
    sentence = f"{name} must be {expectation(info)}, got {first['input']!r}{usual}"
    if kind.startswith(("greater", "less", "finite")):
        return InputError("setting-out-of-range", sentence)
    return InputError("setting-invalid", sentence)


#: Type -> what a value of it is called.
_KINDS: dict[Any, str] = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}


def _separated(value: Any) -> Any:
    """Take `a,b` for a and b, alone and in a list; what is no text stays as it is."""
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, tuple) or not all(isinstance(one, str) for one in texts):
        return value
    return tuple(name.strip() for text in texts for name in text.split(","))


_BOUNDS: tuple[tuple[type, str, str], ...] = (
    (annotated_types.Gt, "gt", "above"),
    (annotated_types.Ge, "ge", "of at least"),
    (annotated_types.Lt, "lt", "below"),
    (annotated_types.Le, "le", "of at most"),
)


def plain_type(annotation: Any) -> tuple[Any, bool, bool]:
    """Take a setting's type apart.

    Returns
    -------
    kind : type
        int, float, bool or str.
    is_list : bool
        Whether it is a tuple of these.
    optional : bool
        Whether None is a value of it.
    """
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        optional = types.NoneType in get_args(annotation)
        (annotation,) = (one for one in get_args(annotation) if one is not types.NoneType)
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], True, optional
    return annotation, False, optional


def expectation(info: FieldInfo) -> str:
    """Say what a setting may be: `a finite number above 0 (eV/Å)`."""
    extra = described(info)
    if extra["choices"]:
        return f"one of {', '.join(extra['choices'])}"
    kind, is_list, _ = plain_type(info.annotation)
    limits = [
        f"{word} {getattr(limit, attribute):g}"
        for bound, attribute, word in _BOUNDS
        for limit in info.metadata
        if isinstance(limit, bound)
    ]
    unit = f" ({extra['unit']})" if extra["unit"] else ""
    what = f"a list, each {_KINDS[kind]}" if is_list else _KINDS[kind]
    return " ".join([what, " and ".join(limits)]).rstrip() + unit


#: Keywords that every recipe takes beside its settings: name -> type, default and meaning.
CALL_KEYWORDS = {
    "out": ("path or None, default None", "Directory for all files of the run; None: no files."),
    "overwrite": ("bool, default False", "Replace an earlier run in `out`."),
    "resume": ("bool, default False", "Continue the run in `out`."),
    "progress": ("bool, default True", "Show a progress bar on a terminal."),
}
#: What `resume` means where a recipe cannot go on half-way.
RESUME_STARTS_AGAIN = "Start again in `out`: this recipe does not continue half-way."
#: Width of the lines of a docstring.
DOCSTRING_WIDTH = 116


def _documentation(info: FieldInfo) -> tuple[str, str]:
    """Return type with default, and the meaning in sentences."""
    kind, is_list, optional = plain_type(info.annotation)
    typed = f"sequence of {kind.__name__}" if is_list else kind.__name__
    typed += " or None" if optional else ""
    extra = described(info)
    choices = f" One of {', '.join(extra['choices'])}." if extra["choices"] else ""
    default = "" if info.is_required() else f", default {info.default!r}"
    return typed + default, f"{phrase(info)}.{choices} {extra['detail']}".rstrip()


def parameters_text(settings: type[RecipeSettings], order: Sequence[str]) -> str:
    """Return the numpydoc entries of the keywords of a recipe, in the order given."""
    entries = {name: _documentation(info) for name, info in settings.model_fields.items()} | CALL_KEYWORDS
    if not settings.resumable:
        entries["resume"] = (CALL_KEYWORDS["resume"][0], RESUME_STARTS_AGAIN)
    wrap = functools.partial(textwrap.fill, width=DOCSTRING_WIDTH, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(f"{name} : {entries[name][0]}\n{wrap(entries[name][1])}" for name in order if name in entries)


def _naming_nearest(function: Function) -> Function:
    """Let a call with a keyword that does not exist name the nearest one that does."""
    known = tuple(inspect.signature(function).parameters)

    @functools.wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        unknown = [name for name in keywords if name not in known]
        if unknown:
            raise TypeError(
                f"{function.__name__}() has no argument '{unknown[0]}'{nearest_name(unknown[0], known)} (it has: "
                f"{', '.join(known)})"
            )
        return function(*arguments, **keywords)

    return called  # type: ignore[return-value]


def documented(settings: type[RecipeSettings]) -> Callable[[Function], Function]:
    """Add the settings to the Parameters section of a recipe's docstring, which lists its structures and calculator.

    A keyword that the docstring explains itself is left as it is. `help`, an editor and a type checker see the
    function's own signature. A keyword that does not exist is refused with the nearest one that does.
    """

    def add(function: Function) -> Function:
        text = inspect.cleandoc(function.__doc__ or "")
        section = re.search(r"^Parameters\n-+\n(?:.+\n?)+", text, flags=re.MULTILINE)
        if section is None:
            raise TypeError(f"the docstring of {function.__name__} has no Parameters section")
        end = section.end()
        heads = re.findall(r"^\w.*", section[0], flags=re.MULTILINE)
        explained = {name for head in heads for name in head.partition(" : ")[0].split(", ")}
        order = [name for name in inspect.signature(function).parameters if name not in explained]
        entries = parameters_text(settings, order)
        function.__doc__ = f"{text[:end].rstrip()}\n{entries}\n{text[end:]}".rstrip() + "\n"
        return _naming_nearest(function)

    return add
