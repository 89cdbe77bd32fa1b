"""dp-sim neb, ts and irc, one after the other: each starts from the files of the one before."""

import json

import pytest
from ase.build import add_adsorbate, fcc100
from ase.constraints import FixAtoms

from dp_sim.cli.main import status


def adatom(offset: tuple[float, float]):
    """A copper atom in one of the hollows of Cu(100), the lower layer held."""
    slab = fcc100("Cu", size=(2, 2, 2))
    add_adsorbate(slab, "Cu", 1.7, "hollow", offset=offset)
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    slab.info.clear()
    return slab


@pytest.fixture
def ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, offset in (("reactant", (0, 0)), ("product", (1, 0))):
        adatom(offset).write(f"{name}.extxyz")


def value(directory: str, name: str) -> float:
    with open(f"{directory}/result.json") as file:
        return json.load(file)["values"][name]["value"]


def test_neb_ts_irc_agree_on_the_barrier(ends):
    emt = ["--calculator", "emt", "-q"]
    assert status(["neb", "reactant.extxyz", "product.extxyz", *emt, "--images", "5", "-o", "neb"]) == 0
    assert status(["ts", "neb/highest.extxyz", *emt, "-o", "ts"]) == 0
    assert status(["irc", "ts/ts.extxyz", *emt, "-o", "irc"]) == 0
    barrier = value("irc", "barrier")
    assert barrier > 0.1
    assert value("neb", "barrier") == pytest.approx(barrier, abs=5e-3)
    assert value("irc", "reverse_barrier") == pytest.approx(barrier, abs=1e-3)
    assert value("ts", "lowest_frequency") == pytest.approx(value("irc", "imaginary_frequency"), rel=1e-3)
    # The directory holds what repeats the run.
    again = ["neb", "neb/input.extxyz@0", "neb/input.extxyz@1", "--config", "neb/config.yaml", "-q", "-o", "again"]
    assert status(again) == 0
    assert value("again", "barrier") == pytest.approx(value("neb", "barrier"), abs=1e-6)


def test_exit_status_of_bad_input_and_of_too_few_steps(ends, capsys, tmp_path):
    emt = ["--calculator", "emt", "-q"]
    assert status(["neb", "reactant.extxyz", "reactant.extxyz", *emt, "-o", "same"]) == 2
    assert "are the same structure" in capsys.readouterr().err
    assert status(["irc", "reactant.extxyz", *emt, "-o", "same"]) == 2
    assert "refine it first" in capsys.readouterr().err
    assert not (tmp_path / "same").exists()
    short = ["neb", "reactant.extxyz", "product.extxyz", *emt, "--images", "5", "--steps", "0", "--fmax", "1e-3"]
    assert status([*short, "-o", "short"]) == 3
    assert "allow more steps" in capsys.readouterr().err
