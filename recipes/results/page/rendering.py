"""The templates of pages, with the filters that they use."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from dp_sim.recipes.results.formatting import (
    format_estimate,
    format_interval,
    format_quantity,
    format_value,
    readable,
    typeset_unit,
)
from dp_sim.recipes.results.quantity_table import rows_of, tables_of

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    """Load the templates, with the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dp_sim.recipes.results.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"value": format_value, "unit": typeset_unit, "readable": readable}
    environment.tests["in_words"] = _in_words
    environment.globals |= {
        "estimate": format_estimate,
        "interval": format_interval,
        "quantity": format_quantity,
        "tables_of": tables_of,
        "rows_of": rows_of,
    }
    return environment


def _in_words(field: object) -> bool:
    """Tell a field of a table that says something from one that is a number, 1.2e-05 too."""
    return any(letter.isalpha() and letter not in "eE" for letter in str(field))


def render(template: str, **variables: Any) -> str:
    """Fill a template of `templates/`."""
    return _environment().get_template(template).render(variables)
