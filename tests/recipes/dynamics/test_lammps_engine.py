"""engine='lammps': the numbers of ASE, restarts, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
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
from dp_sim.recipes.dynamics.engines.protocol import Conditions, Ramp, UnstableError
from dp_sim.recipes.dynamics.settings import NVTSettings
from dp_sim.recipes.dynamics.stages.stage_file import read_stages
from dp_sim.units import KB_EV_PER_K

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


def held(atoms: Atoms) -> Atoms:
    """Fix two atoms, which are not neighbours in the file."""
    atoms.set_constraint(FixAtoms([0, 2]))
    return atoms


CASES = {
    "triclinic": (crystal((True, True, True)), 2),
    "slab": (crystal((True, True, False)), 1),
    "fixed atoms": (held(crystal((True, True, True))), 2),
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


@pytest.mark.parametrize("thermostat", ["none", "langevin", "bussi", "nose-hoover", "npt", "flexible, ramp"])
def test_a_continued_run_goes_on(water: Atoms, thermostat: str) -> None:
    """The same numbers where no random ones are drawn; else from where it was."""
    pressed = thermostat in ("npt", "flexible, ramp")
    conditions = Conditions(
        timestep_fs=0.5,
        temperature_K=None if thermostat == "none" else 330,
        start_temperature_K=330,
        pressure_bar=1.0 if pressed else None,
        cell_change="flexible" if thermostat == "flexible, ramp" else "isotropic",
        ramp=Ramp(600.0, 3000.0, 20) if thermostat == "flexible, ramp" else None,
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


SHAPES = {
    "membrane": lambda a, b, c: a == pytest.approx(b) != pytest.approx(c),
    "anisotropic": lambda a, b, c: len({round(length, 6) for length in (a, b, c)}) == 3,
    "flexible": lambda a, b, c: len({round(length, 6) for length in (a, b, c)}) == 3,
}


@pytest.mark.parametrize("change", SHAPES)
def test_the_cell_changes_as_asked(water: Atoms, change: str) -> None:
    """What the equations of motion conserve stays, and so do shapes that are held."""
    conditions = Conditions(
        timestep_fs=0.5,
        temperature_K=330,
        pressure_bar=20000.0,
        thermostat="nose-hoover",
        thermostat_time_fs=20,
        cell_change=change,
        seed=3,
    )
    engine = LammpsEngine.make(water, DPCalculator(EXAMPLES / "water" / "water.pt"), conditions)
    samples = [engine.sample()]
    for _ in range(5):
        engine.run(10)
        samples.append(engine.sample())
    conserved, total = (
        np.ptp([value(one) for one in samples])
        for value in (lambda one: one.conserved_eV, lambda one: one.potential_eV + one.kinetic_eV)
    )
    assert conserved < 0.1 * total
    *lengths, alpha, beta, gamma = engine.structure().cell.cellpar()
    assert SHAPES[change](*(length / before for length, before in zip(lengths, water.cell.lengths(), strict=True)))
    assert (np.abs(np.array([alpha, beta, gamma]) - 90).min() > 1e-4) == (change == "flexible")
    assert np.array_equal(samples[-1].cell_A, engine.structure().cell.array)


@pytest.mark.parametrize(("thermostat", "compute"), [("bussi", "thermostat"), ("nose-hoover", "integrate")])
def test_a_thermostat_counts_what_moves(water: Atoms, thermostat: str, compute: str) -> None:
    """Its temperature is that of the recipes, 2 K / f k_B, with fixed atoms and without."""
    for fixed in ([], [0, 5, 6]):
        atoms = water.copy()
        atoms.set_constraint(FixAtoms(fixed) if fixed else None)
        conditions = Conditions(timestep_fs=0.5, temperature_K=300, thermostat=thermostat, seed=1)
        engine = LammpsEngine.make(atoms, DPCalculator(EXAMPLES / "water" / "water.pt"), conditions)
        engine.run(3)
        assert np.array_equal(engine.structure().positions[fixed], water.positions[fixed])
        said = engine._do([f'print "it is $(c_{compute}_temp:%.17g)"'])
        temperature = 2 * engine.sample().kinetic_eV / (engine.degrees_of_freedom * KB_EV_PER_K)
        assert float(said[-1].split()[-1]) == pytest.approx(temperature, rel=1e-5)


@pytest.mark.parametrize("thermostat", ["langevin", "bussi", "nose-hoover"])
def test_a_ramp_heats(water: Atoms, thermostat: str) -> None:
    """By LAMMPS's own linear targets: half of the way at half of the time."""
    conditions = Conditions(
        timestep_fs=0.5, temperature_K=100, friction_per_ps=100, thermostat_time_fs=10, thermostat=thermostat, seed=2
    )
    conditions = replace(conditions, ramp=Ramp(900.0, None, 160))
    engine = LammpsEngine.make(water, DPCalculator(EXAMPLES / "water" / "water.pt"), conditions)
    found = []
    for step in range(0, 160, 10):
        engine.retarget(conditions.at(step))
        engine.run(10)
        found.append(2 * engine.sample().kinetic_eV / (engine.degrees_of_freedom * KB_EV_PER_K))
    assert np.polyfit(np.arange(10, 170, 10) / 160, found, 1)[0] == pytest.approx(800, abs=250)


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


def test_refused(water: Atoms) -> None:
    model = EXAMPLES / "water" / "water.pt"
    settings = {"steps": 10, "engine": "lammps", "progress": False, "temperature_K": 300}
    with refused("engine-needs-our-model", "lammps", "EMT"):
        run_nve(water, EMT(), **settings)
    with refused("option-not-for-engine", "rigid_bonds", "openmm"):
        run_nve(water, model, rigid_bonds="hydrogen", **settings)
    leaning = water.copy()
    leaning.cell[2, 0] = 1.0
    for change in ("anisotropic", "membrane"):
        with refused("cell-not-orthogonal", change, "flexible"):
            run_npt(leaning, model, thermostat="nose-hoover", cell_change=change, **settings)
    with refused("thermostat-without-barostat", "lammps", "langevin", "nose-hoover"):
        run_npt(water, model, **settings)
    with refused("option-not-for-engine", "ranks", "lammps"):
        run_nve(water, model, steps=10, ranks=2, progress=False)


def test_stages_have_the_ranks_of_the_run(water: Atoms, tmp_path: Path) -> None:
    (tmp_path / "heat.yaml").write_text("stages:\n- {ensemble: nvt, steps: 10}\n- {ensemble: nve, steps: 10}\n")
    run = NVTSettings(steps=10, temperature_K=300, engine="lammps", ranks=2, timestep_fs=0.5)
    assert [one.settings.ranks for one in read_stages(str(tmp_path / "heat.yaml"), run)] == [2, 2]
