"""What a structure file states beyond its atoms, as users wrote it: acted on, noted or refused, never passed over."""

from pathlib import Path

import pytest
from ase.build import bulk, molecule
from ase.io import write
from refusals import refused

from dp_sim.cli.support.structure_files import read_structure, read_structures
from dp_sim.model.model_file import read_metadata
from dp_sim.structures.stated import notes_of

EXAMPLES = Path(__file__).resolve().parents[2] / "example_systems"
#: Two elements on one site, as files of alloys have it, without a column of occupancies.
DISORDERED = """data_alloy
_cell_length_a 3.8
_cell_length_b 3.8
_cell_length_c 3.8
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cu1 Cu 0.0 0.0 0.0
{other} {element} {x} {x} 0.0
"""


def test_two_elements_on_one_site_are_refused(tmp_path: Path) -> None:
    """ASE keeps the first element and drops the other with a warning of two numbers."""
    (tmp_path / "alloy.cif").write_text(DISORDERED.format(other="Au1", element="Au", x=0.0))
    with refused("occupancy-partial", "alloy.cif", "Cu", "Au"):
        read_structure(str(tmp_path / "alloy.cif"))


def test_a_site_that_is_listed_twice_is_one_site(tmp_path: Path) -> None:
    """A position and its image under the symmetry of the file, as many programs write both."""
    (tmp_path / "copper.cif").write_text(DISORDERED.format(other="Cu2", element="Cu", x=0.5))
    assert read_structure(str(tmp_path / "copper.cif")).get_chemical_symbols() == ["Cu"] * 4


def test_of_several_structures_the_last_is_taken_and_that_is_noted(tmp_path: Path) -> None:
    first, last = molecule("H2O"), molecule("NH3")
    write(tmp_path / "two.xyz", [first, last])
    taken = read_structure(str(tmp_path / "two.xyz"))
    assert str(taken.symbols) == str(last.symbols)
    assert any("several structures" in note for note in notes_of(taken))
    assert not notes_of(read_structure(f"{tmp_path / 'two.xyz'}@0"))
    write(tmp_path / "one.xyz", first)
    assert not notes_of(read_structure(str(tmp_path / "one.xyz")))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("POSCAR", "vasp"),
        ("copper.vasp", "vasp"),
        ("copper.gen", "gen"),
        ("copper.cube", "cube"),
        ("copper.res", "res"),
        ("copper.gjf", "gaussian-in"),
        ("copper.cif", "cif"),
        ("copper.xsf", "xsf"),
        ("copper.json", "json"),
        ("copper.traj", "traj"),
        ("copper.extxyz", "extxyz"),
        ("XDATCAR", "vasp-xdatcar"),
    ],
)
def test_formats_of_one_and_of_several_structures_are_read(name: str, kind: str, tmp_path: Path) -> None:
    """As ASE writes them; of formats that hold one structure, ASE takes no slice."""
    copper = bulk("Cu", cubic=True)
    write(tmp_path / name, [copper] if kind == "vasp-xdatcar" else copper, format=kind)
    for read in (read_structure, lambda file: read_structures(file)[-1]):
        assert read(str(tmp_path / name)).get_chemical_symbols() == ["Cu"] * 4


@pytest.mark.parametrize(("group", "noted"), [("P 21 21 21", True), ("P 1", False), ("", False)])
def test_a_space_group_in_a_pdb_file_is_noted(group: str, noted: bool, tmp_path: Path) -> None:
    """Copies by symmetry are not made: the file may hold one of several molecules of the cell."""
    cell = f"CRYST1   20.000   20.000   20.000  90.00  90.00  90.00 {group:<11s}   4\n"
    atom = "HETATM    1  O   HOH A   1       1.000   2.000   3.000  1.00  0.00           O\n"
    (tmp_path / "water.pdb").write_text(cell + atom + "END\n")
    notes = notes_of(read_structure(str(tmp_path / "water.pdb")))
    assert any("P 21 21 21" in note for note in notes) == noted


@pytest.mark.parametrize(("statement", "accepted"), [("units=bohr", False), ("units=Angstrom", True)])
def test_a_unit_of_length_is_angstrom_or_refused(statement: str, accepted: bool, tmp_path: Path) -> None:
    (tmp_path / "h2.xyz").write_text(f"2\n{statement}\nH 0 0 0\nH 0 0 0.74\n")
    if accepted:
        assert len(read_structure(str(tmp_path / "h2.xyz"))) == 2
        return
    with refused("units-unsupported", "h2.xyz", "bohr"):
        read_structure(str(tmp_path / "h2.xyz"))


@pytest.mark.parametrize("name", ["ethanol", "water"])
def test_shipped_models_carry_checksums(name: str, tmp_path: Path) -> None:
    """So that an edited copy of one is refused, whoever packed it again."""
    import json
    import zipfile

    source = EXAMPLES / name / f"{name}.pt"
    edited = tmp_path / "edited.pt"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(edited, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member.endswith("dp_sim.json"):
                metadata = json.loads(content)
                metadata["species"] = metadata["config"]["species"] = metadata["species"][::-1]
                content = json.dumps(metadata).encode()
            new.writestr(member, content)
    read_metadata(source)
    with refused("file-damaged", "edited.pt", "SHA-256"):
        read_metadata(edited)
