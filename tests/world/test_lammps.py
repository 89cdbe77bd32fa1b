"""Dumps and a log that LAMMPS (22 Jul 2025) wrote for lammps/in.lmp: the quick reader against ASE's, and pressures."""

from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from refusals import refused

from dp_sim.recipes import analyse
from dp_sim.recipes.analysis.reading import read_source
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.analysis.trajectory.lammps_dump import DumpFrames
from dp_sim.recipes.analysis.trajectory.lammps_log import read_log

FOLDER = Path(__file__).parent / "lammps"
TYPES = ("Ar", "Ne")
LOG = str(FOLDER / "log.lammps")


def source_of(name, **settings):
    return read_source(FOLDER / name, AnalyseSettings.check(settings))


@pytest.mark.parametrize(("name", "types", "quick"), [
    ("stated.lammpstrj", TYPES, True),
    ("unwrapped.lammpstrj", TYPES, True),
    ("elements.lammpstrj", (), False),
])  # fmt: skip
def test_the_quick_reader_gives_what_ase_gives(name, types, quick):
    ours = DumpFrames(FOLDER / name, types, "metal")
    options = {"specorder": list(types)} if types else {}
    theirs = read(FOLDER / name, index=":", format="lammps-dump-text", units="metal", **options)
    assert len(ours) == len(theirs) == 4
    assert ours._quick == quick
    for one, other in zip(ours, theirs, strict=True):
        assert one.info == other.info
        assert one.arrays.keys() == other.arrays.keys()
        for kind in one.arrays:
            assert np.array_equal(one.arrays[kind], other.arrays[kind]), kind
        assert np.array_equal(one.cell.array, other.cell.array)
        assert np.array_equal(one.get_celldisp(), other.get_celldisp())
        assert one.pbc.all()
        assert (one.calc is None) == (other.calc is None)
        if one.calc is not None:
            assert np.array_equal(one.get_forces(), other.get_forces())


def test_units_and_times_that_a_dump_states_are_used():
    source = source_of("stated.lammpstrj", types=TYPES)
    assert source.frame_ps == pytest.approx(0.02)
    with refused("units-contradicted", "metal", "real"):
        source_of("stated.lammpstrj", types=TYPES, units="real")
    with refused("time-contradicted", "20 fs", "10 fs"):
        source_of("stated.lammpstrj", types=TYPES, timestep=0.001)
    with refused("units-missing", "elements.lammpstrj"):
        source_of("elements.lammpstrj")


def test_the_tables_of_runs_that_go_on_are_one():
    """Of three runs the first prints no pressure tensor; the other two share the line of step 30."""
    table = read_log(Path(LOG), "metal", 0.002, None)
    assert table["time_ps"] == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1])
    assert table["pressure_xy_bar"][[0, 2, 6]] == pytest.approx([-4954.7755, -4265.5381, -5915.7518])
    assert table["volume_A3"] == pytest.approx(314.928)
    in_real = read_log(Path(LOG), "real", 2.0, (25, 40))
    assert in_real["time_ps"] == pytest.approx([0.05, 0.06, 0.07, 0.08])
    assert in_real["pressure_zz_bar"][0] == pytest.approx(2250.891 * 1.01325)  # atm


def test_a_log_gives_a_dump_its_pressures_and_temperature():
    source = source_of("stated.lammpstrj", types=TYPES, timestep=0.002, log=LOG, first=1, last=2)
    assert source.table["time_ps"] == pytest.approx([0.06, 0.07, 0.08])
    assert source.temperature_K == pytest.approx(np.mean([232.27043, 224.25014, 204.74461]))
    assert any("220.4 K" in note for note in source.notes)
    result = analyse(
        FOLDER / "stated.lammpstrj", types=TYPES, timestep=0.002, log=LOG, thermostat="none", only=["viscosity"],
        progress=False,
    )  # fmt: skip
    assert "too few" in result.viscosity.value.cause
    with refused("timestep-missing", "log.lammps"):
        source_of("stated.lammpstrj", types=TYPES, log=LOG)


def test_logs_without_a_pressure_tensor_are_refused(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text('#"Step","Potential Energy (kJ/mole)","Temperature (K)"\n10,-3.0,300.0\n', encoding="utf-8")
    known = {"types": TYPES, "timestep": 0.002}
    with refused("log-without-pressure", "StateDataReporter"):
        source_of("stated.lammpstrj", log=str(log), **known)
    log.write_text("nothing\n", encoding="utf-8")
    with refused("log-unknown", "log.csv", "thermo_style"):
        source_of("stated.lammpstrj", log=str(log), **known)
    text = Path(LOG).read_text(encoding="utf-8")
    log.write_text(text[: text.index("thermo_style")], encoding="utf-8")
    with refused("log-without-pressure", "pxx"):
        source_of("stated.lammpstrj", log=str(log), **known)
    log.write_text(text.replace("\n        45 ", "\n        46 "), encoding="utf-8")
    with refused("log-uneven", "log.csv"):
        source_of("stated.lammpstrj", log=str(log), **known)
