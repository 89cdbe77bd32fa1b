"""An ensemble: means and spreads of its members, and what cannot be one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from systems import crystal, random_config, random_model, structures

from dp_sim.model.committee.combining import combine
from dp_sim.model.model_file import load_model, save_model
from dp_sim.structures.batch import ModelOutput


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("committee")
    for seed in range(3):
        save_model(folder / f"{seed}.pt", random_model(random_config(), seed), random_config())
    return sorted(folder.iterdir())


def test_mean_and_deviation(files: list[Path]) -> None:
    batch = [structures()["cluster"], crystal((True, True, False))]
    members = [load_model(file).evaluate(batch, virial=True) for file in files]
    together = load_model(files).evaluate(batch, virial=True)
    for field in ("energy", "atomic_energies", "forces", "virial"):
        values = np.stack([getattr(member, field).numpy() for member in members])
        np.testing.assert_allclose(getattr(together, field), values.mean(axis=0), atol=1e-12)
        if field in ("energy", "forces"):
            np.testing.assert_allclose(getattr(together, f"{field}_std"), values.std(axis=0, ddof=1), atol=1e-12)
    assert together.energy_std is not None
    assert float(together.energy_std.min()) > 1e-6


def test_hessian_is_the_mean(files: list[Path]) -> None:
    atoms = structures()["cluster"][:3]
    single = torch.stack([load_model(file).hessian(atoms) for file in files])
    torch.testing.assert_close(load_model(files).hessian(atoms), single.mean(dim=0))


def test_one_member_has_no_spread(files: list[Path]) -> None:
    output = load_model(files[:1]).evaluate(structures()["cluster"])
    assert output.energy_std is None
    assert output.forces_std is None


def test_energies_alone() -> None:
    outputs = [ModelOutput(torch.tensor([e]), torch.tensor([e])) for e in (1.0, 3.0)]
    combined = combine(outputs)
    assert combined.energy.item() == 2.0
    assert combined.energy_std is not None
    assert combined.energy_std.item() == pytest.approx(2**0.5)
    assert combined.forces is None
    assert combined.forces_std is None


@pytest.mark.parametrize(
    "settings",
    [{"cutoff": 5.0}, {"species": ("H", "O")}, {"species": ("O", "H", "Cu")}],
    ids=["cutoff", "fewer", "order"],
)
def test_members_that_do_not_fit(files: list[Path], tmp_path: Path, settings: dict[str, object]) -> None:
    config = random_config(**settings)
    torch.manual_seed(0)
    from dp_sim.model.potential import DeepPotential

    save_model(tmp_path / "other.pt", DeepPotential(config), config)
    with refused("committee-mismatch", "other.pt", "0.pt"):
        load_model([files[0], tmp_path / "other.pt"])


def test_a_committee_has_no_single_module(files: list[Path]) -> None:
    committee = load_model(files)
    assert len(committee.members) == 3
    with pytest.raises(ValueError, match=r"committee of 3 models: use \.modules"):
        _ = committee.module
