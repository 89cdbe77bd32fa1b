"""A run that is interrupted, killed or lengthened ends as one that was not: the same numbers, the same files."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from random_model import write_random_model
from refusals import refused
from systems_dynamics import EinsteinCrystal, VolumeSpring, einstein_crystal

from dp_sim.recipes import run_npt, run_nve, run_nvt
from dp_sim.recipes.dynamics.engines.ensembles import CELL_CHANGES
from dp_sim.recipes.dynamics.npt import NPTResult
from dp_sim.recipes.dynamics.nve import NVEResult
from dp_sim.recipes.dynamics.nvt import NVTResult


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Drawing takes longer than these runs, and is tested with the recipes."""
    for result in (NVEResult, NVTResult, NPTResult):
        monkeypatch.setattr(result, "figures", lambda self: {})


def run_springs(recipe, out: Path, steps: int, **options):
    """Six atoms: on springs to their sites, or at constant pressure in a cell that is a spring of its volume."""
    atoms, calculator = einstein_crystal(6)
    if recipe is run_npt:
        atoms.set_cell([10, 10, 10])
        atoms.pbc = True
        calculator = VolumeSpring(bulk_modulus=0.02, volume=900.0)
    return recipe(
        atoms,
        calculator,
        temperature_K=300,
        timestep_fs=5,
        steps=steps,
        frame_every=20,
        out=out,
        progress=False,
        **options,
    )


@pytest.mark.parametrize("recipe", [run_nve, run_nvt, run_npt])
def test_a_lengthened_run_is_the_run_in_one_go(tmp_path, recipe):
    """Bit for bit: positions, table and trajectory, though the first part ends between two frames."""
    whole = run_springs(recipe, tmp_path / "whole", 60)
    run_springs(recipe, tmp_path / "parts", 30)
    parts = run_springs(recipe, tmp_path / "parts", 60, resume=True)
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
    assert np.array_equal(parts.atoms.get_momenta(), whole.atoms.get_momenta())
    assert np.array_equal(parts.atoms.cell, whole.atoms.cell)
    for name in ("thermo.csv", "trajectory.extxyz"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


class Interrupting(EinsteinCrystal):
    """Sends this process a signal in the middle of a step."""

    at_call, number, calls = 120, signal.SIGINT, 0

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.calls += 1
        if self.calls == self.at_call:
            os.kill(os.getpid(), self.number)


# The same recipe under the same name: the directory belongs to one calculator.
Interrupting.__qualname__, Interrupting.__module__ = EinsteinCrystal.__qualname__, EinsteinCrystal.__module__


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_to_continue(tmp_path, number):
    atoms, calculator = einstein_crystal(3)
    settings = {"temperature_K": 300, "steps": 300, "timestep_fs": 5, "frame_every": 20, "progress": False}
    whole = run_nvt(atoms, calculator, out=tmp_path / "whole", **settings)
    interrupting = Interrupting(calculator.sites)
    interrupting.number = number
    with pytest.raises(KeyboardInterrupt):
        run_nvt(atoms, interrupting, out=tmp_path / "cut", **settings)
    assert not (tmp_path / "cut" / "result.json").exists()
    lines = (tmp_path / "cut" / "thermo.csv").read_text().splitlines()
    assert 5 < len(lines) < 20
    continued = run_nvt(atoms, calculator, out=tmp_path / "cut", resume=True, **settings)
    assert np.array_equal(continued.atoms.positions, whole.atoms.positions)
    assert (tmp_path / "cut" / "thermo.csv").read_bytes() == (tmp_path / "whole" / "thermo.csv").read_bytes()


def test_what_was_written_after_the_checkpoint_is_cut_off(tmp_path):
    """As after a power failure: lines and half a frame beyond the checkpoint."""
    whole = run_springs(run_nvt, tmp_path / "whole", 60)
    run_springs(run_nvt, tmp_path / "dead", 40)
    for name in ("thermo.csv", "trajectory.extxyz"):
        with (tmp_path / "dead" / name).open("a") as file:
            file.write("50,0.1,3")
    continued = run_springs(run_nvt, tmp_path / "dead", 60, resume=True)
    assert np.array_equal(continued.atoms.positions, whole.atoms.positions)
    assert [row.step for row in continued.rows] == list(range(0, 61, 10))


def test_a_run_without_a_checkpoint_starts_over(tmp_path):
    whole = run_springs(run_nvt, tmp_path / "whole", 40)
    run_springs(run_nvt, tmp_path / "dead", 40)
    (tmp_path / "dead" / "checkpoint.npz").unlink()
    again = run_springs(run_nvt, tmp_path / "dead", 40, resume=True)
    assert np.array_equal(again.atoms.positions, whole.atoms.positions)
    assert len(again.rows) == 5


def test_damage_is_told(tmp_path):
    run_springs(run_nvt, tmp_path / "run", 40)
    checkpoint = tmp_path / "run" / "checkpoint.npz"
    content = checkpoint.read_bytes()
    (tmp_path / "run" / "thermo.csv").write_text("step\n")
    with refused("file-damaged", "thermo.csv"):
        run_springs(run_nvt, tmp_path / "run", 60, resume=True)
    checkpoint.write_bytes(content[:100])
    with refused("file-damaged", "checkpoint.npz", "--overwrite"):
        run_springs(run_nvt, tmp_path / "run", 60, resume=True)


def test_another_run_is_not_continued(tmp_path):
    run_springs(run_nvt, tmp_path / "run", 40)
    with refused("run-differs", "friction_per_ps"):
        run_springs(run_nvt, tmp_path / "run", 60, resume=True, friction_per_ps=1.0)
    # A setting that came later: the run had its default.
    config = tmp_path / "run" / "config.yaml"
    older = config.read_text().replace("replicas: 1\n", "")
    assert older != config.read_text()
    config.write_text(older)
    with refused("run-differs", "replicas: 1, this one has 2"):
        run_springs(run_nvt, tmp_path / "run", 60, resume=True, replicas=2)
    assert run_springs(run_nvt, tmp_path / "run", 60, resume=True).rows[-1].step == 60


def deuterated(atoms: Atoms) -> None:
    atoms.set_masses(
        [2.014 if number == 1 else mass for number, mass in zip(atoms.numbers, atoms.get_masses(), strict=True)]
    )


def with_momenta(atoms: Atoms) -> None:
    atoms.set_momenta(np.full((3, 3), 0.1))


@pytest.fixture(scope="module", params=["ase", "openmm"])
def run_of_water(request, tmp_path_factory):
    """A function that continues a finished run of a water molecule on this engine, with what is changed in it."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = {"temperature_K": 300, "engine": request.param, "sample_every": 5, "frame_every": 5, "progress": False}
    if request.param == "openmm":
        pytest.importorskip("openmm", reason="the extra 'openmm' is not installed")
        settings |= {"platform": "Reference", "backend": "python"}
    models = [write_random_model(folder / f"{seed}.pt", seed=seed) for seed in (1, 2)]

    def run(change=None, *, other_model: bool = False, steps: int = 20, **changed) -> None:
        water = molecule("H2O")
        if change is not None:
            change(water)
        run_nvt(water, models[other_model], steps=steps, out=folder / "run", **{**settings, **changed})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NVTResult, "figures", lambda self: {})
        run(steps=10)
    return functools.partial(run, resume=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (deuterated, "masses"),
        (lambda atoms: atoms.set_initial_charges([0.4, -0.2, -0.2]), "charges on atoms"),
        (lambda atoms: atoms.set_initial_magnetic_moments([1, 0, 0]), "magnetic moments"),
        (lambda atoms: atoms.info.update(charge=0), "total charge or spin"),
        (lambda atoms: atoms.set_constraint(FixAtoms([0])), "constraints"),
        (with_momenta, "momenta"),
    ],
)
def test_another_structure_is_not_continued(run_of_water, change, named):
    """Each part of it that the motion may feel, by its name: masses decide over every vibration."""
    with refused("run-differs", f"its {named} differ"):
        run_of_water(change)


def test_another_model_or_another_setting_of_the_masses_is_not_continued(run_of_water):
    """By its own name, not that of the time step which follows from the masses."""
    with refused("run-differs", "model"):
        run_of_water(other_model=True)
    with refused("run-differs", "hydrogen_mass_amu", "3.0"):
        run_of_water(hydrogen_mass_amu=3.0)
    run_of_water()  # unchanged, it goes on


def test_another_parameter_of_the_calculator_is_not_continued(tmp_path):
    def run(**options):
        copper = bulk("Cu") * (2, 1, 1)
        calculator = EMT(asap_cutoff=options.pop("asap_cutoff", False))
        run_nvt(copper, calculator, temperature_K=300, steps=20, out=tmp_path / "run", progress=False, **options)

    run()
    with refused("run-differs", "asap_cutoff", "True"):
        run(asap_cutoff=True, resume=True)
    run(resume=True)


def test_another_thermostat_or_change_of_the_cell_is_not_continued(tmp_path):
    run_springs(run_npt, tmp_path / "run", 40)
    with refused("run-differs", "thermostat", "langevin", "nose-hoover"):
        run_springs(run_npt, tmp_path / "run", 60, resume=True, thermostat="nose-hoover")
    with refused("run-differs", "cell_change", "isotropic", "flexible"):
        run_springs(run_npt, tmp_path / "run", 60, resume=True, cell_change="flexible")


def test_a_table_without_the_pressure_tensor_is_continued_as_it_is(tmp_path):
    """As earlier versions wrote it: its columns stay, and the run is the same."""
    whole = run_springs(run_npt, tmp_path / "whole", 60)
    run_springs(run_npt, tmp_path / "parts", 30)
    table, checkpoint = tmp_path / "parts" / "thermo.csv", tmp_path / "parts" / "checkpoint.npz"
    lines = [line.split(",")[:9] for line in table.read_text().splitlines()]
    table.write_text("".join(",".join(line) + "\n" for line in lines))
    with np.load(checkpoint) as archive:
        state = dict(archive)
    state["dp_sim_sizes"][0] = table.stat().st_size
    np.savez(checkpoint, **state)
    parts = run_springs(run_npt, tmp_path / "parts", 60, resume=True)
    np.testing.assert_allclose(parts.series("pressure_bar"), whole.series("pressure_bar"), rtol=1e-11)
    assert {len(line.split(",")) for line in table.read_text().splitlines()} == {9}


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        (run_nvt, {"thermostat": "bussi"}),
        (run_nvt, {"thermostat": "nose-hoover"}),
        *((run_npt, {"thermostat": "nose-hoover", "cell_change": change}) for change in CELL_CHANGES),
        *((run_npt, {"thermostat": "langevin", "cell_change": change}) for change in CELL_CHANGES[1:]),
    ],
)
def test_every_thermostat_and_barostat_restarts_exactly(tmp_path, recipe, settings):
    """Bit for bit, the energy that the equations of motion conserve included."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=1)
    settings = settings | {"temperature_K": 300, "timestep_fs": 4, "frame_every": 10, "progress": False}
    whole = recipe(atoms, EMT(), steps=40, out=tmp_path / "whole", **settings)
    recipe(atoms, EMT(), steps=20, out=tmp_path / "parts", **settings)
    parts = recipe(atoms, EMT(), steps=40, out=tmp_path / "parts", resume=True, **settings)
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
    assert np.array_equal(parts.atoms.get_momenta(), whole.atoms.get_momenta())
    assert np.array_equal(parts.atoms.cell, whole.atoms.cell)
    for name in ("thermo.csv", "trajectory.extxyz"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_copper_under_pressure_restarts_exactly(tmp_path):
    """The barostat's last force is part of the state: where atoms feel forces, it cannot be had from the momenta."""
    atoms = bulk("Cu") * (2, 1, 1)
    atoms.rattle(0.05, seed=1)
    settings = {"temperature_K": 300, "pressure_bar": 100, "frame_every": 10, "progress": False}
    whole = run_npt(atoms, EMT(), steps=40, out=tmp_path / "whole", **settings)
    run_npt(atoms, EMT(), steps=20, out=tmp_path / "parts", **settings)
    parts = run_npt(atoms, EMT(), steps=40, out=tmp_path / "parts", resume=True, **settings)
    assert parts.atoms.get_volume() == whole.atoms.get_volume()
    assert np.array_equal(parts.atoms.positions, whole.atoms.positions)
