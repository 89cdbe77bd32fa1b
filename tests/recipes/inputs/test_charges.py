"""A charge or a spin that a structure states is computed, or the run is refused; it is never passed over."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixLinearTriatomic
from random_model import write_random_model
from refusals import refused

from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import find_path, optimize, run_nve
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.inputs.charges import accept_state, check_same_state, remarks
from dp_sim.recipes.inputs.structures import prepare_atoms


def ammonium(**info: object) -> Atoms:
    atoms = molecule("CH4")
    atoms.symbols[0] = "N"
    atoms.info.update(info)
    return atoms


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp("models") / "m.pt")


class ReadsInfo(LennardJones):
    """A calculator that looks at `info`, as MACE's and FAIRChem's do."""

    def calculate(self, atoms=None, *args, **keywords):
        super().calculate(atoms, *args, **keywords)
        self.results["energy"] += 5.0 * atoms.info.get("charge", 0)


@pytest.mark.parametrize(
    ("info", "code"),
    [
        ({"charge": 1}, "charge-unsupported"),
        ({"total_charge": -1}, "charge-unsupported"),
        ({"multiplicity": 4}, "spin-unsupported"),
        ({"spin": 4}, "spin-unsupported"),
    ],
)
def test_a_deep_potential_refuses_them_everywhere(model, info, code):
    atoms = ammonium(**info)
    with refused(code):
        optimize(atoms, str(model))
    with refused(code):
        run_nve(atoms, str(model), steps=10, temperature_K=10)
    with refused(code):
        atoms.calc = DPCalculator(str(model))
        atoms.get_potential_energy()


def test_what_states_nothing_runs_on_a_deep_potential(model):
    for info in ({"charge": 0, "spin": 2}, {"charge": 0, "multiplicity": 2}, {"energy_of": "x"}):
        prepare_atoms(ammonium(**info), str(model))
    partial = molecule("H2O")
    partial.set_initial_charges([-0.83, 0.415, 0.414])
    prepared = prepare_atoms(partial, str(model))
    assert any("charges" in sentence for sentence in remarks([partial], prepared.calc))
    ion = molecule("OH")
    ion.set_initial_charges([-1.2, 0.2])
    with refused("charge-unsupported", "-1"):
        prepare_atoms(ion, str(model))


def test_a_calculator_that_does_not_look_is_refused_and_one_that_does_is_not():
    with refused("charge-unsupported", "EMT"):
        prepare_atoms(ammonium(charge=1), EMT())
    energies = [prepare_atoms(ammonium(charge=charge), ReadsInfo()).get_potential_energy() for charge in (0, 1)]
    assert energies[1] - energies[0] == pytest.approx(5)


def test_tblite_is_told_where_it_was_made_here_and_must_agree_elsewhere():
    pytest.importorskip("tblite", reason="tblite is an optional package")
    from tblite.ase import TBLite

    def energy(atoms, calculator):
        return prepare_atoms(atoms, calculator).get_potential_energy()

    expected = energy(ammonium(), TBLite(method="GFN2-xTB", verbosity=0, charge=1))
    ours = calculator_from_spec("tblite")
    neutral = energy(ammonium(), ours)
    assert energy(ammonium(charge=1), ours) == pytest.approx(expected, abs=1e-6)
    assert energy(ammonium(), ours) == pytest.approx(neutral, abs=1e-6)  # the charge does not stay
    assert expected - neutral > 5
    by_atoms = ammonium()
    by_atoms.set_initial_charges([1, 0, 0, 0, 0])
    assert energy(by_atoms, TBLite(method="GFN2-xTB", verbosity=0)) == pytest.approx(expected, abs=1e-6)
    oxygen = molecule("O2")
    del oxygen.arrays["initial_magmoms"]
    triplet = oxygen.copy()
    triplet.info["multiplicity"] = 3
    assert abs(energy(triplet, ours) - energy(oxygen, ours)) > 0.05
    with refused("charge-unsupported", "TBLite"):
        energy(ammonium(charge=1), TBLite(method="GFN2-xTB", verbosity=0))
    with refused("charge-contradicted", "charge=0"):
        energy(ammonium(charge=1), TBLite(method="GFN2-xTB", verbosity=0, charge=0))


def test_both_ends_of_a_path_state_the_same_charge():
    reactant, product = ammonium(charge=1), ammonium()
    with refused("charge-differs", "the reactant states a charge of 1", "the product states no charge"):
        check_same_state(reactant, product)
    with refused("charge-differs"):
        find_path(reactant, product, ReadsInfo())


def test_accepting_leaves_the_structure_as_it_is():
    atoms = ammonium(charge=1)
    accept_state(atoms, ReadsInfo())
    assert atoms.info == {"charge": 1}


def test_momenta_of_fixed_atoms_are_taken_away_and_told_of(tmp_path, caplog):
    """They counted as kinetic energy for ever, and the atoms never moved."""
    from ase.constraints import FixAtoms

    atoms = Atoms("Cu3", [[0, 0, 0], [0, 0, 2.4], [0, 2.4, 0]])
    atoms.set_momenta(np.full((3, 3), 0.5))
    atoms.set_constraint(FixAtoms([0]))
    result = run_nve(atoms, EMT(), steps=10, out=tmp_path / "nve", progress=False)
    momenta = 0.5**2 * 3 / (2 * atoms.get_masses()[0])
    assert result.rows[0].kinetic_eV == pytest.approx(2 * momenta, rel=1e-6)
    assert "1 fixed atoms had momenta" in caplog.text
    assert "1 fixed atoms had momenta" in (tmp_path / "nve" / "report.html").read_text()
    assert result.provenance["notes"] == ["1 fixed atoms had momenta in the structure, which were taken away"]


def test_constraints_that_the_structure_does_not_obey_are_told_of_with_what_they_cost(tmp_path, caplog):
    """A bent molecule held linear: the optimiser moves it there at its first step, uphill."""
    bent = Atoms("ArArAr", [[0, 0, 0], [1.12, 0, 0], [-0.7, 0.9, 0]])
    bent.set_constraint(FixLinearTriatomic(triples=[(1, 0, 2)]))
    result = optimize(bent, LennardJones(sigma=1.0, epsilon=1.0, rc=100.0), out=tmp_path / "opt", progress=False)
    (note,) = [note for note in result.provenance["notes"] if "FixLinearTriatomic" in note]
    jump = result.energies_eV[1] - result.energies_eV[0]
    assert jump > 0.01
    assert f"{jump:+.3f} eV" in note
    assert note in caplog.text
    assert note in (tmp_path / "opt" / "report.html").read_text()
    bent.positions[2] = [-1.12, 0, 0]
    assert "notes" not in optimize(bent, LennardJones(sigma=1.0, epsilon=1.0, rc=100.0), progress=False).provenance
