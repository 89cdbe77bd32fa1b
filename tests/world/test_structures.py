"""Structure files of other programs: what they say is honoured, told of, or refused by name.

The lines come from the files that people reported (the number of the report stands beside them) or from the writers of
OpenMM, MDTraj and ASE.
"""

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.io import read, write
from refusals import refused

from dp_sim.datasets.reading import read_frames
from dp_sim.datasets.remarks import Remarks
from dp_sim.recipes.inputs.structures import check_structure
from dp_sim.structures.reading.read import read_file
from dp_sim.structures.stated import check_occupancy, notes_of, refuse_state, stated_charge, stated_multiplicity

#: 1CBN, residue 25 (openmm/openmm #2077).
ALTERNATES = """\
CRYST1   40.960   18.650   22.520  90.00  90.77  90.00 P 1 21 1      2
ATOM    415  N  AILE A  25       4.377  15.265   1.447  0.20  2.82           N
ATOM    416  N  BILE A  25       4.377  15.265   1.447  0.80  2.82           N
ATOM    417  CA AILE A  25       3.033  14.786   1.800  0.20  2.71           C
ATOM    418  CA BILE A  25       3.033  14.786   1.800  0.80  2.71           C
END
"""
ANGLES = ("alpha", "beta", "gamma")
#: The cell of 2KOC, solved by NMR (mdtraj/mdtraj #970); with an element column and a formal charge.
PLACEHOLDER = """\
CRYST1    1.000    1.000    1.000  90.00  90.00  90.00 P 1           1
ATOM      1  N   NH4 A   1       0.000   0.000   0.000  1.00  0.00           N1+
ATOM      2  H1  NH4 A   1       0.600   0.600   0.600  1.00  0.00           H
ATOM      3  H2  NH4 A   1      -0.600  -0.600   0.600  1.00  0.00           H
ATOM      4  H3  NH4 A   1      -0.600   0.600  -0.600  1.00  0.00           H
ATOM      5  H4  NH4 A   1       0.600  -0.600  -0.600  1.00  0.00           H
END
"""
#: From mdtraj/mdtraj #1767 (CL1 read as carbon) and #909 (CAL and CLA), with the ions of other force fields.
IONS_GRO = """\
chlorine and ions
    9
    1LIG     C1    1   1.919   1.196   1.987
    1LIG    CL1    2   1.551   1.177   1.828
    1LIG     H1    3   1.972   1.154   2.074
    2CAL    CAL    4   0.100   0.100   0.100
    3CLA    CLA    5   0.500   0.500   0.500
    4NA      NA    6   0.900   0.900   0.900
    5ZN      ZN    7   0.300   1.300   1.300
    6ALA     CA    8   1.100   0.400   0.400
    7SER    HG1    9   0.600   1.600   1.600
   2.50000   2.50000   2.50000
"""
#: Cu0.5Au0.5, disordered.
CU_AU = """\
data_CuAu
_cell_length_a 3.85
_cell_length_b 3.85
_cell_length_c 3.85
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cu1 Cu 0.5 0 0 0
Au1 Au 0.5 0 0 0
"""
#: Ice Ih in space group P6_3/mmc: every hydrogen site is half filled.
ICE = """\
data_ice
_cell_length_a 4.511
_cell_length_b 4.511
_cell_length_c 7.346
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_Int_Tables_number 194
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
O1 O 0.3333 0.6667 0.0620 1.0
H1 H 0.3333 0.6667 0.1989 0.5
H2 H 0.4551 0.9102 0.0182 0.5
"""


def one(folder: Path, name: str, content: str) -> Atoms:
    (folder / name).write_text(content)
    (found,) = read_file(folder / name, "-1")
    return found


@pytest.mark.parametrize(("content", "named"), [(CU_AU, "0.5 Cu + 0.5 Au"), (ICE, "0.5 H")])
def test_fractional_occupancies_of_a_cif_are_refused(tmp_path, content, named):
    with refused("occupancy-partial", named):
        check_occupancy(one(tmp_path, "disordered.cif", content))


def test_a_cif_of_whole_atoms_is_read(tmp_path):
    write(tmp_path / "cu.cif", bulk("Cu", cubic=True))
    (copper,) = read_file(tmp_path / "cu.cif", "-1")
    check_occupancy(copper)
    assert str(copper.symbols) == "Cu4"


def test_alternate_locations_are_refused_by_residue_and_atom(tmp_path):
    with refused("locations-alternate", "A, B", "ILE A25", "N, CA"):
        one(tmp_path, "1cbn.pdb", ALTERNATES)


def test_one_location_alone_is_refused_for_its_occupancy(tmp_path):
    kept = "".join(line + "\n" for line in ALTERNATES.splitlines() if line[16:17] != "B")
    with refused("occupancy-partial", "0.2"):
        check_occupancy(one(tmp_path, "a.pdb", kept))


def test_the_placeholder_for_no_cell_is_none_and_a_formal_charge_is_a_charge(tmp_path):
    ammonium = one(tmp_path, "nmr.pdb", PLACEHOLDER)
    assert not ammonium.pbc.any()
    assert not ammonium.cell.array.any()
    assert stated_charge(ammonium) == 1
    assert any("placeholder" in note for note in notes_of(ammonium))


def test_a_pdb_without_elements_has_alpha_carbons_and_no_calcium(tmp_path):
    line = "ATOM      1  CA  ALA A   1       0.000   0.000   0.000\n"
    assert str(one(tmp_path, "old.pdb", line + "END\n").symbols) == "C"
    ion = "HETATM    1 CA    CA A   1       0.000   0.000   0.000\n"
    assert str(one(tmp_path, "ion.pdb", ion + "END\n").symbols) == "Ca"
    with refused("elements-ambiguous", "CA in LIG"):
        one(tmp_path, "ligand.pdb", line.replace("ALA", "LIG"))


def test_every_model_of_a_pdb_has_the_cell_and_no_empty_one_follows(tmp_path):
    """ASE writes the cell before each model; MDTraj and OpenMM once."""
    atom = "ATOM      1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n"
    cell = "CRYST1   12.000   13.000   14.000  90.00  90.00  90.00 P 1           1\n"
    text = cell + "".join(f"MODEL {number}\n{atom}ENDMDL\n" for number in (1, 2)) + "END\n"
    (tmp_path / "two.pdb").write_text(text)
    models = read_file(tmp_path / "two.pdb", ":")
    assert [model.cell.lengths().tolist() for model in models] == [[12, 13, 14], [12, 13, 14]]
    with refused("index-out-of-range", "2"):
        read_file(tmp_path / "two.pdb", "2")


def test_elements_in_gro_are_told_by_names_and_residues(tmp_path):
    ions = one(tmp_path, "ions.gro", IONS_GRO)
    assert ions.get_chemical_symbols() == ["C", "Cl", "H", "Ca", "Cl", "Na", "Zn", "C", "H"]
    assert any("CAL as Ca" in note for note in notes_of(ions))
    with refused("elements-ambiguous", "CA in LIG"):
        one(tmp_path, "ligand.gro", IONS_GRO.replace("LIG     C1", "LIG     CA"))


def test_the_sites_of_four_site_water_are_named_as_what_they_are(tmp_path):
    lines = [
        "    1SOL     OW    1   0.230   0.628   0.113",
        "    1SOL    HW1    2   0.137   0.626   0.150",
        "    1SOL    HW2    3   0.231   0.589   0.021",
        "    1SOL     MW    4   0.219   0.620   0.104",
    ]
    text = "\n".join(["tip4p", "    4", *lines, "   1.86206   1.86206   1.86206"]) + "\n"
    with refused("sites-massless", "MW", "atom 3", "SOL"):
        one(tmp_path, "tip4p.gro", text)
    with refused("sites-massless", "Mw"):
        one(tmp_path, "tip4p.xyz", "2\n\nO 0 0 0\nMW 0 0 0.1\n")


def test_water_and_ions_from_openmm_and_mdtraj_are_the_same_in_every_format(tmp_path):
    pytest.importorskip("openmm", reason="OpenMM is an optional package")
    mdtraj = pytest.importorskip("mdtraj", reason="MDTraj is an optional package")
    import openmm
    from openmm import app

    for model, refusal in (("tip3p", None), ("tip4pew", "sites-massless")):
        modeller = app.Modeller(app.Topology(), [])
        force_field = app.ForceField("amber14-all.xml", f"amber14/{model}.xml")
        molar = openmm.unit.molar
        modeller.addSolvent(force_field, model=model, boxSize=openmm.Vec3(1.5, 1.5, 1.5), ionicStrength=1.0 * molar)
        with (tmp_path / "box.pdb").open("w") as file:
            app.PDBFile.writeFile(modeller.topology, modeller.positions, file)
        trajectory = mdtraj.load(str(tmp_path / "box.pdb"))
        mdtraj.join([trajectory, trajectory]).save_gro(str(tmp_path / "box.gro"))
        mdtraj.join([trajectory, trajectory]).save_pdb(str(tmp_path / "again.pdb"))
        expected = [atom.element.symbol if atom.element else "" for atom in modeller.topology.atoms()]
        for name in ("box.pdb", "box.gro", "again.pdb"):
            if refusal:
                with refused(refusal, "M", "HOH"):
                    read_file(tmp_path / name, ":")
                continue
            frames = read_file(tmp_path / name, ":")
            assert len(frames) == (1 if name == "box.pdb" else 2)
            for frame in frames:
                assert frame.get_chemical_symbols() == expected
                np.testing.assert_allclose(frame.cell.lengths(), 15.0, atol=1e-3)
                np.testing.assert_allclose(frame.positions, 10 * trajectory.xyz[0], atol=0.0061)
    assert {"Na", "Cl"} < set(expected)


def test_velocities_and_precision_of_gro(tmp_path):
    """Six decimals (gmx -ndec 6) and velocities in nm/ps."""
    text = "fine\n 1\n    1Ar     Ar    1   0.123456   0.234567   0.345678  0.1234567  0.0000000 -0.1000000\n 0 0 0\n"
    argon = one(tmp_path, "fine.gro", text)
    np.testing.assert_allclose(argon.positions[0], [1.23456, 2.34567, 3.45678])
    np.testing.assert_allclose(argon.get_velocities()[0] / argon.get_velocities()[0, 0], [1, 0, -0.1 / 0.1234567])
    assert argon.get_velocities()[0, 0] * units.fs == pytest.approx(0.1234567 * 10 / 1000)  # Angstrom per fs
    assert not argon.pbc.any()


@pytest.mark.parametrize("name", ["heavy.xyz", "POSCAR"])
def test_deuterium_is_hydrogen_with_its_mass(tmp_path, name):
    text = {
        "heavy.xyz": "3\n\nO 0 0 0\nD 0 0 1\nD 0 1 0\n",
        "POSCAR": "heavy\n1.0\n5 0 0\n0 5 0\n0 0 5\nO D\n1 2\nCartesian\n0 0 0\n0 0 1\n0 1 0\n",
    }
    heavy = one(tmp_path, name, text[name])
    assert heavy.get_chemical_symbols() == ["O", "H", "H"]
    np.testing.assert_allclose(heavy.get_masses(), [15.999, 2.01410178, 2.01410178])
    assert notes_of(heavy)


def test_an_isotope_of_a_molfile_has_its_mass(tmp_path):
    ammonia = molecule("NH3")
    ammonia.set_masses([14.007, 2.014, 1.008, 1.008])
    write(tmp_path / "isotope.sdf", ammonia)
    (found,) = read_file(tmp_path / "isotope.sdf", "-1")
    np.testing.assert_allclose(found.get_masses(), [14.007, 2.01410178, 1.008, 1.008])  # as of 'D'


def test_charges_that_ase_passes_over(tmp_path):
    atoms = "N 0.0 0.0 0.0\nH 0.6 0.6 0.6\nH -0.6 -0.6 0.6\nH -0.6 0.6 -0.6\nH 0.6 -0.6 -0.6\n"
    gaussian = one(tmp_path, "nh4.com", f"#p B3LYP/6-31G\n\nammonium\n\n1 1\n{atoms}\n")
    assert (stated_charge(gaussian), stated_multiplicity(gaussian)) == (1, 1)
    write(tmp_path / "nh4.sdf", gaussian)
    text = (tmp_path / "nh4.sdf").read_text()
    assert stated_charge(one(tmp_path, "nh4.sdf", text.replace("M  END", "M  CHG  1   1   1\nM  END"))) == 1
    assert stated_charge(one(tmp_path, "plain.sdf", text)) is None


@pytest.mark.parametrize(
    ("comment", "charge", "multiplicity"),
    [
        ("charge=1 spin=1", 1, 1),  # OMol25 writes 2 S + 1
        ("charge=0 spin=0", 0, 1),
        ("total_charge=-1 multiplicity=1", -1, 1),
        ("charge=0 spin=3", 0, 3),
        ("uhf=2", None, 3),
        ("energy=-1", None, None),
    ],
)
def test_charge_and_spin_in_a_comment_line(tmp_path, comment, charge, multiplicity):
    electrons = "O 0 0 0\nH 0 0 1\n" if charge in (1, -1) else "O 0 0 0\nO 0 0 1.2\n"
    found = one(tmp_path, "stated.xyz", f"2\n{comment}\n{electrons}")
    assert stated_charge(found) == charge
    if charge != 1:
        assert stated_multiplicity(found) == multiplicity


def test_an_impossible_spin_is_refused(tmp_path):
    with refused("spin-impossible", "multiplicity=2", "16 electrons"):
        stated_multiplicity(one(tmp_path, "o2.xyz", "2\nmultiplicity=2\nO 0 0 0\nO 0 0 1.2\n"))
    with refused("charge-ambiguous", "charge: 1", "total_charge: 0"):
        stated_charge(one(tmp_path, "two.xyz", "2\ncharge=1 total_charge=0\nO 0 0 0\nO 0 0 1.2\n"))


@pytest.mark.parametrize(
    ("name", "content", "code", "named"),
    [
        ("numbers.xyz", "2\n\n8 0 0 0\n1 0 0 1\n", "symbol-unknown", ["'8'", "symbols"]),
        ("names.xyz", "2\n\nOW 0 0 0\nHW1 0 0 1\n", "symbol-unknown", ["Ow"]),
        ("short.xyz", "4\n\nO 0 0 0\n", "file-unreadable", ["expected 4"]),
        ("notes.foo", "Dear diary\n", "format-unknown", ["notes.foo"]),
        ("POSCAR", "4\n1.0\n5 0 0\n0 5 0\n0 0 5\n1\nDirect\n0 0 0\n", "file-unreadable", ["chemical symbols"]),
    ],
)
def test_what_a_reader_trips_over_is_a_sentence(tmp_path, name, content, code, named):
    with refused(code, *named) as info:
        one(tmp_path, name, content)
    assert "KeyError" not in str(info.value)


def test_types_of_lammps_are_no_elements(tmp_path):
    write(tmp_path / "cu.data", bulk("Cu", cubic=True), format="lammps-data", masses=True)
    (copper,) = read_file(tmp_path / "cu.data", "-1")
    assert str(copper.symbols) == "Cu4"
    write(tmp_path / "types.data", bulk("Cu", cubic=True), format="lammps-data")
    with refused("elements-ambiguous", "Masses"):
        read_file(tmp_path / "types.data", "-1")


def test_a_structure_read_by_ase_alone_is_refused_all_the_same(tmp_path):
    """In Python people read files with ase.io.read; a recipe sees no file."""
    (tmp_path / "cu_au.cif").write_text(CU_AU)
    (tmp_path / "1cbn.pdb").write_text(ALTERNATES)
    (tmp_path / "nmr.pdb").write_text(PLACEHOLDER)
    with refused("occupancy-partial"):
        check_structure(read(tmp_path / "cu_au.cif"))
    with refused("occupancy-partial"):
        check_structure(read(tmp_path / "1cbn.pdb", index=0))
    with refused("cell-placeholder"):
        check_structure(read(tmp_path / "nmr.pdb", index=0))


@pytest.mark.parametrize(
    ("comment", "charge", "multiplicity"),
    [
        ("Charge: +1", 1, None),
        ("charge +1", 1, None),
        ("H3O+  charge -1 multiplicity 1", -1, 1),
        ("total charge: 1, Mult: 1", 1, 1),
        ("optimised, charge 1+", 1, None),
        ("Charge = -1", -1, None),
        ("Coordinates from ORCA-job opt E -76.327", None, None),
        ("partial charges from RESP", None, None),
        ("discharge 3", None, None),
    ],
)
def test_charge_and_spin_in_free_text(tmp_path, comment, charge, multiplicity):
    """As people write them in plain XYZ, where ASE keeps words as flags."""
    ion = one(tmp_path, "ion.xyz", f"2\n{comment}\nO 0 0 0\nH 0 0 1\n")
    assert stated_charge(ion) == charge
    if multiplicity is not None:
        assert stated_multiplicity(ion) == multiplicity
    if charge is not None:
        with refused("charge-unsupported", f"{charge:+d}"):
            refuse_state(ion)


def test_two_numbers_in_a_comment_line_are_named(tmp_path):
    """They could be a charge and a multiplicity, as in input of Gaussian, or anything."""
    (note,) = notes_of(one(tmp_path, "pair.xyz", "2\n-1 2\nO 0 0 0\nO 0 0 1.3\n"))
    assert "'-1 2'" in note
    assert "charge=-1" in note
    assert not notes_of(one(tmp_path, "neutral.xyz", "2\n0 1\nO 0 0 0\nO 0 0 1.3\n"))


def test_a_cell_of_zeros_is_called_what_it_is(tmp_path):
    content = (
        "CRYST1    0.000    0.000    0.000  90.00  90.00  90.00 P 1           1\n" + PLACEHOLDER.partition("\n")[2]
    )
    (note,) = [note for note in notes_of(one(tmp_path, "zero.pdb", content)) if "CRYST1" in note]
    assert "0 x 0 x 0" in note


def test_what_a_reader_of_ase_stumbles_over_is_said_in_words(tmp_path: Path) -> None:
    """Seen: an XYZ file saved by Notepad, a CIF with a hydrogen that was not located."""
    water = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"
    (tmp_path / "notepad.xyz").write_text(water, encoding="utf-8-sig")
    with refused("byte-order-mark", "notepad.xyz"):
        read_file(tmp_path / "notepad.xyz", "-1")
    lengths = "".join(
        f"_cell_length_{axis} 4\n_cell_angle_{angle} 90\n" for axis, angle in zip("abc", ANGLES, strict=True)
    )
    fields = "".join(f"_atom_site_{name}\n" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z"))
    (tmp_path / "hydride.cif").write_text(f"data_x\n{lengths}loop_\n{fields}Pd1 Pd 0 0 0\nH1 H ? ? ?\n")
    with refused("coordinate-missing", "hydride.cif"):
        read_file(tmp_path / "hydride.cif", "-1")


@pytest.mark.parametrize("pbc", [False, True])
def test_positions_in_nm_are_refused(pbc: bool) -> None:
    water = molecule("H2O", vacuum=5.0, pbc=pbc)
    assert len(check_structure(water)) == 3
    water.positions *= 0.1
    with refused("units-unsupported", "nm"):
        check_structure(water)


def test_a_dimer_may_be_as_short_as_a_scan_wants() -> None:
    check_structure(Atoms("Ar2", [[0, 0, 0], [0, 0, 0.2]]))


def test_data_and_structures_have_the_same_readers(tmp_path: Path) -> None:
    """`info` read PDB files as ASE does: CL as carbon, the placeholder of a cell as a cell."""
    (tmp_path / "nmr.pdb").write_text(PLACEHOLDER)
    remarks = Remarks()
    (frame,) = read_frames(tmp_path / "nmr.pdb", labelled=False, remarks=remarks)
    assert not frame.pbc.any()
    assert frame.numbers.tolist() == [7, 1, 1, 1, 1]
    assert any("placeholder" in sentence for sentence in remarks.decisions)


def test_a_compressed_pdb_file_is_not_left_to_another_reader(tmp_path: Path) -> None:
    (tmp_path / "nmr.pdb.gz").write_bytes(gzip.compress(PLACEHOLDER.encode()))
    for read_it in (lambda file: read_file(file, "-1"), lambda file: read_frames(file, labelled=False)):
        with refused("structure-compressed", "nmr.pdb.gz"):
            read_it(tmp_path / "nmr.pdb.gz")
