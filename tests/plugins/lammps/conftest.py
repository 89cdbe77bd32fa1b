"""A plugin that is compiled once a session, and float64 models of the structures in `systems`."""

from pathlib import Path

import pytest
from lammps_here import lammps_or_skip
from systems import random_config, random_model

from dp_sim.model.kernel_export import export_for_kernels
from dp_sim.model.model_file import save_model
from dp_sim.plugins.lammps.building import build_plugin
from dp_sim.plugins.lammps.installed import Lammps


@pytest.fixture(scope="session")
def lammps() -> Lammps:
    return lammps_or_skip()


@pytest.fixture(scope="session")
def plugins(lammps: Lammps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_plugin(lammps, tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three model files of one architecture, each with its .dpsim beside it."""
    folder = tmp_path_factory.mktemp("models")
    config = random_config()
    files = [folder / f"m{seed}.pt" for seed in range(3)]
    for seed, file in enumerate(files):
        save_model(file, random_model(config, seed), config)
        export_for_kernels(file, file.with_suffix(".dpsim"))
    return files
