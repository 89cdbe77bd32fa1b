"""The calculator that a recipe runs on: an ASE calculator, a model file, a committee of files, or a SPEC in words."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from ase.io.jsonio import encode

from dp_sim.errors import InputError, import_optional, nearest_name

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model

#: SPECs that have a name of their own -> the methods that may follow the colon (the first is the default).
NAMED_SPECS: dict[str, tuple[str, ...]] = {"emt": (), "tblite": ("GFN2-xTB", "GFN1-xTB", "IPEA1-xTB")}

#: Arrays of more numbers than this are recorded as a hash.
_FEW = 100

#: How each calculator made here was asked for, so that config.yaml can say it.
_settings_of: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def as_calculator(calc: Any, *, device: str | None = None, dtype: str | None = None) -> Any:
    """Make an ASE calculator of what users give to a recipe.

    Parameters
    ----------
    calc
        An ASE calculator (returned as it is), a model file, a committee (a list of model files, or its folder), or a
        loaded model.
    device, dtype
        For model files only: as in `DPCalculator`.

    Raises
    ------
    InputError
        Anything else, a model file that cannot be used, or device or dtype together with a calculator.
    """
    if isinstance(calc, (str, os.PathLike)):
        calc = [calc]
    if isinstance(calc, Sequence) or _is_loaded_model(calc):
        return _model_calculator(calc, device, dtype)
    if device is not None or dtype is not None:
        raise InputError(
            "option-not-for-calculators", "device and dtype belong to a model file; leave them out with a calculator"
        )
    if inspect.isclass(calc):
        raise InputError(
            "calculator-kind",
            f"calc must be a calculator, got the class {calc.__name__}; make one: {calc.__name__}(...)",
        )
    if not (hasattr(calc, "get_potential_energy") and hasattr(calc, "get_forces")):
        raise InputError(
            "calculator-kind",
            f"calc must be an ASE calculator, a model file or a list of model files, got {type(calc).__name__}",
        )
    return calc


def _is_loaded_model(calc: Any) -> bool:
    """Tell whether this is a model of `load_model`. Nobody has one without having imported its class."""
    module = sys.modules.get("dp_sim.model.evaluator")
    return module is not None and isinstance(calc, module.Model)


def _model_calculator(source: Model | Sequence[str | os.PathLike[str]], device: str | None, dtype: str | None) -> Any:
    from dp_sim.plugins.ase_calculator import DPCalculator

    calculator = DPCalculator(source, device=device, dtype=dtype)
    used = {"device": str(calculator.model.device), "dtype": calculator.model.metadata.dtype}
    sources = list(calculator.model.sources)
    _settings_of[calculator] = {"model": sources, **used} if sources else used
    return calculator


def calculator_from_spec(spec: str, arguments: Mapping[str, Any] | None = None, *, may_import: bool = True) -> Any:
    """Make an ASE calculator from a SPEC.

    Parameters
    ----------
    spec
        `emt`, `tblite:GFN2-xTB`, or `package.module:Class`.
    arguments
        Keyword arguments of the calculator.
    may_import
        Accept `package.module:Class`, which runs that module's code; false for a SPEC that was read from a file.

    Raises
    ------
    InputError
        A name, method, module, class or argument that does not exist (the nearest name is given); a forbidden import.
    """
    arguments = dict(arguments or {})
    name, _, rest = spec.partition(":")
    if name in NAMED_SPECS:
        calculator_class, fixed = _named_class(name, rest)
    elif rest and "." in name:
        if not may_import:
            raise InputError(
                "calculator-not-trusted",
                f"the configuration file asks for the calculator '{spec}', which would run that module's code; "
                f"if you trust it, give it on the command line: --calculator {spec}",
            )
        calculator_class, fixed = _imported_class(spec, name, rest), {}
    else:
        raise InputError(
            "calculator-unknown",
            f"calculator '{spec}' is not known; expected emt, tblite:METHOD or package.module:Class"
            + nearest_name(name, NAMED_SPECS),
        )
    _check_arguments(spec, calculator_class, arguments)
    try:
        calculator = calculator_class(**fixed, **arguments)
    except Exception as error:  # a foreign constructor may raise anything, and the user must see which
        raise InputError(
            "calculator-failed", f"calculator '{spec}' cannot be made ({type(error).__name__}: {error})"
        ) from error
    _settings_of[calculator] = {"calculator": spec} | ({"calculator_arg": arguments} if arguments else {})
    return as_calculator(calculator)


def _named_class(name: str, method: str) -> tuple[type, dict[str, Any]]:
    """Find the class behind a named SPEC, and the arguments that the SPEC itself fixes."""
    methods = NAMED_SPECS[name]
    if method and method not in methods:
        known = f"expected one of {', '.join(methods)}" if methods else "it takes none"
        raise InputError(
            "calculator-unknown",
            f"calculator '{name}' has no method '{method}'; {known}{nearest_name(method, methods)}",
        )
    if name == "emt":
        from ase.calculators.emt import EMT  # noqa: PLC0415 - this module loads without ase

        return EMT, {}
    tblite = import_optional("tblite.ase", extra="xtb", purpose="the calculator tblite")
    return tblite.TBLite, {"method": method or methods[0], "verbosity": 0}


def _imported_class(spec: str, module_name: str, class_name: str) -> type:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs foreign code
        raise InputError(
            "calculator-failed",
            f"calculator '{spec}': the module '{module_name}' does not import ({type(error).__name__}: {error})",
        ) from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        classes = [name for name, _ in inspect.getmembers(module, inspect.isclass)]
        raise InputError(
            "calculator-unknown",
            f"calculator '{spec}': '{module_name}' has no class '{class_name}'{nearest_name(class_name, classes)}",
        )
    return found


def _check_arguments(spec: str, calculator_class: type, arguments: dict[str, Any]) -> None:
    """Refuse arguments that the calculator does not have; many ASE calculators would take and ignore them."""
    parameters = inspect.signature(calculator_class).parameters.values()
    known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    known |= set(getattr(calculator_class, "default_parameters", {}))
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if takes_any and not getattr(calculator_class, "default_parameters", {}):
        return  # the class alone knows its arguments
    for name in arguments:
        if name not in known:
            raise InputError(
                "calculator-argument-unknown",
                f"calculator '{spec}' has no argument '{name}'{nearest_name(name, known)}",
            )


def given_arguments(calculator: Any) -> dict[str, Any] | None:
    """Return the arguments that a SPEC came with; None for a calculator that was not made from a SPEC here."""
    settings = _settings_of.get(calculator, {}) if _is_referable(calculator) else {}
    return settings.get("calculator_arg", {}) if "calculator" in settings else None


def _is_referable(calculator: Any) -> bool:
    """Tell whether it is a key of `_settings_of`: some calculators compare by value, or allow no weak references."""
    try:
        return calculator in _settings_of
    except TypeError:
        return False


def calculator_settings(calculator: Any) -> dict[str, Any]:
    """Give the keys of config.yaml for this calculator: `model`, or `calculator` and `calculator_arg`."""
    if calculator is None:
        return {}
    if _is_referable(calculator):
        return dict(_settings_of[calculator])
    if loaded_model(calculator) is not None:
        sources = list(calculator.model.sources)
        return {**({"model": sources} if sources else {}), "dtype": calculator.model.metadata.dtype}
    kind = type(calculator)
    defaults = getattr(kind, "default_parameters", {})
    changed = {
        name: value
        for name, value in parameters_of(calculator).items()
        if name not in defaults or value != _recordable(defaults[name])
    }
    settings: dict[str, Any] = {"calculator": f"{kind.__module__}:{kind.__qualname__}"}
    return settings | ({"calculator_arg": changed} if changed else {})


def parameters_of(calculator: Any) -> dict[str, Any]:
    """Collect the parameters that an ASE calculator declares, as plain values; arrays and objects as a hash.

    There are none for our models, which are identified by the hashes of their files.
    """
    declared = getattr(calculator, "parameters", None)
    if loaded_model(calculator) is not None or not isinstance(declared, Mapping):
        return {}
    return {str(name): _recordable(value) for name, value in sorted(declared.items(), key=lambda item: str(item[0]))}


def _recordable(value: Any) -> Any:
    """Convert to a value that YAML can hold and that is the same in every process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray) and value.size <= _FEW and value.dtype.kind in "biuf":
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_recordable(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _recordable(item) for key, item in value.items()}
    try:
        return f"sha256:{hashlib.sha256(encode(value).encode()).hexdigest()[:16]}"
    except (TypeError, ValueError, AttributeError):
        return f"{type(value).__module__}.{type(value).__qualname__}"


def loaded_model(calculator: Any) -> Model | None:
    """Find the Deep Potential (or committee) behind a `DPCalculator`; None for any other calculator."""
    plugin = sys.modules.get("dp_sim.plugins.ase_calculator")  # not loaded: then it is another calculator
    return calculator.model if plugin is not None and isinstance(calculator, plugin.DPCalculator) else None


def only_model(calculator: Any) -> Model | None:
    """Find the model behind a plain `DPCalculator`; None for a subclass too, which may do more than its model."""
    return loaded_model(calculator) if type(calculator).__module__ == "dp_sim.plugins.ase_calculator" else None


def member_calculators(calculator: Any) -> list[Any]:
    """Make a calculator of each member of a committee; empty for anything else."""
    model = only_model(calculator)
    if model is None or len(model.members) == 1:
        return []
    files = [[file] for file in model.files] or [[] for _ in model.members]
    each = zip(model.modules, model.members, files, strict=True)
    models = [type(model)([module], [metadata], str(model.device), file) for module, metadata, file in each]
    return [type(calculator)(one, stress_of_slabs=calculator.stress_of_slabs) for one in models]


def model_sha256(calculator: Any) -> list[str]:
    """List the SHA-256 of the file of each model behind `calculator`; empty for a calculator that is not ours."""
    model = loaded_model(calculator)
    return [] if model is None else [member.sha256 for member in model.members]
