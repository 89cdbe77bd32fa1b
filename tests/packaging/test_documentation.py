"""Every command and every line of Python in README.md and docs/ runs, in order, in a folder with example_systems only.

Blocks marked python, bash and yaml are taken; those marked console (make, pip, long runs) and text are left out. A
block that stands on two pages runs once. A yaml block goes into the file that its first line names.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE_RUNS = ("python example_systems/ethanol/run.py", "python example_systems/water/run.py")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "bash", "yaml", "console", "text"}
#: The reader's order: what a tutorial makes, later pages use.
FIRST = ("README.md", "docs/tutorials/first-model.md")


class Block(NamedTuple):
    page: str
    language: str
    code: str
    line: int


def pages() -> list[str]:
    """README.md and the pages of the documentation that are written by hand."""
    found = [str(file.relative_to(ROOT)) for file in sorted((ROOT / "docs").glob("**/*.md"))]
    return [*FIRST, *(page for page in found if page not in FIRST and "generated" not in page)]


def blocks() -> list[Block]:
    """The fenced blocks of all pages with the line that each begins on."""
    found = []
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        found += [Block(page, m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]
    return found


def to_run() -> list[Block]:
    """The blocks that are taken, each once."""
    kept = {b.code: b for b in reversed(blocks()) if b.language in ("python", "bash", "yaml")}
    return [block for block in blocks() if kept.get(block.code) == block]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    shutil.copytree(ROOT / "example_systems", folder / "example_systems")
    return folder


def run(block: Block, folder: Path) -> None:
    """One block as a user would run it, except that a training takes ten steps, on every tenth frame of its data."""
    code = block.code if block.language == "python" else block.code.replace(".extxyz.gz", ".extxyz.gz@::10")
    if block.language == "yaml":
        name = code.splitlines()[0].removeprefix("# ")
        (folder / name).write_text(re.sub(r"steps: \d+", "steps: 10", code), encoding="utf-8")
        return
    command = {
        "python": [sys.executable, "-W", "error", "-c", code],
        "bash": ["bash", "-euo", "pipefail", "-c", code],
    }[block.language]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.page}, line {block.line}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", to_run(), ids=lambda b: f"{b.page}:{b.line}")
def test_block_runs(block: Block, folder: Path) -> None:
    for module, extra in (("openmm", "openmm"), ("tblite", "xtb")):
        if module in block.code:
            pytest.importorskip(module, reason=f"{block.page} uses the extra {extra} here", exc_type=ImportError)
    run(block, folder)


def test_the_ways_are_there() -> None:
    """ASE, OpenMM, the command line and a notebook; what a block is, its fence says."""
    code = [block.code for block in to_run()]
    for word in ("DPCalculator", "create_force", "dp-sim opt", "vibrations(", "dp-sim train", *EXAMPLE_RUNS):
        assert any(word in block for block in code), word
    assert {block.language for block in blocks()} == LANGUAGES


def test_a_block_that_fails_is_reported(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"README\.md, line 7"):
        run(Block("README.md", "bash", "false | true\n", 7), tmp_path)
