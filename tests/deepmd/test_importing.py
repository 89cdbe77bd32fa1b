"""Imported models give DeePMD-kit's numbers, wherever ours run; what cannot be read is refused by name."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import deepmd_models
import numpy as np
import pytest
import torch
from ase import Atoms
from deepmd_models import MODELS, STRUCTURES, expected, model_file, structure
from model_contract import ModelContract, open_model
from refusals import refused
from systems import CUTOFF

from dp_sim.cli.main import status
from dp_sim.compiled.library import register_operators
from dp_sim.config.training_input import parse_config
from dp_sim.deepmd.importing import import_model, load_deepmd
from dp_sim.model.compression import compress_file
from dp_sim.model.evaluator import eager_model
from dp_sim.model.model_file import load_model
from dp_sim.model.potential import Potential, set_precision

has_library = register_operators() == ""
#: With se_e3, or with DPA-1 that se_e2_a does not cover.
NOT_COMPILED = ("three_body", "dpa1_hybrid", "dpa1_mean", "dpa1_smooth")
#: Largest deviation, relative to the largest value compared.
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def load(name: str, folder: Path, **options: Any) -> Any:
    """The network of a reference model, without a file of ours in between."""
    config, model, _ = load_deepmd(model_file(name, folder))
    return config, open_model(Potential(model, config.cutoff), config.precision), config.species


@pytest.mark.filterwarnings("ignore:.*excludes pairs of species and has a mean")
@pytest.mark.filterwarnings("ignore:.*its energy depends on which atom comes first")
@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_those_of_deepmd_kit(name: str, tmp_path: Path) -> None:
    """On the compiled path, where the descriptor has one, and without it."""
    config, model, _ = load_deepmd(model_file(name, tmp_path))
    opened = open_model(Potential(model, config.cutoff), config.precision)
    opened.metadata = opened.metadata.__class__(config.species, config.cutoff, config.precision, {}, "", "")
    tolerance = TOLERANCE["float32" if "float32" in name or "mixed" in name else "float64"]
    assert (opened.compiled != [None]) == (has_library and not name.startswith(NOT_COMPILED))
    for path, where in product({*opened.compiled, None}, STRUCTURES):
        opened.compiled = [path]
        output = opened.evaluate(structure(where), virial=True)
        for field, reference in expected(name, where).items():
            got = getattr(output, field).numpy().reshape(reference.shape)
            deviation = np.abs(got - reference).max() / np.abs(reference).max()
            assert deviation < tolerance, f"{field} of {where} is off by {deviation:.1e}, path {path}"


@pytest.mark.filterwarnings("ignore:.*excludes pairs of species and has a mean")
@pytest.mark.parametrize("name", ["mean.dp", "two_sided.dp", "protected.dp", "radial_excluded.dp", "hybrid.dp"])
def test_compressed_models_give_the_numbers_of_deepmd_kit(name: str, tmp_path: Path) -> None:
    """Files of ours, written and opened, on the compiled path and without it."""
    import_model(model_file(name, tmp_path), tmp_path / "m.pt")
    compress_file(tmp_path / "m.pt", tmp_path / "small.pt")
    small = load_model(tmp_path / "small.pt")
    assert (small.compiled != [None]) == has_library
    for path, where in product({*small.compiled, None}, STRUCTURES):
        small.compiled = [path]
        output = small.evaluate(structure(where), virial=True)
        for field, reference in expected(name, where).items():
            got = getattr(output, field).numpy().reshape(reference.shape)
            deviation = np.abs(got - reference).max() / np.abs(reference).max()
            assert deviation < 1e-9, f"{field} of {where} is off by {deviation:.1e}, path {path}"


def test_references_say_something() -> None:
    """Forces that are there, and models that differ: agreement on zeros would prove nothing."""
    assert len(MODELS) >= 25
    for name in MODELS:
        assert np.abs(expected(name, "bulk")["forces"]).max() > 1e-3
    energies = {float(expected(name, "molecule")["energy"][0]) for name in MODELS if not name.startswith("mean.")}
    assert len(energies) > len(MODELS) - 6


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hybrid.dp as a file of ours."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.warns(UserWarning, match="excludes pairs of species and has a mean: its energy jumps"):
        import_model(model_file("hybrid.dp", folder), folder / "hybrid.pt")
    return folder / "hybrid.pt"


class TestHybridContract(ModelContract):
    """se_e2_a with mean and exclusion beside se_e2_r; its types O, H, Cu stand for H, O, Cu of the contract."""

    file = "hybrid.dp"
    compiled = has_library

    @classmethod
    def make(cls) -> Potential:
        import tempfile
        import warnings

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            _, model, _ = load_deepmd(model_file(cls.file, Path(folder)), species=("H", "O", "Cu"))
        return Potential(model, CUTOFF)


class TestThreeBodyContract(TestHybridContract):
    """se_e3 beside se_e2_a, which has no compiled form."""

    file = "three_body_hybrid.dp"
    compiled = False


class TestDPA1Contract(TestHybridContract):
    """DPA-1 with a mean, excluded pairs and a factor that the switch takes to zero: smooth, whichever atom is first."""

    file = "dpa1_smooth.dp"
    compiled = False


def test_angles_of_a_water_molecule(tmp_path: Path) -> None:
    """se_e3 of the oxygen by its formula, in loops over the two neighbours H."""
    config, model, _ = load_deepmd(model_file("three_body.dp", tmp_path))
    atoms = Atoms("OH2", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.2, 0.7, 0.8]])
    descriptor = model.descriptor
    h = [descriptor.directions(torch.tensor(r)[None], torch.tensor([0]))[0] for r in atoms.positions[1:]]
    total = torch.zeros(8, dtype=torch.float64)
    for one in h:
        for other in h:
            x = (one @ other).view(1, 1)
            total += (x * descriptor.nets[3](x))[0] / 26**2  # of OO, OH, OCu, HH; 26 slots for H
    found: list[torch.Tensor] = []
    descriptor.register_forward_hook(lambda module, inputs, output: found.append(output))
    opened = open_model(Potential(model, config.cutoff), config.precision)
    opened.metadata = replace(opened.metadata, species=config.species)
    opened.evaluate(atoms)
    torch.testing.assert_close(found[0][0], total, rtol=1e-12, atol=0)


def test_ase_with_hessian_and_both_precisions(imported: Path) -> None:
    from dp_sim.plugins.ase_calculator import DPCalculator

    atoms, reference = structure("molecule"), expected("hybrid.dp", "molecule")
    atoms.calc = DPCalculator(imported)
    np.testing.assert_allclose(atoms.get_forces(), reference["forces"], atol=1e-12)
    hessian = atoms.calc.get_hessian(atoms)
    atoms.positions[1, 2] += 1e-5
    forward = atoms.get_forces().ravel()
    atoms.positions[1, 2] -= 2e-5
    np.testing.assert_allclose(hessian[5], (atoms.get_forces().ravel() - forward) / 2e-5, atol=1e-7)
    single = DPCalculator(imported, dtype="float32").get_property("energy", structure("molecule"))
    assert single == pytest.approx(reference["energy"][0], rel=1e-6)


@pytest.mark.parametrize("backend", ["torchscript", "python"])
def test_openmm(imported: Path, backend: str) -> None:
    openmm = pytest.importorskip("openmm")
    from dp_sim.plugins.openmm_force import create_force
    from dp_sim.units import EV_IN_KJ_PER_MOL

    atoms = structure("molecule")
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.addForce(create_force(imported, species=atoms.get_chemical_symbols(), periodic=False, backend=backend))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(atoms.positions / 10)
    state = context.getState(energy=True, forces=True)
    reference = expected("hybrid.dp", "molecule")
    energy = state.getPotentialEnergy().value_in_unit(openmm.unit.kilojoule_per_mole) / EV_IN_KJ_PER_MOL
    assert energy == pytest.approx(reference["energy"][0], rel=1e-9)
    forces = state.getForces(asNumpy=True).value_in_unit(openmm.unit.kilojoule_per_mole / openmm.unit.nanometer)
    np.testing.assert_allclose(forces / EV_IN_KJ_PER_MOL / 10, reference["forces"], atol=1e-7)


def test_modules_again(imported: Path) -> None:
    """eager_model rebuilds it from settings and weights, as it does our own."""
    model = load_model(imported)
    rebuilt = open_model(Potential(eager_model(model), model.metadata.cutoff), "float64")
    rebuilt.metadata = model.metadata
    atoms = structure("bulk")
    assert float(rebuilt.evaluate(atoms).energy) == pytest.approx(float(model.evaluate(atoms).energy), rel=1e-13)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model_file("mean.dp", tmp_path)
    assert status(["import", str(path), "-o", str(tmp_path / "m.pt")]) == 0
    assert "se_e2_a, O H Cu, cutoff 4 Å, float64" in capsys.readouterr().out
    assert status(["info", str(tmp_path / "m.pt")]) == 0
    shown = capsys.readouterr().out
    assert "mean.dp" in shown
    assert "3.2.0" in shown
    assert status(["import", str(path), "-o", str(tmp_path / "n.pt"), "--species", "O,H"]) == 2
    assert "has the 3 types O, H, Cu; 2 species were given" in capsys.readouterr().err
    assert not (tmp_path / "n.pt").exists()


def test_a_model_with_zero_mean_is_deeppot_se(tmp_path: Path) -> None:
    """Nothing of DeePMD-kit's padding is left then, and the model takes the road of our own."""
    _, model, _ = load_deepmd(model_file("zero_mean.dp", tmp_path))
    assert type(model.descriptor).__name__ == "SmoothDescriptor"


def test_more_neighbours_than_sel(tmp_path: Path) -> None:
    """All are kept, with a warning: the energy stays smooth as one more comes in."""
    import_model(model_file("mean.dp", tmp_path), tmp_path / "m.pt")
    model = load_model(tmp_path / "m.pt")
    dense = Atoms("H28O", positions=[*np.ndindex(3, 3, 3), (3, 1, 1), (1.5, 1.5, 1.5)])
    dense.positions *= 1.1
    dense.positions[0] = dense.positions[-1] - 4.0 * np.array([0.6, 0.64, 0.48])  # at the cutoff, to rounding
    with pytest.warns(UserWarning, match=r"an atom has 2[78] neighbours H.*at most 26 \(sel\).*drops the farthest"):
        forces = model.evaluate(dense).forces
    assert forces is not None
    assert bool(torch.isfinite(forces).all())
    energies = []
    direction = (dense.positions[0] - dense.positions[-1]) / 4.0
    for step in (-1e-4, 1e-4):
        moved = dense.copy()
        moved.positions[0] += step * direction
        with pytest.warns(UserWarning, match=r"an atom has 2\d neighbours H"):
            energies.append(float(model.evaluate(moved).atomic_energies[-1]))
    assert abs(energies[1] - energies[0]) < 1e-9


def test_a_model_of_ours_needs_no_import(imported: Path) -> None:
    with refused("model-not-deepmd", imported):
        load_deepmd(imported)


def test_imported_models_are_not_trained_on() -> None:
    part = {"kind": "se_e2_a", "cutoff": 4.0, "switch_start": 0.5, "embedding": [4], "sel": [3]}
    model = {"descriptor": "deepmd-kit", "parts": [part], "cutoff": 4.0}
    with refused("setting-invalid", "model.descriptor", "deepmd-kit", "deeppot-se"):
        parse_config({"model": model, "data": {"train": ["a.xyz"]}})


def test_casting_an_imported_model(tmp_path: Path) -> None:
    _, model, _ = load_deepmd(model_file("mean.dp", tmp_path))
    set_precision(model, torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert deepmd_models.FOLDER.is_dir()
