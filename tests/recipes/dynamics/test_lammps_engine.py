"""engine='lammps': the numbers of ASE, restarts, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from lammps_here import lammps_or_skip
from model_contract import assert_same
from refusals import refused
from systems import crystal, random_config, random_model

from dp_sim.model.model_file import save_model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import run_npt, run_nve, run_nvt
from dp_sim.recipes.dynamics.engines.ase_engine import ASEEngine
from dp_sim.recipes.dynamics.engines.lammps.engine import LammpsEngine
from dp_sim.recipes.dynamics.engines.protocol import Conditions, UnstableError
from dp_sim.recipes.dynamics.settings import NVTSettings
from dp_sim.recipes.dynamics.stages.stage_file import read_stages

EXAMPLES = Path(__file__).parents[3] / "example_systems"


@pytest.fixture(scope="module", autouse=True)
def lammps() -> None:
    lammps_or_skip()


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "random.pt"
    save_model(file, random_model(random_config()), random_config())
    return file


@pytest.fixture(scope="module")
def water() -> Atoms:
    return read(EXAMPLES / "water" / "water.extxyz")


CASES = {
    "triclinic": (crystal((True, True, True)), 2),
    "slab": (crystal((True, True, False)), 1),
    "molecule": (read(EXAMPLES / "ethanol" / "ethanol.extxyz"), 1),
}


@pytest.mark.parametrize("case", CASES)
def test_constant_energy_is_that_of_ase(model_file: Path, case: str) -> None:
    """Energies, pressures and positions, in the orientation of the structure; isotopes have masses of their own."""
    atoms, ranks = CASES[case]
    atoms = atoms.copy()
    if case == "molecule":
        masses = atoms.get_masses()
        masses[-1] = 2.014
        atoms.set_masses(masses)
    file = EXAMPLES / "ethanol" / "ethanol.pt" if case == "molecule" else model_file
    calculator = DPCalculator(file, dtype="float64")
    conditions = Conditions(timestep_fs=0.25, start_temperature_K=300, seed=4)
    engines = [
        ASEEngine.make(atoms, calculator, conditions),
        LammpsEngine.make(atoms, calculator, conditions, ranks=ranks),
    ]
    for steps in (0, 7, 10):
        for engine in engines:
            engine.run(steps)
        first, second = (engine.sample() for engine in engines)
        assert second.potential_eV == pytest.approx(first.potential_eV, abs=1e-6)
        assert second.kinetic_eV == pytest.approx(first.kinetic_eV, abs=1e-6)
        assert (first.volume_A3 is None) == (second.volume_A3 is None)
        if first.pressure_tensor_bar is not None:
            assert second.pressure_tensor_bar is not None
            scale = np.abs(first.pressure_tensor_bar).max()
            np.testing.assert_allclose(second.pressure_tensor_bar, first.pressure_tensor_bar, rtol=0, atol=1e-6 * scale)
    there, here = (engine.structure() for engine in engines)
    assert_same(here.positions, there.positions, 1e-8, "positions")
    assert_same(here.get_momenta(), there.get_momenta(), 1e-6, "momenta")
    assert engines[0].degrees_of_freedom == engines[1].degrees_of_freedom


@pytest.mark.parametrize("thermostat", ["none", "langevin", "bussi", "nose-hoover", "npt"])
def test_a_continued_run_goes_on(water: Atoms, thermostat: str) -> None:
    """The same numbers where no random ones are drawn; else from where it was."""
    pressed = thermostat == "npt"
    conditions = Conditions(
        timestep_fs=0.5,
        temperature_K=None if thermostat == "none" else 330,
        start_temperature_K=330,
        pressure_bar=1.0 if pressed else None,
        thermostat="nose-hoover" if pressed or thermostat == "none" else thermostat,
        seed=7,
    )
    calculator = DPCalculator(EXAMPLES / "water" / "water.pt", dtype="float64")
    engine = LammpsEngine.make(water, calculator, conditions)
    engine.run(10)
    state, then = engine.state(), engine.structure()
    engine.run(10)
    other = LammpsEngine.make(water, calculator, conditions)
    other.restore(state)
    assert_same(other.structure().positions, then.positions, 1e-12, "positions")
    other.run(10)
    if thermostat in ("langevin", "bussi"):
        assert np.abs(other.structure().positions - engine.structure().positions).max() < 0.1
        return
    assert_same(other.structure().positions, engine.structure().positions, 1e-9, "positions later")
    assert_same(other.structure().cell.array, engine.structure().cell.array, 1e-9, "cell")
    assert (engine.sample().volume_A3 != pytest.approx(water.get_volume())) == pressed


def test_the_recipes_run(water: Atoms, tmp_path: Path) -> None:
    """Files and resuming are those of every engine."""
    settings = {"temperature_K": 330, "engine": "lammps", "progress": False, "seed": 3, "timestep_fs": 0.5}
    model = EXAMPLES / "water" / "water.pt"
    result = run_nvt(water, model, steps=20, ranks=2, out=tmp_path / "nvt", **settings)
    assert result.engine == "lammps"
    assert [row.step for row in result.rows] == [0, 10, 20]
    longer = run_nvt(water, model, steps=30, ranks=2, out=tmp_path / "nvt", resume=True, **settings)
    assert [row.step for row in longer.rows] == [0, 10, 20, 30]
    pressed = run_npt(water, model, steps=20, thermostat="nose-hoover", pressure_bar=5000, **settings)
    assert pressed.rows[-1].volume_A3 < pressed.rows[0].volume_A3


def test_unstable_motion_is_told(water: Atoms) -> None:
    conditions = Conditions(timestep_fs=60.0, start_temperature_K=3000, seed=1)
    engine = LammpsEngine.make(water, DPCalculator(EXAMPLES / "water" / "water.pt"), conditions)

    def go_on() -> None:
        for _ in range(20):
            engine.run(10)
            engine.sample()

    with pytest.raises(UnstableError) as error:
        go_on()
    assert error.value.code == "motion-unstable"


def test_refused(water: Atoms, tmp_path: Path) -> None:
    model = EXAMPLES / "water" / "water.pt"
    settings = {"steps": 10, "engine": "lammps", "progress": False, "temperature_K": 300}
    with refused("engine-needs-our-model", "lammps", "EMT"):
        run_nve(water, EMT(), **settings)
    held = water.copy()
    held.set_constraint(FixAtoms([0]))
    with refused("constraint-unsupported", "lammps", "FixAtoms"):
        run_nve(held, model, **settings)
    with refused("cell-change-not-for-engine", "lammps", "flexible"):
        run_npt(water, model, thermostat="nose-hoover", cell_change="flexible", **settings)
    with refused("thermostat-without-barostat", "lammps", "langevin", "nose-hoover"):
        run_npt(water, model, **settings)
    with refused("option-not-for-engine", "ranks", "lammps"):
        run_nve(water, model, steps=10, ranks=2, progress=False)
    ramp = tmp_path / "heat.yaml"
    ramp.write_text(
        "stages:\n- {ensemble: nvt, steps: 10}\n"
        "- {name: heat, ensemble: nvt, steps: 10, thermostat: nose-hoover, temperature_K: [100, 300]}\n"
    )
    with refused("ramp-not-for-engine", "heat", "nose-hoover", "langevin"):  # before the first stage runs
        run_nvt(water, model, stages=ramp, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_stages_have_the_ranks_of_the_run(water: Atoms, tmp_path: Path) -> None:
    (tmp_path / "heat.yaml").write_text("stages:\n- {ensemble: nvt, steps: 10}\n- {ensemble: nve, steps: 10}\n")
    run = NVTSettings(steps=10, temperature_K=300, engine="lammps", ranks=2, timestep_fs=0.5)
    assert [one.settings.ranks for one in read_stages(str(tmp_path / "heat.yaml"), run)] == [2, 2]
