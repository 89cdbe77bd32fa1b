"""Labels, members and learning by the workers of a Dask scheduler: the same as without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
import yaml
from ase.build import molecule
from ase.calculators.emt import EMT
from copper_cluster import SETTINGS, cluster
from refusals import refused

from dp_sim.recipes import label_structures, learn
from dp_sim.recipes.models.train import train

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler on the loopback interface, with a worker of two threads, in this process."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as found:
        yield found.scheduler_address


def rattled(count: int) -> list[ase.Atoms]:
    rng, structures = np.random.default_rng(1), []
    for _ in range(count):
        atoms = cluster()
        atoms.positions += rng.normal(scale=0.1, size=(4, 3))
        structures.append(atoms)
    return structures


def test_labels(address: str, tmp_path: Path) -> None:
    structures = [molecule(name) for name in ("H2O", "CO", "N2", "CH4")]
    by_dask = {"engine": "dask", "scheduler": address, "workers": 2}
    label_structures(structures, EMT(), tmp_path / "here.extxyz")
    label_structures(structures, EMT(), tmp_path / "there.extxyz", **by_dask)
    assert (tmp_path / "there.extxyz").read_text() == (tmp_path / "here.extxyz").read_text()


def test_members(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    structures = rattled(6)
    for atoms in structures:
        atoms.calc = EMT()
        atoms.get_forces()
    ase.io.write(tmp_path / "copper.extxyz", structures)
    monkeypatch.chdir(tmp_path)
    settings = {**SETTINGS, "data": {"train": ["copper.extxyz"]}}
    there = train(settings, out="there", members=2, progress=False, engine="dask", scheduler=address)
    for seed, other in enumerate(there.model.modules):
        alone = train(settings, out=f"alone-{seed}", seed=seed, progress=False).model.module
        for name, values in alone.state_dict().items():
            assert values.equal(other.state_dict()[name]), name
    assert [run.name for run in sorted((tmp_path / "there").glob("member-*"))] == ["member-0", "member-1"]
    with refused("option-not-for-one-model", "members"):
        train(settings, out="one", engine="dask", scheduler=address, progress=False)
    with refused("choice-unknown", "did you mean 'dask'"):
        train(settings, out="one", members=2, engine="dsk", progress=False)
    assert not (tmp_path / "one").exists()


def test_learning(address: str, tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(SETTINGS))
    usual: dict[str, Any] = {
        "temperature_K": 600, "steps": 20, "threshold": 0.05, "timestep_fs": 2.0, "train_steps": 10, "picks": 2,
        "frame_every": 10, "max_labels": 8, "first": 4, "members": 2, "progress": False,
        "train": tmp_path / "train.yaml",
    }  # fmt: skip
    learn(cluster(), None, "emt", **usual, out=tmp_path / "here")
    learn(cluster(), None, "emt", **usual, out=tmp_path / "there", engine="dask", scheduler=address, workers=2)
    for name in ("labels.extxyz", "trajectory.extxyz", "uncertainty.csv"):
        assert (tmp_path / "there" / name).read_text() == (tmp_path / "here" / name).read_text(), name
