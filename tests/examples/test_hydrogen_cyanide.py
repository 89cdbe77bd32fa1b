"""The data of HCN -> HNC: the reference that ships is GFN2-xTB's, and no held-out structure is trained on."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from dp_sim.example_systems.expected import compare
from dp_sim.recipes import vibrations

FOLDER = Path(__file__).resolve().parents[2] / "example_systems" / "hydrogen_cyanide"


def test_the_reference_is_that_of_the_stationary_points() -> None:
    """Energies of the three structures and the mode of the saddle point give `reference.json` again."""
    tblite = pytest.importorskip("tblite.ase", reason="the reference is tblite's", exc_type=ImportError)
    reference = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
    hcn, hnc, saddle = (read(FOLDER / f"{name}.extxyz") for name in ("hcn", "hnc", "transition_state"))
    for atoms in (hcn, hnc, saddle):
        atoms.calc = tblite.TBLite(method="GFN2-xTB", accuracy=0.1, verbosity=0)
        assert np.abs(atoms.get_forces()).max() < 0.005
    energies = [atoms.get_potential_energy() for atoms in (hcn, hnc, saddle)]
    assert energies[2] - energies[0] == pytest.approx(reference["barrier"]["value"], abs=1e-4)
    assert energies[1] - energies[0] == pytest.approx(reference["reaction_energy"]["value"], abs=1e-4)
    modes = vibrations(saddle, saddle.calc, progress=False)
    assert modes.verdict == "transition state"
    assert modes.frequencies_cm1[0] == pytest.approx(reference["imaginary_frequency"]["value"], abs=2.0)


def test_the_committee_gives_the_rate_of_the_reference() -> None:
    """`run.py` finds what is expected, and PASS: GFN2-xTB's barrier to 2 meV, mode to 10 cm^-1, rate to 0.05."""
    script = run_path(str(FOLDER / "run.py"))
    rate = script["measured_rate"]()
    assert rate.verdict == "PASS", rate.reasons
    assert compare(FOLDER / "expected.json", script["numbers"](rate))
    reference = json.loads((FOLDER / "reference.json").read_text(encoding="utf-8"))
    within = {"barrier": 2e-3, "reaction_energy": 2e-3, "imaginary_frequency": 10.0, "log10_rate_constant": 0.05}
    for name, near in within.items():
        found = rate.to_dict()["values"][name]["value"]
        assert found == pytest.approx(reference[name]["value"], abs=near), name


def test_no_held_out_structure_is_trained_on() -> None:
    """Trajectories from the barrier start at images of the band, which are in train: there they stay."""
    splits = {split: read(FOLDER / f"{split}.extxyz.gz", ":") for split in ("train", "valid", "test")}
    assert [len(splits[split]) for split in ("train", "valid", "test")] == [1608, 181, 181]
    trained = np.array([distances(frame) for frame in splits["train"]])
    for split in ("valid", "test"):
        for frame in splits[split]:
            assert np.abs(trained - distances(frame)).max(axis=1).min() > 1e-4


def distances(atoms: Atoms) -> np.ndarray:
    """Compute the three distances (3,), Angstrom, of H, C and N in this order."""
    assert atoms.get_chemical_symbols() == ["H", "C", "N"]
    found: np.ndarray = atoms.get_all_distances()[np.triu_indices(3, 1)]
    return found
