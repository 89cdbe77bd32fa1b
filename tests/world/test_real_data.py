"""Published data sets in the folder beside the project: all read with the labels that they say they have."""

import os
from pathlib import Path

import numpy as np
import pytest

from dp_sim.datasets.findings import FindingCollector
from dp_sim.datasets.reading import read_all
from dp_sim.datasets.remarks import Remarks

FOLDER = Path(os.environ.get("DP_SIM_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def data(name: str) -> Path:
    file = FOLDER / name
    if not file.exists():
        pytest.skip(f"the published data set {name} is not in {FOLDER} ($DP_SIM_DATA)")
    return file


@pytest.mark.parametrize(
    ("name", "frames", "energy", "force", "labels"),
    [
        ("mlearn_Si_train.extxyz", 214, -295.49753016, -2.98187262, {"energy", "forces", "virial"}),
        ("mlearn_Mo_train.extxyz", 194, -569.56177802, 0.62737967, {"energy", "forces", "virial"}),
        ("mlearn_Cu_train.extxyz", 262, -426.29982847, 0.66566644, {"energy", "forces", "virial"}),
        ("rmd17_ethanol_train.extxyz", 1000, -4209.4657843064815, -4.15950961, {"energy", "forces"}),
        ("acac_train_300K.extxyz", 500, -9391.45554428476, 1.47339228, {"energy", "forces"}),
        ("tio2_aenet_1000.extxyz", 1000, -19960.6617326, 0.07592985, {"energy", "forces"}),
        ("water_dpkit_data_0.extxyz", 80, -29943.90625, 0.62199688, {"energy", "forces"}),
        ("rmd17_ethanol_isolated_atoms.extxyz", 4, -13.568422383046626, None, {"energy"}),
    ],
)
def test_labels_of_published_sets(name: str, frames: int, energy: float, force: float | None, labels: set[str]) -> None:
    """First energy and force as they stand in the text; nothing is odd in any of them; nothing goes unread."""
    remarks, collector = Remarks(), FindingCollector()
    read = read_all([data(name)], remarks=remarks)
    assert len(read) == frames
    assert read[0].energy == pytest.approx(energy, abs=1e-9)
    assert force is None or (read[0].forces is not None and read[0].forces[0, 0] == pytest.approx(force, abs=1e-9))
    assert {label for label in ("energy", "forces", "virial") if getattr(read[-1], label) is not None} == labels
    assert remarks.unread() == []
    for frame in read:
        collector.add(frame)
    assert [finding.kind for finding in collector.findings()] == []
    assert all(frame.isolated for frame in read) == ("isolated" in name)


def test_stress_and_virial_of_silicon_say_the_same() -> None:
    """The file has both; the virial in it is 9 numbers, row by row."""
    frame = read_all([f"{data('mlearn_Si_train.extxyz')}@0"])[0]
    expected = [[-4.856013507, 6.705076055, -3.998982613], [6.705076055, -7.108575592, -1.185190452]]
    assert frame.virial is not None
    np.testing.assert_allclose(frame.virial[:2], expected, atol=1e-8)
