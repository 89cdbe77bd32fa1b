"""Local frames: the laws of every model but smoothness, known frames, plain loops, undefined frames, and the jumps."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given
from hypothesis import strategies as st
from model_contract import (
    CASES,
    PERIODIC,
    STRUCTURES,
    Cases,
    ModelContract,
    assert_same,
    few_random_turns,
    open_model,
    quaternions,
    turned,
)
from scipy.spatial.transform import Rotation
from systems import CUTOFF, SPECIES, brute_force_pairs, random_config, random_model, structures

from dp_sim.descriptors.local_frame import SMALLEST_DEVIATION, LocalFrame, local_frame
from dp_sim.model.evaluator import Model
from dp_sim.model.potential import Potential
from dp_sim.neighbors.pairs import StructurePairs, find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index
from dp_sim.torchscript import from_bytes, to_bytes


class FrameContract(ModelContract):
    """All laws, with the flaw in the place of smoothness."""

    cases: ClassVar[Cases] = {**CASES, "test_supercell": ("name", [n for n in PERIODIC if n != "primitive"], ["FTF"])}

    settings: ClassVar[dict[str, object]]
    step = 1e-5  # directions bend more than distances do

    @classmethod
    def make(cls) -> Potential:
        return Potential(random_model(random_config(**cls.settings)), CUTOFF)

    def test_continuous_as_an_atom_crosses_the_cutoff(self, model: Model, quantity: str) -> None:
        """It is not: the change over ever smaller steps across r_c stays what it is."""

        def values(distance: float) -> np.ndarray:
            atoms = Atoms("OHH", positions=[[0.0, 0.0, 0.0], [1.3, 0.4, 0.0], [distance, 0.0, 0.0]])
            return np.asarray(getattr(self.evaluate(model, atoms), quantity))

        jumps = [np.abs(values(CUTOFF + h) - values(CUTOFF - h)).max() for h in (1e-4, 1e-6, 1e-8)]
        assert jumps[-1] > 1e-3
        np.testing.assert_allclose(jumps, jumps[-1], rtol=1e-2)

    def test_saved_and_loaded_gives_the_same_bits(self, scripted: Callable[[], Model]) -> None:
        """Of two that are loaded. TorchScript compiles functions outside of modules once a process, and what it learnt
        of them from other models moves the last bits of a freshly scripted one."""
        before = scripted()
        content = to_bytes(before.module)
        for name in ("cluster", "TTT"):
            first, second = (open_model(from_bytes(content), self.dtype) for _ in range(2))
            outputs = [[self.evaluate(m, STRUCTURES[name]) for _ in range(3)][-1] for m in (before, first, second)]
            self.same(outputs[0], outputs[1])
            for field in ("energy", "atomic_energies", "forces", "virial"):
                assert torch.equal(getattr(outputs[1], field), getattr(outputs[2], field)), field

    def test_supercell_of_a_perfect_crystal(self, model: Model) -> None:
        """All distances tie, so every atom sits on a jump: the energy is well defined, forces are those of one side."""
        single = self.evaluate(model, STRUCTURES["primitive"])
        repeated = self.evaluate(model, STRUCTURES["primitive"].repeat((2, 1, 3)))
        assert_same(repeated.energy, 6 * single.energy.numpy(), self.tolerance, "energy")


class TestLocalFrame(FrameContract):
    settings: ClassVar = {"descriptor": "local-frame", "radial_neighbors": 3}


class TestLocalFrameWithAxes(FrameContract):
    settings: ClassVar = {
        "descriptor": "local-frame",
        "radial_neighbors": 0,
        "axes": {"O": ("H", "H"), "H": ("O", "H")},
    }


class TestDeepPotential(FrameContract):
    settings: ClassVar = {"descriptor": "deep-potential"}


def frame_settings(kind: str, **settings: object) -> dict[str, object]:
    """Three places with 1/R alone where the descriptor has them and nothing else is said."""
    return {"descriptor": kind, **({"radial_neighbors": 3} if kind == "local-frame" else {}), **settings}


def descriptor(kind: str = "local-frame", **settings: object) -> LocalFrame:
    return local_frame(random_config(**frame_settings(kind, **settings)))


def pairs_of(atoms: Atoms, cutoff: float = CUTOFF, species: tuple[str, ...] = SPECIES) -> StructurePairs:
    return find_pairs(atoms, species_index(atoms.numbers, species), NeighborSearch(cutoff), "structure")


def random_potential(kind: str, **settings: object) -> Model:
    config = random_config(**frame_settings(kind, **settings))
    return open_model(Potential(random_model(config, seed=3), CUTOFF), "float64")


# ---- the inputs ------------------------------------------------------------------------------------------------------


def water() -> Atoms:
    """O-H 0.9 and 1.0 Angstrom, 100 degrees between them."""
    angle = np.radians(100.0)
    return Atoms("OHH", positions=[[0, 0, 0], [0.9, 0, 0], [np.cos(angle), np.sin(angle), 0]])


def test_inputs_of_a_water_molecule() -> None:
    """e1 along the shorter O-H bond, e2 in the plane: worked out by hand."""
    turn = Rotation.from_euler("xyz", [0.3, 1.1, -2.0]).as_matrix()
    found = descriptor(angular_neighbors={"H": 2, "O": 1, "Cu": 0}, radial_neighbors=0)
    plain = found.plain_inputs(pairs_of(turned(water(), turn)))
    angle = np.radians(100.0)
    oxygen = [1 / 0.9, 1 / 0.9, 0, 0, 1, np.cos(angle), np.sin(angle), 0, 0, 0, 0, 0]
    np.testing.assert_allclose(plain[0], oxygen, atol=1e-12)
    # the hydrogen at 0.9: O is its a, the other H its b
    other = np.linalg.norm(water().positions[2] - water().positions[1])
    x = 0.9 - np.cos(angle)  # along the bond towards O
    hydrogen = [1 / other, x / other**2, np.sin(angle) / other**2, 0, 0, 0, 0, 0, 1 / 0.9, 1 / 0.9, 0, 0]
    np.testing.assert_allclose(plain[1], hydrogen, atol=1e-12)


def test_inputs_of_deep_potential() -> None:
    """(1/R, cos theta, cos phi, sin phi) of a fourth atom above the plane of water."""
    atoms = water() + Atoms("Cu", positions=[[-1.0, -1.0, np.sqrt(2.0)]])
    found = descriptor("deep-potential", angular_neighbors=1)
    plain = found.plain_inputs(pairs_of(atoms))
    np.testing.assert_allclose(plain[0, 8:], [0.5, np.sqrt(0.5), -np.sqrt(0.5), -np.sqrt(0.5)], atol=1e-12)


def test_radial_places_hold_the_next_neighbours() -> None:
    """Hydrogen at 1.0, 1.3, 1.7, 2.2 Angstrom: two with four inputs, one with 1/R, the last has no place."""
    chain = Atoms("H5", positions=[[0, 0, 0], [1.0, 0, 0], [0, 1.3, 0], [0, 0, 1.7], [0, -2.2, 0]])
    found = descriptor(angular_neighbors={"H": 2, "O": 0, "Cu": 0}, radial_neighbors={"H": 1, "O": 0, "Cu": 0})
    plain = found.plain_inputs(pairs_of(chain))[0]
    np.testing.assert_allclose(plain, [1, 1, 0, 0, 1 / 1.3, 0, 1 / 1.3, 0, 1 / 1.7], atol=1e-12)


def plain_loops(atoms: Atoms, full: dict[str, int], radial: int, axes: dict[str, tuple[str, str]]) -> list[list[float]]:
    """The inputs once more, atom by atom, from the definition."""
    result = []
    pairs = brute_force_pairs(atoms, CUTOFF)
    for i, center in enumerate(atoms.symbols):
        around = [(atoms.symbols[j], atoms.positions[j] + np.array(s) @ atoms.cell.array - atoms.positions[i])
                  for k, j, *s in pairs if k == i]  # fmt: skip
        around.sort(key=lambda item: float(np.linalg.norm(item[1])))
        first_species, second_species = axes.get(center, (None, None))
        a = next(v for s, v in around if first_species in (None, s))
        e1 = a / np.linalg.norm(a)
        b = next(v for s, v in around if second_species in (None, s) and np.linalg.norm(np.cross(e1, v)) > 0.1)
        e2 = b - (b @ e1) * e1
        e2 /= np.linalg.norm(e2)
        turn = np.array([e1, e2, np.cross(e1, e2)])
        numbers: list[float] = []
        for symbol in SPECIES:
            own = [turn @ v for s, v in around if s == symbol]
            four = [[1 / np.linalg.norm(v), *(v / (v @ v))] for v in own[: full[symbol]]]
            numbers += np.ravel(four).tolist() + [0.0] * 4 * (full[symbol] - len(four))
            one = [1 / float(np.linalg.norm(v)) for v in own[full[symbol] :][:radial]]
            numbers += one + [0.0] * (radial - len(one))
        result.append(numbers)
    return result


@pytest.mark.parametrize("axes", [{}, {"O": ("H", "Cu"), "H": ("O", "H")}], ids=["nearest", "by species"])
def test_inputs_equal_plain_loops(axes: dict[str, tuple[str, str]]) -> None:
    atoms, full = structures()["cluster"], {"H": 2, "O": 1, "Cu": 2}
    found = descriptor(angular_neighbors=full, radial_neighbors=1, axes=axes)
    np.testing.assert_allclose(found.plain_inputs(pairs_of(atoms)), plain_loops(atoms, full, 1, axes), atol=1e-12)


def test_inputs_have_mean_0_and_deviation_1() -> None:
    """z and -z count alike, so its mean is zero by symmetry; a place that nothing fills stays zero."""
    found = descriptor(angular_neighbors=60)
    frames = [pairs_of(atoms) for atoms in structures().values()]
    found.set_statistics(frames)
    species = torch.cat([f.species for f in frames])
    plain = torch.cat([found.plain_inputs(f) for f in frames])
    scaled = (plain - found.mean[species]) / found.deviation[species]
    assert bool((plain[species == 0] == 0).all(dim=0).any()), "the test needs an empty place"
    for index in range(3):
        own, used = scaled[species == index], found.deviation[index] > SMALLEST_DEVIATION
        even = found.mirror_signs() > 0
        assert_same(own.mean(dim=0)[even], np.zeros(int(even.sum())), 1e-6, "mean")
        np.testing.assert_allclose(own.square().mean(dim=0)[used & (found.deviation[index] < 1)], 1.0, atol=1e-5)
        assert not own[:, (plain[species == index] == 0).all(dim=0)].any()


# ---- symmetry --------------------------------------------------------------------------------------------------------


def test_the_mean_over_mirror_images_is_needed() -> None:
    """The nets alone give a molecule and its mirror image different energies; the model does not."""
    config = random_config(descriptor="local-frame", radial_neighbors=3)
    model = random_model(config, seed=3).requires_grad_(False)
    atoms = structures()["cluster"]
    mirror = turned(atoms, np.diag([1.0, 1.0, -1.0]))
    one, both = [], []
    for version in (atoms, mirror):
        batch, pairs = open_model(Potential(model, CUTOFF), "float64").prepare(version)
        inputs = model.descriptor(batch, pairs)
        one.append(float(model.fitting.net_energies(inputs, batch.species).sum()))
        both.append(float(model.fitting(inputs, batch.species).sum()))
    assert abs(one[0] - one[1]) > 1e-3
    assert both[0] == pytest.approx(both[1], abs=1e-12)


CRYSTALS = {
    "fcc": bulk("Cu", a=2.6) * 2,
    "cubic": bulk("Cu", "sc", a=1.9),
    "rock salt": bulk("CuO", "rocksalt", a=4.2),
    "diamond": bulk("O", "diamond", a=3.6),
    "hcp": bulk("O", "hcp", a=2.1, c=3.3),
    "methane-like": Atoms("OH4", positions=molecule("CH4").positions),
    "ring": Atoms("H6", positions=molecule("C6H6").positions[:6]),
}


@few_random_turns
@given(
    name=st.sampled_from(sorted(CRYSTALS)),
    quaternion=quaternions,
    mirrored=st.booleans(),
    kind=st.sampled_from(["local-frame", "deep-potential"]),
)
def test_equal_distances_are_told_apart_the_same_in_every_orientation(
    name: str, quaternion: list[float], mirrored: bool, kind: str
) -> None:
    """Perfect crystals are full of ties, which rounding decides differently after a turn."""
    model = random_potential(kind, angular_neighbors=9)
    matrix = Rotation.from_quat(quaternion).as_matrix() * (-1.0 if mirrored else 1.0)
    expected = model.evaluate(CRYSTALS[name], forces=False).atomic_energies
    found = model.evaluate(turned(CRYSTALS[name], matrix), forces=False).atomic_energies
    assert_same(found, expected, 1e-9, "atomic energies")


# ---- frames that are not defined -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local-frame", "deep-potential"])
@pytest.mark.parametrize(
    "positions",
    [[[0, 0, 0], [0, 0, 1.1]], [[0, 0, 0], [0, 0, 1.1], [0, 0, -1.2]], [[0, 0, k * 1.1] for k in range(5)]],
    ids=["one neighbour", "both on one line", "chain"],
)
def test_linear_molecules(kind: str, positions: list[list[float]]) -> None:
    """Nothing but the axis is defined: finite, the same in every orientation, forces along the axis."""
    atoms = Atoms("O" + "H" * (len(positions) - 1), positions=positions)
    model = random_potential(kind)
    output, hessian = model.evaluate(atoms, virial=True), model.hessian(atoms)
    assert output.forces is not None
    assert bool(torch.isfinite(output.forces).all())
    assert bool(torch.isfinite(hessian).all())
    assert float(output.forces[:, 2].abs().max()) > 1e-3
    assert_same(output.forces[:, :2], np.zeros((len(atoms), 2)), 1e-12, "forces across the axis")
    other = turned(atoms, Rotation.from_euler("xyz", [1.0, 2.0, 3.0]).as_matrix())
    assert_same(model.evaluate(other).energy, output.energy, 1e-11, "energy")


def test_b_is_not_on_the_line_of_a() -> None:
    """The second atom lies on the far side of the first: the third, farther away, makes the plane."""
    atoms = Atoms("OH3", positions=[[0, 0, 0], [1.0, 0, 0], [-1.1, 0, 0], [0.3, 1.9, 0]])
    found = descriptor(angular_neighbors={"H": 3, "O": 0, "Cu": 0}, radial_neighbors=0)
    plain = found.plain_inputs(pairs_of(atoms))[0]
    distance = np.hypot(0.3, 1.9)
    expected = [1, 1, 0, 0, 1 / 1.1, -1 / 1.1, 0, 0, 1 / distance, 0.3 / distance**2, 1.9 / distance**2, 0]
    np.testing.assert_allclose(plain, expected, atol=1e-12)


def test_axes_that_find_no_atom() -> None:
    """O asks for Cu and there is none: distances are left. It has one: what lies along e1 is left as well."""
    axes = {"O": ("Cu", "Cu")}
    found = descriptor(angular_neighbors=3, axes=axes)
    plain = found.plain_inputs(pairs_of(water()))[0].view(3, -1)[0]  # of H
    np.testing.assert_allclose(plain[:8], [1 / 0.9, 0, 0, 0, 1.0, 0, 0, 0], atol=1e-12)
    plain = found.plain_inputs(pairs_of(water() + Atoms("Cu", positions=[[0, -2.0, 0]])))[0].view(3, -1)
    np.testing.assert_allclose(plain[0, :8], [1 / 0.9, 0, 0, 0, 1, -np.sin(np.radians(100)), 0, 0], atol=1e-12)
    np.testing.assert_allclose(plain[2, :4], [0.5, 0.5, 0, 0], atol=1e-12)


# ---- the flaw --------------------------------------------------------------------------------------------------------


def leaving(distance: float) -> Atoms:
    """An atom leaves the cutoff sphere of another, and stays well inside that of the third."""
    return Atoms("OHH", positions=[[0.0, 0.0, 0.0], [1.3, 0.4, 0.0], [distance, 0.0, 0.0]])


def swapping(distance: float) -> Atoms:
    """Two hydrogens at 1.5 Angstrom change places as the nearest one: `distance` is that of the second."""
    return Atoms("OHHCu", positions=[[0, 0, 0], [1.5, 0, 0], [0, distance, 0], [1.2, 1.1, 1.9]])


@pytest.mark.parametrize(("path", "crossing"), [(leaving, CUTOFF), (swapping, 1.5)], ids=["cutoff", "swap"])
def test_the_energy_jumps_where_deeppot_se_does_not(path: Callable[[float], Atoms], crossing: float) -> None:
    """At a known crossing: finite, the same however near one comes, and forces do not see it."""
    smooth = open_model(Potential(random_model(random_config(), seed=3), CUTOFF), "float64")
    steps = np.array([1e-4, 3e-5, 1e-5])

    def changes(model: Model) -> np.ndarray:
        energies = [[model.evaluate(path(crossing + s * h)).energy.item() for s in (1, -1)] for h in steps]
        return np.abs(np.diff(energies)[:, 0])

    for kind in ("local-frame", "deep-potential"):
        jumps = changes(random_potential(kind))
        assert jumps[-1] > 3e-4
        np.testing.assert_allclose(jumps, jumps[-1], rtol=0.1)
    assert (changes(smooth) <= 2 * steps).all()
