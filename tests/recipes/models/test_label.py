"""Labelling: every structure gets the calculator's own numbers, and an interrupted run goes on."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read
from refusals import refused

from dp_sim.datasets.reading import read_frames
from dp_sim.recipes import label_structures

STRUCTURES = [molecule("H2O"), bulk("Cu", cubic=True), molecule("CO"), molecule("N2")]


class Counting(EMT):
    """Counts its evaluations and is interrupted at one of them."""

    def __init__(self, interrupt_at: int = 0):
        super().__init__()
        self.calls, self.interrupt_at = 0, interrupt_at

    def calculate(self, *arguments, **options):
        self.calls += 1
        if self.calls == self.interrupt_at:
            raise KeyboardInterrupt
        super().calculate(*arguments, **options)


def test_labels_are_those_of_the_calculator(tmp_path):
    labelled = label_structures(STRUCTURES, EMT(), tmp_path / "out.extxyz")
    assert (labelled.continued, labelled.failed) == (0, {})
    for atoms, frame in zip(STRUCTURES, read(tmp_path / "out.extxyz", index=":"), strict=True):
        reference = atoms.copy()
        reference.calc = EMT()
        assert frame.get_potential_energy() == pytest.approx(reference.get_potential_energy(), abs=1e-8)
        np.testing.assert_allclose(frame.get_forces(), reference.get_forces(), atol=1e-7)
    assert [file.name for file in tmp_path.iterdir()] == ["out.extxyz"]


def test_an_interrupted_labelling_continues(tmp_path):
    out = tmp_path / "out.extxyz"
    with pytest.raises(KeyboardInterrupt):
        label_structures(STRUCTURES, Counting(interrupt_at=3), out)
    assert not out.exists()
    with refused("run-unfinished", "--resume"):
        label_structures(STRUCTURES, EMT(), out)
    with refused("run-differs"):
        label_structures(STRUCTURES[::-1], Counting(), out, resume=True)
    second = Counting()
    labelled = label_structures(STRUCTURES, second, out, resume=True)
    assert labelled.continued == 2
    assert second.calls == 2
    whole = label_structures(STRUCTURES, EMT(), tmp_path / "whole.extxyz")
    assert out.read_text() == (tmp_path / "whole.extxyz").read_text()
    assert len(whole.frames) == 4


def test_a_structure_that_fails_is_left_out_and_named(tmp_path):
    labelled = label_structures([STRUCTURES[0], Atoms("U")], EMT(), tmp_path / "out.extxyz")
    assert list(labelled.failed) == [1]
    assert "structure 1 (U)" in labelled.failed[1]
    assert len(read(tmp_path / "out.extxyz", index=":")) == 1


def test_without_a_file_the_labels_are_those_of_one(tmp_path):
    labelled = label_structures(STRUCTURES, EMT(), progress=False)
    written = label_structures(STRUCTURES, EMT(), tmp_path / "out.extxyz", progress=False)
    for ours, theirs in zip(labelled.frames, written.frames, strict=True):
        assert ours.info == theirs.info == {}
        assert ours.get_potential_energy() == theirs.get_potential_energy()
        np.testing.assert_array_equal(ours.get_forces(), theirs.get_forces())


def test_nothing_is_written_when_nothing_can_be_labelled(tmp_path):
    with refused("labels-failed"):
        label_structures([Atoms("U")], EMT(), tmp_path / "out.extxyz")
    assert list(tmp_path.iterdir()) == []
    with refused("structures-missing"):
        label_structures([], EMT(), tmp_path / "out.extxyz")


def test_an_existing_file_needs_overwrite(tmp_path):
    out = tmp_path / "out.extxyz"
    out.write_text("precious")
    with refused("target-exists"):
        label_structures(STRUCTURES, EMT(), out)
    assert out.read_text() == "precious"
    label_structures(STRUCTURES, EMT(), out, overwrite=True)
    assert len(read(out, index=":")) == 4


def test_a_folder_that_is_absent_is_refused_before_the_work(tmp_path):
    calculator = Counting()
    with refused("target-not-writable"):
        label_structures(STRUCTURES, calculator, tmp_path / "absent" / "out.extxyz")
    assert calculator.calls == 0


def test_labels_that_the_structures_had_do_not_stay_beside_the_new_ones(tmp_path, caplog):
    """In hartree, under MACE's names: read back, the file has EMT's energies, and nothing to choose from."""
    atoms = molecule("CO")
    atoms.info.update({"REF_energy": -113.0, "energy-unit": "hartree", "config_weight": 2.0})
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    label_structures([atoms], EMT(), tmp_path / "out.extxyz", progress=False)
    (frame,) = read_frames(tmp_path / "out.extxyz")
    expected = molecule("CO")
    expected.calc = EMT()
    assert frame.energy == pytest.approx(expected.get_potential_energy(), abs=1e-6)
    assert frame.weights.energy == 2.0
    assert all(name in caplog.text for name in ("REF_energy", "REF_forces", "energy-unit"))
    assert "REF_energy" in atoms.info
