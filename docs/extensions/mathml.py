"""Equations as MathML, which browsers draw by themselves: no script, no font, no network."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer: Any, node: Any) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="equation"))
    writer.body.append(convert(node.astext(), display="block"))
    if node["number"]:
        writer.body.append(f'<span class="equation-number">({node["number"]})</span>')
        writer.add_permalink_ref(node, "Link to this equation")
    writer.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer and its style."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    app.add_css_file("equations.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
