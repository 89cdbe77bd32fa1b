"""Quantities side by side: the same table on the page, in the text, on the terminal and made again from its file."""

import json
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dp_sim.recipes.results.page.html import rebuild_report
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import FIRST, LAST, QuantityTable, tables_of, values_apart
from dp_sim.recipes.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Rows(Result):
    """A result with `n` rows."""

    recipe: ClassVar[str] = "rows"
    title: ClassVar[str] = "Rows"
    n: int = 3

    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "energy": Quantity(-3.25, "eV"),
            "frequencies": Quantity(np.linspace(-0.001, 90.0, self.n), "cm^-1"),
            "masses": Quantity(np.ones(self.n), "amu"),
            "others": Quantity(np.zeros(2), "K"),
        }

    def tables(self) -> dict[str, QuantityTable]:
        columns = {"frequencies": ("ν <b>", 2), "intensities": ("I", 1), "masses": ("m", 3), "energy": ("E", 4)}
        return {"modes": QuantityTable("All modes.", columns, numbered="mode")}

    def animation(self):
        return {"note": "", "elements": ["</script><script>alert(1)"], "numbers": list(range(self.n))}


def test_columns_that_are_there_stand_side_by_side():
    """A quantity that is missing has no column; a single number stands in every row, and among the numbers too."""
    content = Rows(converged=True).to_dict()
    (table,) = tables_of(content)
    assert table.header == ["mode", "ν <b> (cm⁻¹)", "m (amu)", "E (eV)"]
    assert table.rows[0] == ["1", "0.00", "1.000", "-3.2500"]  # -0.001 is no -0.00
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    assert list(values_apart(content)) == ["energy", "others"]


def test_the_rows_of_a_matrix_have_a_column_for_each_part():
    content = {
        "values": {
            "axis": {"value": ["x", "y"], "unit": ""},
            "tensor": {"value": [[1.0, 2.0], [3.0, 4.0]], "unit": "GPa"},
        },
        "tables": {"tensor": QuantityTable("", {"axis": ("", 0), "tensor": ("x|y", 1)}).to_dict()},
    }
    (table,) = tables_of(content)
    assert table.header == ["", "x (GPa)", "y (GPa)"]
    assert table.rows == [["x", "1.0", "2.0"], ["y", "3.0", "4.0"]]


def test_text_has_the_table_once():
    text = Rows(converged=True).summary()
    assert text.splitlines()[1] == "  energy: -3.2500 eV"
    assert "frequencies" not in text
    assert re.search(r"3 +90\.00 +1\.000 +-3\.2500$", text)


def test_a_long_table_is_shortened_on_the_terminal_and_whole_on_the_page(tmp_path):
    result = Rows(converged=True, n=100)
    (table,) = tables_of(result.to_dict())
    assert len(table.shortened()) == FIRST + LAST + 1
    assert table.shortened()[-1] == table.rows[-1]
    result.save(tmp_path / "rows")
    page = (tmp_path / "rows" / "report.html").read_text()
    body = page[page.index('id="table-modes"') :]
    assert body[: body.index("</table>")].count("<tr>") == 101
    assert "ν &lt;b&gt;" in body
    assert "90.00" in body


def test_the_page_is_made_again_with_its_table_and_what_moves(tmp_path):
    result = Rows(converged=True)
    result.save(tmp_path / "rows")
    first = (tmp_path / "rows" / "report.html").read_text()
    assert rebuild_report(tmp_path / "rows").read_text() == first
    assert "alert(1)" in first
    assert "</script><script>alert" not in first  # a text ends no script
    data = first[first.index('id="view-data">') + len('id="view-data">') :]
    assert json.loads(data[: data.index("</script>")]) == result.animation()
