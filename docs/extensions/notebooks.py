"""The notebooks of the example systems as pages: run by the build, so that what they show is what they give."""

from __future__ import annotations

import logging
import os
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from dp_sim.recipes.results.page.html import Image

ROOT = Path(__file__).resolve().parents[2]
#: Name of a page -> its notebook.
NOTEBOOKS = {"ethanol": "ethanol/ethanol.ipynb", "water": "water/water.ipynb"}


def write(folder: Path) -> None:
    """Run all notebooks, and write a page for each into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in NOTEBOOKS.items():
        notebook = _executed(ROOT / "example_systems" / file)
        parts = [part for cell in notebook.cells for part in _cell(cell)]
        where = f"This page is the notebook `example_systems/{file}`, run when the documentation was built."
        parts.insert(1, where)  # below the title
        (folder / f"{name}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _executed(file: Path) -> Any:
    """Run a notebook in its folder, with the kernel of this environment."""
    os.environ |= {
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "OMP_NUM_THREADS": "1",  # several for nine atoms wait for each other where other work runs
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    notebook = nbformat.read(file, as_version=4)
    place = {"metadata": {"path": str(file.parent)}}
    client = NotebookClient(notebook, timeout=600, resources=place, extra_arguments=["--log-level=ERROR"])
    client.log.setLevel(logging.WARNING)
    client.execute()
    return notebook


def _cell(cell: Any) -> Iterator[str]:
    """Yield a cell and its outputs as MyST."""
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield f"```python\n{cell.source}\n```"
    for output in cell.outputs:
        shown = output.get("data", {})
        if "image/png" in shown:
            image = Image("plot", b64decode(shown["image/png"]))
            yield _raw(
                f'<img class="plot" alt="plot" width="{image.width}" src="data:image/png;base64,{image.base64}">'
            )
        elif "text/html" in shown:
            yield _raw(shown["text/html"])
        else:
            yield f"```text\n{output.get('text') or shown['text/plain']}\n```"


def _raw(html: str) -> str:
    return f'```{{raw}} html\n<div class="output">\n{html}\n</div>\n```'
