"""Every command and every line of Python in README.md and docs/ runs, in order, in a folder with example_systems only.

Blocks marked python, bash and yaml are taken; those marked console (make, pip, long runs) and text are left out. A
block that stands on two pages runs once. A yaml block goes into the file that its first line names.

The first block of each language, and the first that names OpenMM, runs in a process of its own, as a user runs it. So
does one that only a shell can read. The others run in this process, since each start takes seconds.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dp_sim.cli.main import status

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


def as_users_do() -> list[Block]:
    """The first block of the shell, of Python and of OpenMM: each in a process of its own."""
    kinds = (lambda b: b.language == "bash", lambda b: b.language == "python", lambda b: "import openmm" in b.code)
    return [next(filter(kind, to_run())) for kind in kinds]


def commands(code: str) -> list[tuple[list[str], int]] | None:
    """Commands of dp-sim, each with the status that its line asks for; None of a block with anything else."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        command, _, asked = line.partition("#")[0].partition(" || test $? -eq ")
        words = shlex.split(command)
        if words and (words[0] != "dp-sim" or set("|&;<>$*?`~{}()") & set(command)):
            return None
        if words:
            found.append((words[1:], int(asked or 0)))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    shutil.copytree(ROOT / "example_systems", folder / "example_systems")
    return folder


def shortened(block: Block) -> str:
    """The code as a user would run it, except that a training takes ten steps, on every tenth frame of its data."""
    if block.language == "python":
        return block.code
    code = re.sub(r"\.extxyz\.gz(?!@)", ".extxyz.gz@::10", block.code)
    return re.sub(r"steps: \d+", "steps: 10", code) if block.language == "yaml" else code


def run_in_a_process(block: Block, folder: Path) -> None:
    options = {"python": [sys.executable, "-W", "error", "-c"], "bash": ["bash", "-euo", "pipefail", "-c"]}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [*options[block.language], shortened(block)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.page}, line {block.line}:\n{done.stdout}\n{done.stderr}"


def run(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, where = shortened(block), f"{block.page}, line {block.line}"
    if block.language == "yaml":
        (folder / code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
        return
    of_dp_sim = commands(code) if block.language == "bash" else None
    if block in as_users_do() or (block.language == "bash" and of_dp_sim is None):
        run_in_a_process(block, folder)
        return
    monkeypatch.chdir(folder)
    if block.language == "python":
        exec(compile(code, where, "exec"), {"__name__": "__main__"})
    for words, asked in of_dp_sim or []:
        assert status(words) == asked, f"{where}: dp-sim {shlex.join(words)}"


@pytest.mark.parametrize("block", to_run(), ids=lambda b: f"{b.page}:{b.line}")
def test_block_runs(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, extra in (("openmm", "openmm"), ("tblite", "xtb")):
        if module in block.code:
            pytest.importorskip(module, reason=f"{block.page} uses the extra {extra} here", exc_type=ImportError)
    run(block, folder, monkeypatch)


def test_the_ways_are_there() -> None:
    """ASE, OpenMM, the command line and a notebook; what a block is, its fence says."""
    code = [block.code for block in to_run()]
    for word in ("DPCalculator", "create_force", "dp-sim opt", "vibrations(", "dp-sim train", *EXAMPLE_RUNS):
        assert any(word in block for block in code), word
    assert {block.language for block in blocks()} == LANGUAGES


@pytest.mark.parametrize("code", ["false | true\n", "dp-sim opt nothing.xyz --calculator emt\n"])
def test_a_block_that_fails_is_reported(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match=r"README\.md, line 7"):
        run(Block("README.md", "bash", code, 7), tmp_path, monkeypatch)


def test_what_only_a_shell_can_read() -> None:
    found = commands("# a comment\ndp-sim nvt a.xyz \\\n    -o 'a b' || test $? -eq 3\n")
    assert found == [(["nvt", "a.xyz", "-o", "a b"], 3)]
    for code in ("dp-sim info a.xyz | head\n", "python run.py\n", "dp-sim info *.xyz\n", "dp-sim info a.xyz || true\n"):
        assert commands(code) is None
