"""Structures on a page: what the viewer gets, and that a browser turns and plays it without network."""

import shutil
import subprocess
from base64 import b64decode
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from dp_sim.recipes.results.page.html import report_html
from dp_sim.recipes.results.page.scene import MOST_ATOMS, MOST_FRAMES, MOST_PLACES, chosen_frames, movie, unbroken


def frames_of(data: dict) -> np.ndarray:
    numbers = np.frombuffer(b64decode(data["coordinates"]), dtype="<i2")
    return np.array(data["middle"]) + data["step"] * numbers.reshape(len(data["labels"]), len(data["elements"]), 3)


def bonds_of(data: dict) -> list[set[tuple[int, int]]]:
    pairs = np.frombuffer(b64decode(data["bonds"]), dtype="<u2").reshape(-1, 2).tolist()
    ends = np.cumsum([0, *data["bond_counts"]])
    return [{tuple(pair) for pair in pairs[a:b]} for a, b in pairwise(ends)]


def test_the_viewer_gets_every_frame_with_the_bonds_of_its_own():
    water = molecule("H2O")
    apart = water.copy()
    apart.positions[2] += [0, 0, 3.0]
    data = movie([water, apart], ["bound", "apart"])
    np.testing.assert_allclose(frames_of(data), [water.positions, apart.positions], atol=1e-3)
    assert bonds_of(data) == [{(0, 1), (0, 2)}, {(0, 1)}]
    assert (data["cells"], data["labels"]) == (None, ["bound", "apart"])
    still = ElementTree.fromstring(b64decode(data["still"]))
    assert [circle.get("fill") for circle in still.iter("{http://www.w3.org/2000/svg}circle")].count("#ff0d0d") == 1


def test_nothing_to_draw_and_too_much_to_draw_have_no_picture():
    assert movie([], []) is None
    assert movie([Atoms()], ["nothing"]) is None
    assert movie([Atoms("H" * (MOST_ATOMS + 1))], ["crowd"]) is None


@given(st.integers(1, 3000), st.integers(1, 30_000))
def test_chosen_frames_hold_the_ends_and_stay_few(number, n_atoms):
    chosen = chosen_frames(number, n_atoms)
    assert chosen == sorted(set(chosen))
    assert chosen[-1] == number - 1
    assert len(chosen) == 1 or (chosen[0] == 0 and len(chosen) * n_atoms <= MOST_PLACES)
    assert len(chosen) <= MOST_FRAMES


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=3, max_size=3), st.tuples(*[st.integers(-3, 3)] * 3))
def test_molecules_that_faces_cut_are_put_together(places, shift):
    """Bond lengths are those of the molecules, wherever a cell's faces and whole lattice vectors put their atoms."""
    cell = np.array([[6.0, 0, 0], [1.0, 6.0, 0], [0, 1.0, 6.0]])
    single = molecule("H2O")
    box = Atoms(pbc=True, cell=cell)
    for number, place in enumerate(places):
        one = single.copy()
        one.positions += np.array(place) + np.array([0.5 * number, 2.0 * number, 0]) @ cell * 0.9
        box += one
    if any(box.get_distance(a, b, mic=True) < 2.5 for a in range(0, 9, 3) for b in range(a + 3, 9, 3)):
        return  # the molecules touch
    moved = box.copy()
    moved.positions[1] += np.array(shift) @ cell
    moved.wrap()
    found = unbroken(moved)
    for first in range(0, 9, 3):
        np.testing.assert_allclose(np.linalg.norm(found[first + 1] - found[first], axis=-1), 0.969, atol=1e-3)
        np.testing.assert_allclose(np.linalg.norm(found[first + 2] - found[first], axis=-1), 0.969, atol=1e-3)


def test_a_crystal_stays_in_its_cell():
    copper = bulk("Cu", cubic=True) * 2
    np.testing.assert_allclose(unbroken(copper), copper.positions, atol=1e-9)


def page_of(data: dict | None) -> str:
    content = {"title": "A run", "recipe": "test", "converged": True, "cause": "", "values": {}, "provenance": {}}
    return report_html(content, {}, data)


def test_a_label_with_markup_stays_text():
    page = page_of(movie([molecule("H2O")], ["</script><script>alert(1)"], note="<b>"))
    assert page.count("<script") == 2
    assert "alert(1)" in page
    assert "&lt;b&gt;" in page


def test_a_browser_plays_the_frames_and_shows_a_still_without_scripts(tmp_path):
    """The page as it is ends at the label of a frame; with scripts forbidden the picture is there."""
    chromium = shutil.which("chromium") or pytest.skip("no chromium here")
    frames = [Atoms("N2", [[0, 0, 0], [0, 0, 1 + k]]) for k in range(3)]
    page = page_of(movie(frames, ["one", "two", "three"]))
    forbidden = "<head><meta http-equiv=Content-Security-Policy content=\"script-src 'none'\">"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "still.html").write_text(page.replace("<head>", forbidden), encoding="utf-8")

    def dom(name: str) -> str:
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
        address = (tmp_path / f"{name}.html").as_uri()
        return subprocess.run(
            [chromium, *arguments, "--virtual-time-budget=500", "--dump-dom", address],
            check=True, capture_output=True, timeout=120, text=True,
        ).stdout  # fmt: skip

    assert '<span id="view-shown">three</span>' in dom("page")
    assert '<span id="view-shown"></span>' in dom("still")
