"""Compressed models: the laws over both of their paths, the error of the tables, and the file."""

import pickle
from pathlib import Path

import pytest
import torch
from model_contract import STRUCTURES, ModelContract, assert_same, on_path, open_model
from refusals import refused
from systems import CUTOFF, random_config, random_model

from dp_sim.compiled import library
from dp_sim.descriptors.tabulated import HermiteTable
from dp_sim.model.compression import CLOSEST_ANGSTROM, MARGIN, closest_approach, compress, compress_file, make_knots
from dp_sim.model.evaluator import Model, eager_model
from dp_sim.model.model_file import load_model, save_model
from dp_sim.model.potential import DeepPotential, Potential

has_library = pytest.mark.skipif(library.register_operators() != "", reason=library.register_operators())


def compressed(**settings: object) -> DeepPotential:
    return compress(random_model(random_config(**settings)), spacing=0.01)[0]


def opened(potential: Potential, compiled: bool = True) -> Model:
    return on_path(open_model(potential, "float64"), potential, compiled)


@has_library
class TestCompiled(ModelContract):
    compiled = True

    @classmethod
    def make(cls) -> Potential:
        return Potential(compressed(), CUTOFF)


@has_library
class TestCompiledRadialFloat32(ModelContract):
    compiled = True
    dtype = "float32"
    tolerance = 2e-5
    step, step_tolerance = 1e-2, 5e-3

    @classmethod
    def make(cls) -> Potential:
        return Potential(compressed(descriptor="radial", precision="float32"), CUTOFF)


class TestTorchScriptPath(ModelContract):
    @classmethod
    def make(cls) -> Potential:
        return Potential(compressed(), CUTOFF)


@pytest.mark.parametrize(
    "settings", [{}, {"one_side": False, "switch": "cosine"}, {"descriptor": "radial"}, {"fitting": (48, 80)}]
)
@pytest.mark.parametrize("width", [12, 16, 20])
@has_library
def test_same_numbers_as_the_networks(settings: dict[str, object], width: int) -> None:
    """Widths that fill vectors of the processor and widths that do not; both paths against the networks."""
    model = random_model(random_config(embedding=(6, 12, width), **settings))
    small, done = compress(model)
    exact, plain = (opened(Potential(m, CUTOFF), compiled=False) for m in (model, small))
    fast = opened(Potential(small, CUTOFF))
    for name in ("cluster", "TTT", "lonely"):
        expected = exact.evaluate(STRUCTURES[name], virial=True)
        for got in (m.evaluate(STRUCTURES[name], virial=True) for m in (fast, plain)):
            for field in ("energy", "atomic_energies", "forces", "virial"):
                assert_same(getattr(got, field), getattr(expected, field), 1e-7, field)
    assert_same(plain.hessian(STRUCTURES["TTF"]), exact.hessian(STRUCTURES["TTF"]), 1e-5, "Hessian")
    assert done["error"][0] < 1e-8


def test_error_falls_with_the_sixth_power_of_the_spacing() -> None:
    model = random_model(random_config())
    coarse, fine = (compress(model, spacing=spacing)[1]["error"][0] for spacing in (0.04, 0.02))
    assert 0 < fine < coarse / 2**5


def test_polynomials_of_fifth_degree_are_exact() -> None:
    knots = make_knots(0.05, 1.0)
    x = knots.clone()
    values = torch.stack([x**5 - x**2, 5 * x**4 - 2 * x, 20 * x**3 - 2], dim=1)[None, :, :, None]
    s = torch.tensor([0.0, 0.013, 0.5, 0.999, 3.7, 99.0], dtype=torch.float64)
    got = HermiteTable(knots, values)(s, torch.zeros(6, dtype=torch.int64))
    torch.testing.assert_close(got[:, 0], s**5 - s**2, rtol=1e-12, atol=1e-12)


def test_knots_reach_from_the_cutoff_to_coincident_atoms() -> None:
    knots = make_knots(0.01, 1.5)
    widths = knots.diff()
    assert knots[0] == 0
    assert knots[-1] >= 100
    assert bool((widths[knots[1:] <= 1.5] < 0.010001).all())
    assert bool((widths[1:] <= 1.03 * widths[:-1].clamp_min(0.03)).all()), "segments grow gently"


def test_fine_segments_reach_below_the_closest_approach_of_the_data() -> None:
    training = {"radial_distribution": {"r": [0.5, 0.9, 1.3], "H-H": [0.0, 0.0, 2.0], "H-O": [0.0, 1.0, 1.0]}}
    assert closest_approach(training) == 0.9
    assert closest_approach({}) == CLOSEST_ANGSTROM
    assert compress(random_model(random_config()), training)[1]["fine_to"] == pytest.approx(0.9 * MARGIN)


@has_library
def test_atoms_nearer_than_any_data() -> None:
    """Beyond the fine part of the table the two paths and the networks still agree."""
    from ase import Atoms

    model = random_model(random_config())
    small = opened(Potential(compress(model)[0], CUTOFF))
    exact = open_model(Potential(model, CUTOFF), "float64")
    for distance in (0.4, 0.1, 0.02):
        atoms = Atoms("OHH", positions=[[0, 0, 0], [distance, 0, 0], [1.0, 1.0, 0]])
        assert_same(small.evaluate(atoms).forces, exact.evaluate(atoms).forces, 1e-6, f"forces at {distance}")
    with refused("atoms-coincide"):
        small.evaluate(Atoms("OH", positions=[[0, 0, 0], [0.001, 0, 0]]))


def test_file(tmp_path: Path) -> None:
    config = random_config()
    save_model(tmp_path / "model.pt", random_model(config), config)
    done = compress_file(tmp_path / "model.pt", tmp_path / "small.pt")
    before, after = load_model(tmp_path / "model.pt"), load_model(tmp_path / "small.pt")
    assert {**after.metadata.compression, "error": (), "error_nearer": ()} == {**done, "error": (), "error_nearer": ()}
    assert after.metadata.training["compressed_from_sha256"] == before.metadata.sha256
    copied = pickle.loads(pickle.dumps(after))
    rebuilt = open_model(Potential(eager_model(after), CUTOFF), "float64")
    expected = before.evaluate(STRUCTURES["TTF"]).forces
    for model in (after, copied, rebuilt, load_model(tmp_path / "small.pt", dtype="float32")):
        tolerance = 1e-4 if model.metadata.dtype == "float32" else 1e-7
        assert_same(model.evaluate(STRUCTURES["TTF"]).forces, expected, tolerance, "forces")
    with refused("model-compressed"):
        compress_file(tmp_path / "small.pt", tmp_path / "smaller.pt")


def test_spacing_out_of_range() -> None:
    with refused("setting-out-of-range", "1"):
        compress(random_model(random_config()), spacing=1.0)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dp_sim.cli.main import status

    config = random_config()
    source, target = tmp_path / "model.pt", tmp_path / "small.pt"
    save_model(source, random_model(config), config)
    assert status(["compress", str(source), "-o", str(target)]) == 0
    assert "largest error of an embedding function" in capsys.readouterr().out
    assert status(["info", str(target)]) == 0
    assert "tables (compressed)" in capsys.readouterr().out
    before = target.read_bytes()
    assert status(["compress", str(source), "-o", str(target)]) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    assert target.read_bytes() == before
