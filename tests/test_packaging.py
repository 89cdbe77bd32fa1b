"""What is on disk is what gets installed, and the import direction is enforced."""

import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from dp_sim.fused import register_operators

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_folder_is_listed() -> None:
    """packages are listed by hand, so a new folder could silently be left out of the wheel."""
    homes = {"dp_sim": ROOT / "dp_sim", "dp_sim.plugins": ROOT / "plugins", "dp_sim.recipes": ROOT / "recipes"}
    homes["dp_sim.example_systems"] = ROOT / "example_systems"
    on_disk = {
        ".".join([name, *init.parent.relative_to(home).parts])
        for name, home in homes.items()
        for init in home.rglob("__init__.py")
    }
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == on_disk


def test_where_there_is_a_compiler_there_are_operators() -> None:
    """A library that fails to compile is left out without an error, and the tests of the fast path would be skipped."""
    if shutil.which("g++") is None and find_spec("ziglang") is None:
        pytest.skip("neither g++ nor ziglang")
    assert register_operators() == ""


def test_linter_refuses_an_import_against_the_direction(tmp_path: Path) -> None:
    """core <- plugins <- recipes <- cli: one line against it in each folder must be an error."""
    wrong = {"dp_sim": "import openmm", "plugins": "import dp_sim.recipes.opt", "recipes": "import dp_sim.cli.main"}
    for folder, line in wrong.items():
        command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", "-"]
        found = subprocess.run(
            [*command, "--stdin-filename", str(ROOT / folder / "new_module.py")],
            input=line + "\n",
            text=True,
            capture_output=True,
            check=False,
        )
        assert found.returncode == 1, found.stdout + found.stderr
        assert "TID251" in found.stdout


def test_import_of_the_package_is_light() -> None:
    """`import dp_sim` and the command line's help must not wait for torch."""
    code = "import sys, dp_sim, dp_sim.cli.main; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
