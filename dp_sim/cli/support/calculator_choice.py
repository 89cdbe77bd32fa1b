"""Which calculator the command line asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError


@dataclass(frozen=True)
class CalculatorChoice:
    """The calculator that the command line asks for, made by `make()`.

    Attributes
    ----------
    model
        Model files (`-m`).
    spec, arguments
        SPEC of a calculator, and its arguments as KEY=VALUE.
    device, dtype
        Where and in which precision a model runs.
    may_import
        Whether SPEC may name a module, whose code then runs.
    """

    model: list[Path] | None
    spec: str | None
    arguments: list[str] | None
    device: str | None
    dtype: str | None
    may_import: bool

    def make(self) -> Any:
        """Make the ASE calculator.

        Raises
        ------
        InputError
            None or both of model and SPEC are given, or `as_calculator` or `calculator_from_spec` refuse them.
        """
        from dp_sim.recipes.inputs.calculators import as_calculator, calculator_from_spec

        if bool(self.model) == bool(self.spec):
            got = "both" if self.model else "neither"
            raise InputError(
                "model-or-calculator-missing",
                f"a run needs a model (-m FILE) or a calculator (--calculator SPEC), got {got}; give one",
            )
        if self.spec is None:
            if self.arguments:
                raise InputError(
                    "option-not-for-models", "--calculator-arg goes with --calculator, not with a model; leave it out"
                )
            return as_calculator(self.model, device=self.device, dtype=self.dtype)
        for name, value in (("device", self.device), ("dtype", self.dtype)):
            if value is not None:
                raise InputError(
                    "option-not-for-calculators", f"--{name} goes with a model, not with --calculator; leave it out"
                )
        return calculator_from_spec(self.spec, parse_arguments(self.arguments or []), may_import=self.may_import)


def parse_arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn `["charge=1", "method=x"]` into `{"charge": 1, "method": "x"}`; values are YAML."""
    import yaml

    from dp_sim.config.safe_yaml import load_yaml

    arguments = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise InputError("calculator-argument-malformed", f"'{pair}' is no calculator argument; expected KEY=VALUE")
        try:
            arguments[key] = load_yaml(value)
        except yaml.YAMLError:
            raise InputError(
                "calculator-argument-malformed",
                f"the value of the calculator argument '{pair}' cannot be read; quote it as in YAML",
            ) from None
    return arguments
