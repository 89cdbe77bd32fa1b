"""The documentation speaks of files, names and rooms that are there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for file in (ROOT / "CONTRIBUTING.md", ROOT / "README.md", *(ROOT / "docs").glob("**/*.md"))
    if "generated" not in file.parts and file.stem != "walkthroughs"  # that one invents modules
}
TOP = ("dp_sim/", "plugins/", "recipes/", "tests/", "benchmarks/", "example_systems/", "docs/")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    named = {name for name in re.findall(r"`([\w./-]+)`", PAGES[page]) if name.startswith(TOP)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_files_of_the_flow_exist() -> None:
    """The flow names them from inside dp_sim/."""
    flows = "".join(block for block in ARCHITECTURE.split("```")[1::2])
    named = set(re.findall(r"[a-z_]+/[\w/]+\.py", flows))
    assert len(named) > 15
    assert [name for name in sorted(named) if not ((ROOT / "dp_sim" / name).exists() or (ROOT / name).exists())] == []


def test_names_that_are_pointed_to_exist() -> None:
    """`NAME` (`file`): the file has that name."""
    pointed = re.findall(r"`(\w+)`\s+(?:there,\s+)?\(`((?:dp_sim|recipes|tests)/[\w./]+\.py)`\)", ARCHITECTURE)
    assert len(pointed) > 8
    missing = [(name, file) for name, file in pointed if not re.search(rf"\b{name}\b", (ROOT / file).read_text())]
    assert missing == []


def test_the_picture_has_the_rooms_of_the_linter() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = contracts[0]["layers"]
    picture = ARCHITECTURE.split("```text")[1].split("```")[0]
    order = re.findall(r"^(\w+) ", picture, re.MULTILINE)
    assert order == [*(layer for layer in layers if layer not in ("files", "errors", "units")), "ground"]
