"""`load_result` gives back what each recipe returned, from its directory alone."""

import importlib
import json
import types
import typing
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from analytic_surfaces import MINIMA, SADDLES, SurfaceWithHessian, at, mueller_brown, stationary
from ase.build import add_adsorbate, bulk, fcc100, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from refusals import refused

from dp_sim.recipes import (
    analyse,
    elastic_constants,
    equation_of_state,
    evaluate,
    exported_modules,
    find_path,
    follow_irc,
    load_result,
    optimize,
    phonons,
    refine_ts,
    run_npt,
    run_nve,
    run_nvt,
    vibrations,
)
from dp_sim.recipes.demo.water import example
from dp_sim.recipes.models.accuracy import measure_accuracy
from dp_sim.recipes.results.loading import _class_of
from dp_sim.recipes.results.quantities import Quantity
from dp_sim.recipes.results.result import Result
from dp_sim.recipes.results.stored import _encoded
from dp_sim.recipes.speed.measurement import SpeedResult, Timing
from dp_sim.recipes.speed.programs import Step

QUIET = {"progress": False}


@pytest.fixture(scope="module", autouse=True)
def small_figures():
    """Figures of every recipe are drawn here as users see them."""


def copper():
    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.rattle(0.01, seed=1)
    return atoms


def start_of_path(name="BC"):
    return at(*stationary({**MINIMA, **SADDLES}[name]))


def accuracy(**options):
    folder = example("ethanol")
    return measure_accuracy(folder / "ethanol.pt", f"{folder}/test.extxyz.gz@:3", **options)


def speed(out, progress):
    parts = ("neighbor_list", "descriptor", "fitting_net", "derivative")
    steps = (Step(seconds=0.1, energy_eV=-3.0, bytes_above_imports=10),)
    result = SpeedResult(
        converged=True, timings=(Timing(4, steps),), shares=(dict.fromkeys(parts, 0.25),), timestep_fs=0.5, threads=1,
        device="cpu", dtype="float64", path="compiled", gflops=3.0, deepmd=Quantity(None, "", "not compared"),
    )  # fmt: skip
    result.save(out)
    return result


RECIPES = {
    "eval": lambda **options: evaluate(copper(), EMT(), **options),
    "opt": lambda **options: optimize(molecule("H2O"), EMT(), **options),
    "opt of two": lambda **options: optimize([molecule("H2O"), molecule("N2")], EMT(), **options),
    "vib": lambda **options: vibrations(optimize(molecule("H2O"), EMT(), fmax=1e-3, **QUIET).atoms, EMT(), **options),
    "phonons": lambda **options: phonons(bulk("Cu", a=3.61), EMT(), supercell="2x2x2", mesh_A=10.0, **options),
    "eos": lambda **options: equation_of_state(bulk("Cu", a=3.61), EMT(), **options),
    "elastic": lambda **options: elastic_constants(bulk("Cu", a=3.61), EMT(), **options),
    "nve": lambda **options: run_nve(copper(), EMT(), temperature_K=300, steps=60, frame_every=20, **options),
    "nvt": lambda **options: run_nvt(copper(), EMT(), temperature_K=300, steps=60, thermostat="bussi", **options),
    "npt": lambda **options: run_npt(
        copper(), EMT(), temperature_K=300, steps=60, thermostat="nose-hoover", cell_change="flexible", **options
    ),
    "neb": lambda **options: find_path(
        start_of_path("B"), start_of_path("C"), SurfaceWithHessian(mueller_brown), images=5, **options
    ),
    "ts": lambda **options: refine_ts(start_of_path(), SurfaceWithHessian(mueller_brown), **options),
    "test": accuracy,
    "bench": speed,
    "irc": lambda **options: follow_irc(start_of_path(), SurfaceWithHessian(mueller_brown), **options),
}  # fmt: skip


def classes_of_results():
    for module in exported_modules():
        importlib.import_module(module)

    def leaves(kind):
        below = kind.__subclasses__()
        return {one for each in below for one in leaves(each)} if below else {kind}

    return {kind for kind in leaves(Result) if kind.__module__.startswith("dp_sim.")}


def same(one: Result, other: Result) -> None:
    """Both hold the same, to the digits of the tables."""
    assert type(one) is type(other)
    for field in fields(one):
        if field.name in ("phonon", "directory"):
            continue
        arrays, others = {}, {}
        tree = json.dumps(_encoded(getattr(one, field.name), arrays))
        theirs = json.dumps(_encoded(getattr(other, field.name), others))
        if field.name == "rows":
            assert len(one.rows) == len(other.rows)
            for name in ("total_eV", "time_ps"):
                assert other.series(name) == pytest.approx(one.series(name), rel=1e-11)
            continue
        assert tree == theirs, field.name
        assert all(np.array_equal(arrays[name], others[name], equal_nan=True) for name in arrays), field.name


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_recipe(name, tmp_path):
    if name == "phonons":
        pytest.importorskip("phonopy")
    result = RECIPES[name](out=tmp_path / "run", **QUIET)
    (tmp_path / "run").rename(tmp_path / "moved")
    loaded = load_result(tmp_path / "moved")
    same(replace(result, directory=None), loaded)
    assert loaded.directory == tmp_path / "moved"
    assert loaded.summary() == result.summary()
    assert loaded.figures().keys() == result.figures().keys()
    if name == "nve":
        assert len(loaded.trajectory) == 4
        same(load_result(tmp_path / "moved"), loaded)
        analysed = analyse(loaded, first=0, only=["structure", "diffusion"], out=tmp_path / "analysed", **QUIET)
        same(analysed, load_result(tmp_path / "analysed"))
    if name == "phonons":
        for phonon in (loaded.phonon, result.phonon):
            phonon.run_qpoints([[0.5, 0.0, 0.5]])
        assert loaded.phonon.qpoints.frequencies == pytest.approx(result.phonon.qpoints.frequencies, abs=1e-6)


def held_kinds(hint, found):
    """Every type inside a declared one: dataclasses and NamedTuples with those of their fields."""
    if isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields")):
        if hint not in found:
            found.add(hint)
            for inner in typing.get_type_hints(hint).values():  # fails where a name is imported for types alone
                if typing.get_origin(inner) is not typing.ClassVar:
                    held_kinds(inner, found)
        return
    inside = [one for one in typing.get_args(hint) if one is not types.NoneType]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        assert len(inside) == 1, f"{hint}: what was stored could be either"
    for one in inside:
        held_kinds(one, found)


def test_what_every_result_declares_can_be_read_back():
    """The file holds plain data; the declared types say what it was."""
    found = set()
    for kind in classes_of_results():
        held_kinds(kind, found)
    assert len(found) > 50


def test_every_class_of_results_is_found_by_its_name():
    """Also where its module has moved since the file was written."""
    assert len(classes_of_results()) > 15
    for kind in classes_of_results():
        assert _class_of(kind.__name__, "dp_sim.recipes.moved_away", "here") is kind


@pytest.mark.filterwarnings("ignore:Skipping unhashable information:UserWarning")
def test_a_structure_keeps_its_constraints_its_energy_and_what_can_be_written_of_its_info(tmp_path):
    slab = fcc100("Cu", size=(2, 2, 2), vacuum=5.0)
    add_adsorbate(slab, "Cu", 1.7, "hollow")
    slab.set_constraint(FixAtoms([0, 1]))
    slab.info = {"odd": object(), "made_by": "hand"}
    found = evaluate(slab, EMT(), out=tmp_path / "run", **QUIET)
    atoms = load_result(tmp_path / "run").atoms
    assert atoms.constraints[0].get_indices().tolist() == [0, 1]
    assert atoms.get_potential_energy() == found.energy_eV
    assert atoms.info == {"made_by": "hand"}


def test_what_holds_no_result_is_refused(tmp_path):
    with refused("file-missing", "nowhere"):
        load_result(tmp_path / "nowhere")
    with refused("file-missing", "result.npz"):
        load_result(tmp_path)
    evaluate(copper(), EMT(), out=tmp_path / "run", **QUIET)
    file = tmp_path / "run" / "result.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-200])
    with refused("file-damaged", "result.npz"):
        load_result(tmp_path / "run")
    file.write_bytes(whole)
    (tmp_path / "run" / "result.json").unlink()
    with refused("run-unfinished", "resume"):
        load_result(tmp_path / "run")
