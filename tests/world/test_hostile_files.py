"""Files that are damaged, edited or made to do harm: refused in a sentence, nothing executed, never another number."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import re
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from random_model import write_random_model

from dp_sim.cli.support import config_file
from dp_sim.config.reading import read_config
from dp_sim.datasets.reading import read_frames
from dp_sim.deepmd.importing import read_deepmd
from dp_sim.errors import InputError, ModelFileError
from dp_sim.model.integrity import CHECKSUMS, METADATA
from dp_sim.model.model_file import load_model
from dp_sim.recipes.results.html import report_html
from dp_sim.training.checkpoint import load_checkpoint, save_checkpoint

WATER = Atoms("OHH", positions=[[0, 0, 0], [0.9, 0.3, 0], [-0.4, 0.8, 0.1]])


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("model") / "model.pt", species=("H", "O"))


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None], *, checksums: str) -> Path:
    """A model file with other members; its checksums "stale", "anew" or "dropped", its CRC-32 right in any case."""
    with zipfile.ZipFile(source) as file:
        members = {name.partition("/")[2]: file.read(name) for name in file.namelist()}
    change(members)
    if checksums != "stale":
        del members[CHECKSUMS]
    if checksums == "anew":
        lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in members.items())
        members[CHECKSUMS] = "".join(lines).encode()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(f"archive/{name}", content)
    return target


def with_metadata(**fields: Any) -> Callable[[dict[str, bytes]], None]:
    """Other metadata; a field that is `...` is dropped, `config__key` goes into the settings."""

    def change(members: dict[str, bytes]) -> None:
        content = json.loads(members[METADATA])
        for name, value in fields.items():
            place, key = (content["config"], name[8:]) if name.startswith("config__") else (content, name)
            if value is ...:
                del place[key]
            else:
                place[key] = value
        members[METADATA] = json.dumps(content).encode()

    return change


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
            lengths = np.frombuffer(
                content, dtype="<u2", count=2, offset=info.header_offset + 26
            )  # of name and padding
            start = info.header_offset + 30 + int(lengths.sum())
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

    with pytest.raises(ModelFileError, match=re.escape(f"'{kind}'")) as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", change, checksums="stale"))
    assert caught.value.code == "file-damaged"


@pytest.mark.parametrize("edit", ["added", "missing"])
def test_members_that_were_added_or_taken_away(model_file: Path, tmp_path: Path, edit: str) -> None:
    def change(members: dict[str, bytes]) -> None:
        if edit == "added":
            members["code/__torch__/more.py"] = b"class More: pass"
        else:
            del members[next(name for name in members if name.endswith(".debug_pkl"))]

    with pytest.raises(ModelFileError, match="no such part") as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", change, checksums="stale"))
    assert caught.value.code == "file-damaged"


def test_two_members_of_one_name(model_file: Path, tmp_path: Path) -> None:
    """Readers differ in which of them they take."""
    (tmp_path / "twice.pt").write_bytes(model_file.read_bytes())
    with zipfile.ZipFile(tmp_path / "twice.pt", "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(f"archive/{METADATA}", "{}")
    with pytest.raises(ModelFileError, match="two parts named") as caught:
        load_model(tmp_path / "twice.pt")
    assert caught.value.code == "file-damaged"


def test_a_part_that_unpacks_to_gigabytes(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "bomb.pt").write_bytes(model_file.read_bytes())
    with zipfile.ZipFile(tmp_path / "bomb.pt", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/code/bomb.py", b"#" * 100_000_000)
    with pytest.raises(ModelFileError, match="compressed parts would take") as caught:
        load_model(tmp_path / "bomb.pt")
    assert caught.value.code == "file-damaged"


def test_truncations(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    for length in (0, 3, 4, 100, len(content) // 2, len(content) - 100, len(content) - 1):
        (tmp_path / "cut.pt").write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"cut\.pt is no complete model file") as caught:
            load_model(tmp_path / "cut.pt")
        assert caught.value.code == "file-damaged"


def test_a_flipped_bit_in_a_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"weights": torch.zeros(1000)})
    content = bytearray((tmp_path / "checkpoint.pt").read_bytes())
    content[content.index(bytes(4000)) + 2000] ^= 1
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"checkpoint\.pt.*data/0") as caught:
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert caught.value.code == "file-damaged"


def test_a_checkpoint_without_a_version(tmp_path: Path) -> None:
    torch.save({"format": "dp-sim checkpoint"}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelFileError, match=r"checkpoint\.pt: 'version'") as caught:
        load_checkpoint(tmp_path / "checkpoint.pt")
    assert caught.value.code == "checkpoint-invalid"


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


@pytest.mark.parametrize("checksums", ["anew", "dropped"])
@pytest.mark.parametrize(("field", "value"), EDITS, ids=[f"{name}={value}" for name, value in EDITS])
def test_edited_metadata(model_file: Path, tmp_path: Path, field: str, value: Any, checksums: str) -> None:
    """With checksums made to fit, or none: the sentence names the field, what was expected and what was got."""
    edited = with_metadata(**{field: value}, **({"checksums": ...} if checksums == "dropped" else {}))
    with pytest.raises(ModelFileError) as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", edited, checksums=checksums))
    assert caught.value.code == "model-metadata"
    message = str(caught.value)
    named = field.removeprefix("config__")
    assert any(name in message for name in (named, "config")), message
    for part in ("edited.pt", "expected", "got"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "change",
    [{"cutoff": 5.0, "config__cutoff": 5.0}, {"dtype": "float32", "config__precision": "float32"}],
    ids=["cutoff", "precision"],
)
def test_metadata_at_odds_with_the_network(model_file: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    edited = with_metadata(**change)
    with pytest.raises(ModelFileError, match=next(iter(change))) as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", edited, checksums="anew"))
    assert caught.value.code == "model-metadata"


def test_dropped_checksums_are_missed(model_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="checksums") as caught:
        load_model(rewritten(model_file, tmp_path / "edited.pt", lambda members: None, checksums="dropped"))
    assert caught.value.code == "model-metadata"


def test_files_of_earlier_versions_have_no_checksums(model_file: Path, tmp_path: Path) -> None:
    old = rewritten(model_file, tmp_path / "old.pt", with_metadata(checksums=...), checksums="dropped")
    got, expected = (load_model(path).evaluate(WATER).energy for path in (old, model_file))
    assert torch.equal(got, expected)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": "other"}'])
def test_metadata_that_is_none(model_file: Path, tmp_path: Path, text: bytes) -> None:
    edited = rewritten(model_file, tmp_path / "edited.pt", lambda m: m.update({METADATA: text}), checksums="anew")
    with pytest.raises(ModelFileError, match=r"edited\.pt") as caught:
        load_model(edited)
    assert caught.value.code in ("model-metadata", "model-not-ours")


# ---- pickles ----


class Harm:
    """Unpickled, it creates a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.proof), "w")


def deepmd_folder(folder: Path, array: Callable[[Path], None]) -> Path:
    """One atom of argon in DeePMD-kit's folders, its coordinates written by `array`."""
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("0")
    (folder / "type_map.raw").write_text("Ar")
    (folder / "nopbc").touch()
    array(folder / "set.000" / "coord.npy")
    return folder


READERS: dict[str, Callable[[Path], object]] = {
    "model.pt": load_model,
    "checkpoint.pt": load_checkpoint,
    "deepmd.pth": read_deepmd,
    "deepmd.pt": read_deepmd,
    "deepmd.dp": read_deepmd,
}


@pytest.mark.parametrize("container", ["zip", "bare"])
@pytest.mark.parametrize("name", READERS)
def test_pickles_are_refused_and_run_nothing(tmp_path: Path, name: str, container: str) -> None:
    proof = tmp_path / "proof"
    if container == "zip":
        torch.save({"model": Harm(proof)}, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Harm(proof), protocol=2))
    with pytest.raises(InputError, match=re.escape(name)):
        READERS[name](tmp_path / name)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Harm(proof))).close()
    assert proof.exists(), "a reader that unpickled would have left this"


def test_a_pickle_inside_a_model_file_runs_nothing(model_file: Path, tmp_path: Path) -> None:
    """Right checksums, right metadata, and a pickle of Python's in place of TorchScript's."""
    proof = tmp_path / "proof"
    evil = {"data.pkl": pickle.dumps(Harm(proof), protocol=2)}
    edited = rewritten(model_file, tmp_path / "edited.pt", lambda members: members.update(evil), checksums="anew")
    with pytest.raises(ModelFileError, match=r"edited\.pt") as caught:
        load_model(edited)
    assert caught.value.code == "file-damaged"
    assert not proof.exists()


def test_a_pickle_in_an_array_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    folder = deepmd_folder(tmp_path / "sys", lambda path: np.save(path, np.array([Harm(proof)], dtype=object)))
    with pytest.raises(InputError, match=r"coord\.npy"):
        read_frames(folder)
    assert not proof.exists()


def test_an_array_that_claims_to_be_huge(tmp_path: Path) -> None:
    def claim(path: Path) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)})
        path.write_bytes(header.getvalue() + bytes(24))

    with pytest.raises(InputError, match=r"coord\.npy"):
        read_frames(deepmd_folder(tmp_path / "sys", claim))


# ---- YAML ----

YAML_READERS: dict[str, Callable[[Path], object]] = {
    "training": read_config,
    "command": config_file.read_config,
    "deepmd": read_deepmd,
}


def laughs(key: str) -> str:
    """Nine levels of nine aliases each: 4e8 values in a few lines, where `key` stands."""
    first = ["base: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels = [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    nested = "[&a0 [x, x, x, x, x, x, x, x, x], " + ", ".join(
        f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    )
    return (
        "\n".join([*first, *levels]) + "\n" if key == "top" else f"data: {{train: [a]}}\nmodel: {{cutoff: {nested}]}}\n"
    )


@pytest.mark.parametrize("reader", YAML_READERS)
@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:builtins.open ['PROOF', 'w']",
        "model: !!python/object/apply:builtins.open ['PROOF', 'w']",
        "model: !!python/name:os.system",
        laughs("top"),
        laughs("nested"),
        "model: " + "[" * 100_000,
        "model: &a [*a]",
    ],
    ids=["tag", "inner tag", "name", "bomb", "inner bomb", "deep", "circle"],
)
def test_yaml_that_would_do_harm(tmp_path: Path, text: str, reader: str) -> None:
    proof, file = tmp_path / "proof", tmp_path / "file.yaml"
    file.write_text(text.replace("PROOF", str(proof)))
    with pytest.raises(InputError, match=r"file\.yaml") as caught:
        YAML_READERS[reader](file)
    assert len(str(caught.value)) < 1000
    assert not proof.exists()


# ---- pages ----

INJECTION = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


class Tags(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in ("script", "iframe", "object", "link") else []
        self.found += [name for name, value in attrs if name.startswith("on") or (name == "src" and value == "x")]


def test_a_page_escapes_all_that_comes_from_files() -> None:
    number = {"value": 1.0, "unit": INJECTION, "error": 0.1, "ci95": [0.9, 1.1], "n_effective": 9.0, "cause": None}
    withheld = {"value": None, "unit": "eV", "error": None, "cause": INJECTION}
    exact = {"value": INJECTION, "unit": INJECTION, "error": None, "cause": None}
    content = {
        "recipe": INJECTION,
        "title": INJECTION,
        "converged": False,
        "cause": INJECTION,
        "values": {INJECTION: number, "withheld": withheld, "exact": exact},
        "provenance": {
            "date": INJECTION,
            "model": INJECTION,
            "nested": {INJECTION: INJECTION},
            "settings": {INJECTION: INJECTION, "list": [INJECTION]},
        },
    }
    page = report_html(content, {INJECTION: b"\x89PNG" + bytes(30)})
    tags = Tags()
    tags.feed(page)
    assert tags.found == []
    assert page.count("&lt;script&gt;") >= 10, "it is shown, as text"
