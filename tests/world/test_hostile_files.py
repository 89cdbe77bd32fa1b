"""Files made to do harm: refused in a sentence, nothing executed; a page shows what they say as text."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edited_model import rewritten
from random_model import write_random_model
from refusals import refused

from dp_sim.cli.support import config_file
from dp_sim.config.training_input import read_config
from dp_sim.datasets.reading import read_frames
from dp_sim.deepmd.importing import read_deepmd
from dp_sim.model.model_file import load_model
from dp_sim.recipes.results.page.html import report_html
from dp_sim.training.checkpoint import load_checkpoint

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


@pytest.mark.parametrize(
    ("name", "reader", "container", "code"),
    [
        ("model.pt", load_model, "zip", "model-not-ours"),
        ("model.pt", load_model, "bare", "file-damaged"),
        ("checkpoint.pt", load_checkpoint, "zip", "file-damaged"),
        ("checkpoint.pt", load_checkpoint, "bare", "file-damaged"),
        ("deepmd.pth", read_deepmd, "zip", "file-damaged"),
        ("deepmd.pth", read_deepmd, "bare", "file-kind"),
        ("deepmd.pt", read_deepmd, "zip", "file-damaged"),
        ("deepmd.pt", read_deepmd, "bare", "file-damaged"),
        ("deepmd.dp", read_deepmd, "zip", "file-kind"),
        ("deepmd.dp", read_deepmd, "bare", "file-kind"),
    ],
)
def test_pickles_are_refused_and_run_nothing(
    tmp_path: Path, name: str, reader: Callable[[Path], object], container: str, code: str
) -> None:
    proof = tmp_path / "proof"
    if container == "zip":
        torch.save({"model": Harm(proof)}, tmp_path / name)
    else:
        (tmp_path / name).write_bytes(pickle.dumps(Harm(proof), protocol=2))
    with refused(code, name):
        reader(tmp_path / name)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Harm(proof))).close()
    assert proof.exists(), "a reader that unpickled would have left this"


def test_a_pickle_inside_a_model_file_runs_nothing(tmp_path: Path) -> None:
    """Right checksums, right metadata, and a pickle of Python's in place of TorchScript's."""
    proof = tmp_path / "proof"
    evil = {"data.pkl": pickle.dumps(Harm(proof), protocol=2)}
    model = write_random_model(tmp_path / "model.pt", species=("H", "O"))
    edited = rewritten(model, tmp_path / "edited.pt", lambda members: members.update(evil), checksums="anew")
    with refused("file-damaged", "edited.pt"):
        load_model(edited)
    assert not proof.exists()


def test_a_pickle_in_an_array_runs_nothing(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    folder = deepmd_folder(tmp_path / "sys", lambda path: np.save(path, np.array([Harm(proof)], dtype=object)))
    with refused("array-damaged", "coord.npy"):
        read_frames(folder)
    assert not proof.exists()


def test_an_array_that_claims_to_be_huge(tmp_path: Path) -> None:
    def claim(path: Path) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 3)})
        path.write_bytes(header.getvalue() + bytes(24))

    with refused("array-damaged", "coord.npy"):
        read_frames(deepmd_folder(tmp_path / "sys", claim))


# ---- YAML ----

YAML_READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "training": (read_config, "file-unreadable"),
    "command": (config_file.read_settings, "file-unreadable"),
    "deepmd": (read_deepmd, "file-damaged"),
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
    read, code = YAML_READERS[reader]
    with refused(code, "file.yaml") as caught:
        read(file)
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
