"""What pair_style dp_sim refuses: each is an error of LAMMPS that names the thing, no crash and no other number."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ase import Atoms
from refusals import refused
from systems import random_config, random_model

from dp_sim.model.kernel_export import export_for_kernels
from dp_sim.model.model_file import save_model
from dp_sim.plugins.lammps import entry_point
from dp_sim.plugins.lammps.box import LammpsBox
from dp_sim.plugins.lammps.building import build_plugin
from dp_sim.plugins.lammps.evaluation import run_lammps
from dp_sim.plugins.lammps.installed import Lammps, find_lammps

SCRIPT = """
units metal
boundary p p p
atom_style {style}
box tilt large
read_data structure.lmp {read}
pair_style dp_sim model.dpsim
pair_coeff * * Cu H O
neighbor 1.0 bin
run 0
"""
NOT_REBUILT = "neigh_modify delay 1000 every 1000 check no\nvariable far atom 1e308*1e308"
HYBRID = "pair_style hybrid dp_sim model.dpsim lj/cut 3\npair_coeff * * dp_sim Cu H O\n"
OTHERS = "pair_coeff 1 * lj/cut 0 1\npair_coeff 2 3 none\n"
OURS = "pair_style dp_sim model.dpsim\npair_coeff * * Cu H O\n"
EXCLUDED = "group h type 2\nneigh_modify exclude group h all\nrun 0"
#: What replaces what in the script, and the words that LAMMPS must say.
CASES = {
    "no model": ("dp_sim model.dpsim", "dp_sim", ("needs a model file", "dp-sim export")),
    "no such file": ("model.dpsim", "absent.dpsim", ("absent.dpsim", "No such file")),
    "truncated file": ("model.dpsim", "truncated.dpsim", ("truncated.dpsim", "truncated")),
    "newer file": ("model.dpsim", "newer.dpsim", ("newer.dpsim", "upgrade dp-sim")),
    "the model file of training": ("model.dpsim", "model.pt", ("model.pt", "dp-sim export")),
    "committee of two kinds": ("dp_sim model.dpsim", "dp_sim model.dpsim wider.dpsim", ("wider.dpsim", "cutoff")),
    "unknown element": ("Cu H O", "Cu H Si", ("atom type 3", "'Si'", "H O Cu")),
    "an untrained element": ("model.dpsim", "partly.dpsim", ("atom type 1", "'Cu'", "no training data")),
    "types without an element": ("Cu H O", "Cu H", ("3 atom types", "got 2")),
    "NULL outside hybrid": ("Cu H O", "Cu H NULL", ("All pair coeffs are not set",)),
    "newton off": ("units metal", "units metal\nnewton off", ("newton on",)),
    "units lj": ("units metal", "units lj", ("units metal or real", "units lj")),
    "another model": ("run 0", "run 0\npair_style dp_sim wider.dpsim\nrun 0", ("All pair coeffs are not set",)),
    "excluded types": ("run 0", "neigh_modify exclude type 2 3\nrun 0", ("neigh_modify exclude type",)),
    "excluded group": ("run 0", EXCLUDED, ("neigh_modify exclude group",)),
    "included group": ("run 0", "group h type 2\natom_modify first h\nneigh_modify include h\nrun 0", ("include",)),
    "one spot": ("run 0", "set atom 2 x 1.0001 y 1 z 1\nrun 0", ("lie on one spot", "atom 1", "atom 2")),
    "hybrid, a pair for another style": (OURS, HYBRID + "pair_coeff 2 2 lj/cut 0 1\n", ("types 2 and 2", "overlay")),
    "hybrid, a pair for none": (OURS, HYBRID.replace("Cu", "NULL") + OTHERS, ("types 2 and 3",)),
    "not finite": ("run 0", f"run 0\n{NOT_REBUILT}\nset atom 2 x v_far\nrun 1 pre no", ("not finite", "atom 2")),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of all kinds, and a structure."""
    home = tmp_path_factory.mktemp("bad")
    content = members[0].with_suffix(".dpsim").read_bytes()
    (home / "model.pt").write_bytes(members[0].read_bytes())
    (home / "model.dpsim").write_bytes(content)
    (home / "truncated.dpsim").write_bytes(content[:-1000])
    (home / "newer.dpsim").write_bytes(content[:12] + b"\x07" + content[13:])
    for name, config, trained in (
        ("wider", random_config(cutoff=4.5), {}),
        ("partly", random_config(), {"trained_species": ["H", "O"]}),
    ):
        save_model(home / f"{name}.pt", random_model(config), config, training=trained)
        export_for_kernels(home / f"{name}.pt", home / f"{name}.dpsim")
    atoms = Atoms("OH2Cu", positions=[[1, 1, 1], [1.9, 1.3, 1], [0.7, 1.9, 1.1], [3, 4, 5]], cell=[9, 9, 9], pbc=True)
    LammpsBox(atoms).write(home / "structure.lmp", atoms, ["Cu", "H", "O"])
    bonded = (home / "structure.lmp").read_text().replace("3 atom types", "3 atom types\n2 bonds\n1 bond types")
    bonded = bonded.replace("Atoms # atomic", "Atoms # molecular")
    head, _, rows = bonded.partition("Atoms # molecular\n\n")
    rows = "\n".join(f"{w[0]} 1 {' '.join(w[1:])}" for w in map(str.split, rows.strip().splitlines()))
    (home / "bonded.lmp").write_text(f"{head}Atoms # molecular\n\n{rows}\n\nBonds\n\n1 1 1 2\n2 1 1 3\n")
    return home


@pytest.mark.parametrize("case", CASES)
def test_refused(lammps: Lammps, plugins: Path, folder: Path, case: str) -> None:
    old, new, words = CASES[case]
    script = SCRIPT.format(style="atomic", read="")
    assert script.count(old) >= 1
    with refused("lammps-failed", "ERROR", *words):
        run_lammps(lammps, plugins, script.replace(old, new, 1), folder)


def test_special_bonds_that_hide_neighbours(lammps: Lammps, plugins: Path, folder: Path) -> None:
    """The default of LAMMPS takes bonded neighbours out of the list; set to 1 they are there."""
    script = SCRIPT.format(style="molecular", read="extra/special/per/atom 2").replace("structure.lmp", "bonded.lmp")
    script = script.replace("read_data", "bond_style zero\nread_data") + "print 'energy $(pe:%.12g)'\n"
    script = script.replace("neighbor 1.0", "bond_coeff *\nneighbor 1.0")
    with refused("lammps-failed", "special_bonds"):
        run_lammps(lammps, plugins, script, folder)
    seen = run_lammps(lammps, plugins, script.replace("run 0", "special_bonds lj/coul 1 1 1\nrun 0"), folder)
    bare = run_lammps(lammps, plugins, SCRIPT.format(style="atomic", read="") + "print 'energy $(pe:%.12g)'\n", folder)
    energies = [next(line for line in printed.splitlines() if line.startswith("energy ")) for printed in (seen, bare)]
    assert energies[0] == energies[1]


def test_types_in_another_order_than_their_elements_are_told(lammps: Lammps, plugins: Path, folder: Path) -> None:
    printed = run_lammps(lammps, plugins, SCRIPT.format(style="atomic", read="").replace("Cu H O", "Cu O H"), folder)
    assert "atom type 2 is O by pair_coeff, and has a mass of 1.008: is it H?" in printed
    assert "is it" not in run_lammps(lammps, plugins, SCRIPT.format(style="atomic", read=""), folder)


def test_a_plugin_for_another_lammps_is_not_used(lammps: Lammps, folder: Path, tmp_path: Path) -> None:
    """Told before a class of another layout is made; the pair style is then unknown."""
    for other, words in ((replace(lammps, date="29 Aug 2024"), "LAMMPS 20240829, and this is LAMMPS 20250722"),):
        wrong = build_plugin(other, tmp_path)
        with refused("lammps-failed", "Unrecognized pair style 'dp_sim'"):
            run_lammps(lammps, wrong, SCRIPT.format(style="atomic", read=""), folder)
        assert words in (folder / "log.lammps").read_text()


def test_a_lammps_of_the_users_own(lammps: Lammps, tmp_path: Path) -> None:
    """What is missing is named; a LAMMPS without PLUGIN comes with the commands that build one."""
    said = subprocess.run(
        [lammps.program, "-h"], env=lammps.environment(tmp_path), capture_output=True, text=True, check=True
    ).stdout
    program = tmp_path / "lmp"

    def pretend(text: str) -> None:
        (tmp_path / "said").write_text(text)
        program.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'}\n")
        program.chmod(0o755)

    pretend(said)
    found = find_lammps(program, lammps.include, lammps.mpi_include)
    assert (found.version, found.defines, found.wheel) == (20250722, ("-DLAMMPS_SMALLBIG",), "")
    with refused("folder-missing", "-o FOLDER"):
        build_plugin(found)
    with refused("headers-missing", tmp_path, "pair.h"):
        find_lammps(program, tmp_path)
    with refused("lammps-incomplete", "--include"):
        find_lammps(program)
    pretend(said.replace(" PLUGIN ", " "))
    with refused("lammps-without-plugins", program, "cmake", "PKG_PLUGIN"):
        find_lammps(program, lammps.include)
    pretend("hello")
    with refused("lammps-does-not-run", program):
        find_lammps(program, lammps.include)
    with refused("lammps-does-not-run", "absent"):
        find_lammps(tmp_path / "absent", lammps.include)


def test_a_compiler_that_fails_is_quoted(lammps: Lammps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused("plugin-not-compiled", "mpi.h", "--mpi-include"):
        build_plugin(replace(lammps, mpi_include=tmp_path), tmp_path)
    monkeypatch.setenv("CXX", "absent++ -O1")
    with refused("compiler-missing", "absent++", "CXX"):
        build_plugin(lammps, tmp_path)
    monkeypatch.setenv("CXX", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("compiler-missing", "g++", "CXX"):
        build_plugin(lammps, tmp_path)


def test_where_lammps_looks_for_the_plugin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A plugin of another version is not loaded, and that is told; the entry point imports nothing heavy."""
    monkeypatch.setattr(entry_point, "plugin_folders", lambda: (tmp_path,))
    monkeypatch.setattr(entry_point.metadata, "version", lambda _: "2025.7.22.4.0")
    assert entry_point.plugin_directory() == str(tmp_path / "2025.7.22.4.0")
    (tmp_path / "2024.8.29.1.0").mkdir()
    (tmp_path / "2024.8.29.1.0" / entry_point.PLUGIN).write_bytes(b"")
    entry_point.plugin_directory()
    assert "2024.8.29.1.0, and this is 2025.7.22.4.0: run `dp-sim lammps` again" in capfd.readouterr().err
    code = "import dp_sim.plugins.lammps.entry_point as e, sys; e.plugin_directory(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
