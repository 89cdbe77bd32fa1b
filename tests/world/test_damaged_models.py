"""Model files and checkpoints that are damaged or edited: refused in a sentence, never another number."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from edited_model import rewritten, with_metadata
from random_model import write_random_model
from refusals import refused

from dp_sim.errors import ModelFileError
from dp_sim.model.integrity import METADATA
from dp_sim.model.model_file import load_model
from dp_sim.training.checkpoint import load_checkpoint, save_checkpoint

WATER = Atoms("OHH", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.4, 0.8, 0.1]])


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.pt", species=("H", "O"))


# ---- model files: damage ----


def test_a_flipped_bit_never_gives_another_energy(model_file: Path, tmp_path: Path) -> None:
    """One in the content of every member, and 60 anywhere: refused, or in a byte that nothing depends on."""
    content = bytearray(model_file.read_bytes())
    expected = load_model(model_file).evaluate(WATER).energy
    rng = random.Random(5)
    refusals: list[str] = []
    inside: list[int] = []
    with zipfile.ZipFile(model_file) as file:
        for info in file.infolist():
            name_and_padding = np.frombuffer(content, dtype="<u2", count=2, offset=info.header_offset + 26)
            start = info.header_offset + 30 + int(name_and_padding.sum())
            inside += [start + rng.randrange(info.compress_size)] if info.compress_size else []
    for place in [*inside, *(rng.randrange(len(content)) for _ in range(60))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        (tmp_path / "flipped.pt").write_bytes(flipped)
        try:
            energy = load_model(tmp_path / "flipped.pt").evaluate(WATER).energy
        except ModelFileError as error:
            refusals.append(str(error))
        else:
            assert torch.equal(energy, expected), f"byte {place}"
    assert len(refusals) > len(inside)
    assert all("flipped.pt" in message and "\n" not in message for message in refusals)


@pytest.mark.parametrize("kind", ["data/5", "data.pkl", METADATA])
def test_damage_that_a_crc_would_pass(model_file: Path, tmp_path: Path, kind: str) -> None:
    """Rewritten with right CRC-32, as a program that edits archives does: the SHA-256 tells, and names the part."""

    def change(members: dict[str, bytes]) -> None:
        edited = bytearray(members[kind])
        edited[len(edited) // 2] ^= 1
        members[kind] = bytes(edited)

    with refused("file-damaged", "edited.pt", f"'{kind}'"):
        load_model(rewritten(model_file, tmp_path / "edited.pt", change, checksums="stale"))


def test_members_that_were_added_or_taken_away(model_file: Path, tmp_path: Path) -> None:
    def add(members: dict[str, bytes]) -> None:
        members["code/__torch__/more.py"] = b"class More: pass"

    def take_away(members: dict[str, bytes]) -> None:
        del members[next(name for name in members if name.endswith(".debug_pkl"))]

    for change, name in ((add, "code/__torch__/more.py"), (take_away, ".debug_pkl'")):
        with refused("file-damaged", "edited.pt", name):
            load_model(rewritten(model_file, tmp_path / "edited.pt", change, checksums="stale"))


def test_two_members_of_one_name(model_file: Path, tmp_path: Path) -> None:
    """Readers differ in which of them they take."""
    (tmp_path / "twice.pt").write_bytes(model_file.read_bytes())
    with zipfile.ZipFile(tmp_path / "twice.pt", "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(f"archive/{METADATA}", "{}")
    with refused("file-damaged", "twice.pt", METADATA):
        load_model(tmp_path / "twice.pt")


def test_a_part_that_unpacks_to_gigabytes(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "bomb.pt").write_bytes(model_file.read_bytes())
    with zipfile.ZipFile(tmp_path / "bomb.pt", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/code/bomb.py", b"#" * 100_000_000)
    with refused("file-damaged", "bomb.pt", "67,108,864"):
        load_model(tmp_path / "bomb.pt")


def test_truncations(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    for length in (0, 3, 4, 100, len(content) // 2, len(content) - 100, len(content) - 1):
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with refused("file-damaged", "cut.pt"):
            load_model(tmp_path / "cut.pt")


def test_a_flipped_bit_in_a_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1000)})
    content = bytearray((tmp_path / "checkpoint.pt").read_bytes())
    content[content.index(bytes(4000)) + 2000] ^= 1
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with refused("file-damaged", "checkpoint.pt", "data/0'"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_a_checkpoint_without_a_version(tmp_path: Path) -> None:
    torch.save({"format": "dp-sim checkpoint"}, tmp_path / "checkpoint.pt")
    with refused("checkpoint-invalid", "checkpoint.pt", "'version'", "None"):
        load_checkpoint(tmp_path / "checkpoint.pt")


# ---- model files: metadata ----

EDITS = [
    ("cutoff", -1.0),
    ("cutoff", 1e9),
    ("cutoff", 5.0),
    ("cutoff", "4.0"),
    ("cutoff", float("nan")),
    ("cutoff", ...),
    ("species", ["O", "H"]),
    ("species", ["H", "Xx"]),
    ("species", []),
    ("species", "HO"),
    ("species", ...),
    ("dtype", "float32"),
    ("dtype", "float16"),
    ("version", ...),
    ("version", 0),
    ("version", "2"),
    ("version", True),
    ("config", ...),
    ("config", []),
    ("config", {}),
    ("config__cutoff", 1e9),
    ("config__cutoff", 5.0),
    ("config__fitting", [16, 17]),
    ("config__fitting", []),
    ("config__activation", "rm -rf"),
    ("config__descriptor", "radial"),
    ("config__fiting", [16]),
    ("dp_sim_version", 1),
    ("torch_version", ...),
    ("training", []),
    ("training", {"trained_species": "HO"}),
    ("training", {"last": {"valid_energy": "low"}}),
    ("training", {"radial_distribution": {"r": [1.0], "H-O": [1.0, 2.0]}}),
    ("compression", {"spacing": -1.0}),
    ("units", {"length": "bohr", "energy": "hartree"}),
    ("cut_off", 5.0),
]


@pytest.mark.filterwarnings("ignore:.*has no checksums")
@pytest.mark.parametrize("checksums", ["anew", "dropped"])
@pytest.mark.parametrize(("field", "value"), EDITS, ids=[f"{name}={value}" for name, value in EDITS])
def test_edited_metadata(model_file: Path, tmp_path: Path, field: str, value: Any, checksums: str) -> None:
    """With checksums made to fit, or none: the sentence names the field, what was expected and what was got."""
    edited = with_metadata(**{field: value}, **({"checksums": ...} if checksums == "dropped" else {}))
    with refused("model-metadata", "edited.pt", "expected", "got") as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", edited, checksums=checksums))
    message = str(caught.value)
    named = field.removeprefix("config__")
    assert any(name in message for name in (named, "config")), message
    assert "\n" not in message


@pytest.mark.parametrize(
    "change",
    [{"cutoff": 5.0, "config__cutoff": 5.0}, {"dtype": "float32", "config__precision": "float32"}],
    ids=["cutoff", "precision"],
)
def test_metadata_at_odds_with_the_network(model_file: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    edited = with_metadata(**change)
    with refused("model-metadata", "edited.pt", next(iter(change))):
        load_model(rewritten(model_file, tmp_path / "edited.pt", edited, checksums="anew"))


def test_dropped_checksums_are_missed(model_file: Path, tmp_path: Path) -> None:
    with refused("model-metadata", "edited.pt", "'checksums'"):
        load_model(rewritten(model_file, tmp_path / "edited.pt", lambda members: None, checksums="dropped"))


def test_files_of_earlier_versions_have_no_checksums(model_file: Path, tmp_path: Path) -> None:
    old = rewritten(model_file, tmp_path / "old.pt", with_metadata(checksums=...), checksums="dropped")
    with pytest.warns(UserWarning, match="old.pt has no checksums"):
        opened = load_model(old)
    assert torch.equal(opened.evaluate(WATER).energy, load_model(model_file).evaluate(WATER).energy)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": "other"}'])
def test_metadata_that_is_none(model_file: Path, tmp_path: Path, text: bytes) -> None:
    edited = rewritten(model_file, tmp_path / "edited.pt", lambda m: m.update({METADATA: text}), checksums="anew")
    with refused("model-not-ours" if b"other" in text else "model-metadata", "edited.pt"):
        load_model(edited)
