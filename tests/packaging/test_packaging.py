"""What is on disk is what gets installed, and the import direction is enforced."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from dp_sim.compiled.library import register_operators

ROOT = Path(__file__).resolve().parents[2]
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


def test_every_template_is_listed() -> None:
    """package-data is listed by hand too: a page that is not listed works here and is missing in the wheel."""
    patterns = SETTINGS["tool"]["setuptools"]["package-data"]["dp_sim.recipes.results.page"]
    results = ROOT / "recipes" / "results" / "page"
    listed = {file for pattern in patterns for file in results.glob(pattern)}
    assert listed == {file for file in (results / "templates").iterdir() if file.is_file()}


def test_what_the_lammps_plugin_is_compiled_of_is_listed() -> None:
    """It is compiled where dp-sim is installed, from the wheel."""
    data = SETTINGS["tool"]["setuptools"]["package-data"]
    sources = ROOT / "plugins" / "lammps" / "pair_style"
    listed = {file for pattern in data["dp_sim.plugins.lammps"] for file in (ROOT / "plugins" / "lammps").glob(pattern)}
    assert listed == {file for file in sources.iterdir() if file.is_file()}
    assert all((ROOT / "dp_sim" / "compiled" / header).is_file() for header in data["dp_sim.compiled"])


def test_mapped_folders_are_found_without_an_installed_copy() -> None:
    """Links in dp_sim/ show type checkers and editors what setuptools maps there."""
    for name, folder in SETTINGS["tool"]["setuptools"]["package-dir"].items():
        link = ROOT / name.replace(".", "/")
        assert link.is_symlink(), f"{link} must be a link to {folder}"
        assert link.resolve() == ROOT / folder


def test_the_recipe_of_conda_asks_for_what_a_plain_installation_does() -> None:
    """Under the names that conda-forge has for them."""
    names = {"matplotlib": "matplotlib-base", "torch": "pytorch", "pytorch-optimizer": "pytorch_optimizer"}
    recipe = yaml.safe_load((ROOT / "packaging" / "conda" / "recipe.yaml").read_text())
    wanted = [f"python {SETTINGS['project']['requires-python']}"]
    for requirement in SETTINGS["project"]["dependencies"]:
        name, bound, version = requirement.partition(">=")
        wanted.append(f"{names.get(name, name)} {bound}{version}")
    assert sorted(recipe["requirements"]["run"]) == sorted(wanted)
    assert recipe["context"]["version"] == SETTINGS["project"]["version"]
    assert recipe["build"]["python"]["entry_points"] == [
        f"{name} = {target}" for name, target in SETTINGS["project"]["scripts"].items()
    ]


def test_where_there_is_a_compiler_there_are_operators() -> None:
    """A library that fails to compile is left out without an error, and tests of the compiled path skipped."""
    if shutil.which("g++") is None and find_spec("ziglang") is None:
        pytest.skip("neither g++ nor ziglang")
    assert register_operators() == ""


def test_linter_refuses_an_import_against_the_direction(tmp_path: Path) -> None:
    """core <- plugins <- recipes <- cli: one line against it in each folder must be an error."""
    wrong = {
        "dp_sim": "import openmm",
        "plugins": "import dp_sim.recipes.static.opt",
        "recipes": "import dp_sim.cli.main",
    }
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


def test_linter_refuses_a_slow_import_at_the_top_of_a_module() -> None:
    """The folders have settings of their own, which must not hide the list of slow packages."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID253", "--output-format", "concise"]
    for folder in ("dp_sim", "plugins", "recipes"):
        found = subprocess.run(
            [*command, "-", "--stdin-filename", str(ROOT / folder / "new_module.py")],
            input="import matplotlib.figure\n\n\ndef later():\n    import matplotlib.figure\n",
            text=True,
            capture_output=True,
            check=False,
        )
        assert found.stdout.count("TID253") == 1, found.stdout + found.stderr


def lint_imports(folder: Path, extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Lint a copy of the tree, with folders in place of links."""
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "kernels", "example_systems")
    shutil.copytree(ROOT / "dp_sim", folder / "dp_sim", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, line in extra.items():
        with (folder / file).open("a") as module:
            module.write(line + "\n")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run(
        [*command, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        text=True,
        capture_output=True,
        check=False,
    )


def test_rooms_import_in_one_direction_and_in_no_circle(tmp_path: Path) -> None:
    found = lint_imports(tmp_path, {})
    assert found.returncode == 0, found.stdout
    assert "0 broken" in found.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("dp_sim/structures/batch.py", "from dp_sim.datasets.frames import Frame", "structures is not allowed"),
        (
            "dp_sim/recipes/run/directory.py",
            "from dp_sim.recipes.static.opt import optimize",
            "recipes.run is not allowed",
        ),
        ("dp_sim/structures/checks.py", "from dp_sim.structures.batch import AtomicBatch", "No cycles are allowed"),
    ],
)
def test_an_import_against_the_direction_of_rooms_is_found(file: str, line: str, broken: str, tmp_path: Path) -> None:
    found = lint_imports(
        tmp_path,
        {file: line, "dp_sim/structures/batch.py": "from dp_sim.structures.checks import Structure"}
        if "checks" in file
        else {file: line},
    )
    assert found.returncode == 1
    assert broken in found.stdout


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    """So that what belongs together can be seen."""
    for root in ("dp_sim", "plugins", "recipes"):
        for folder in (ROOT / root, *(p for p in (ROOT / root).rglob("*") if p.is_dir())):
            modules = [file.name for file in folder.glob("*.py") if file.name != "__init__.py"]
            assert len(modules) <= 15, f"{folder}: {modules}"


def test_every_room_says_what_belongs_there() -> None:
    for root in ("dp_sim", "plugins", "recipes"):
        for init in (ROOT / root).rglob("__init__.py"):
            assert ast.get_docstring(ast.parse(init.read_text())), f"{init} has no docstring"


def test_names_of_the_front_door_complete() -> None:
    """They are imported on first use, so `dir` and type checkers must be told of them."""
    import dp_sim

    assert {"load_model", "train", "__version__"} <= set(dir(dp_sim))
    assert not [name for name in dir(dp_sim) if name not in dp_sim.__all__ and not name.startswith("__")]
    assert (Path(dp_sim.__file__).parent / "py.typed").is_file()
    assert "py.typed" in SETTINGS["tool"]["setuptools"]["package-data"]["dp_sim"]


def test_type_checkers_are_told_of_every_recipe() -> None:
    """The names are imported on first use, which no type checker follows: a block for it alone repeats them."""
    from dp_sim import recipes

    tree = ast.parse(Path(recipes.__file__).read_text())
    told = {
        name.asname: line.module
        for block in tree.body
        if isinstance(block, ast.If)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for name in line.names
    }
    assert told == {name: f"dp_sim.recipes.{module}" for name, module in recipes._EXPORTS.items()}
