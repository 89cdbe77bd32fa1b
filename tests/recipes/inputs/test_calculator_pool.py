"""Processes that share evaluations: the same numbers, failures that are named, nothing left running."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.recipes import vibrations
from dp_sim.recipes.inputs.calculator_pool import CalculatorPool
from dp_sim.recipes.inputs.calculators import calculator_from_spec
from dp_sim.recipes.inputs.failed_evaluations import EvaluationError


def test_two_processes_give_the_hessian_of_one():
    crystal = bulk("Cu") * (2, 1, 1)
    crystal.rattle(0.01, seed=2)
    one, two = (vibrations(crystal, calculator_from_spec("emt"), processes=n, fmax=1.0) for n in (1, 2))
    np.testing.assert_array_equal(two.hessian, one.hessian)


def test_a_calculator_of_a_spec_that_no_pickle_holds_gives_its_dipoles_too():
    pytest.importorskip("tblite.ase", reason="tblite is an optional package")
    water = molecule("H2O")
    one, two = (
        vibrations(water, calculator_from_spec("tblite:GFN2-xTB", {"accuracy": 0.01}), processes=n, fmax=1.0)
        for n in (1, 2)
    )
    np.testing.assert_allclose(two.frequencies_cm1, one.frequencies_cm1, atol=0.05)
    np.testing.assert_allclose(two.intensities_km_mol, one.intensities_km_mol, atol=0.02)


def test_what_cannot_be_made_anew_is_refused_before_anything_is_written(tmp_path):
    class Local(EMT):
        pass

    with refused("calculator-not-copied", "Local", "SPEC"):
        vibrations(molecule("N2"), Local(), processes=2, out=tmp_path / "vib")
    assert not (tmp_path / "vib").exists()


def test_processes_that_an_exact_hessian_does_not_need_are_named(caplog):
    nitrogen = molecule("N2")
    calculator = calculator_from_spec("emt")
    calculator.get_hessian = lambda atoms: np.eye(3 * len(atoms))
    vibrations(nitrogen, calculator, processes=2, fmax=9.0)
    assert "processes=2 was not used" in caplog.text


def test_a_calculator_whose_settings_were_changed_since_is_refused():
    calculator = calculator_from_spec("emt")
    crystal = bulk("Cu") * (2, 1, 1)
    crystal.rattle(0.01, seed=2)
    get_forces = calculator.get_forces
    calculator.get_forces = lambda atoms: get_forces(atoms) + 0.01
    with refused("calculator-not-copied", "EMT", "0.01"):
        vibrations(crystal, calculator, processes=2, fmax=1.0)


class Noisy(Calculator):
    """Prints, and fails where an atom is far out."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        os.write(1, b"step 1 of 1\n")
        if atoms.positions.max() > 50:
            raise RuntimeError("SCF not converged")
        self.results = {"energy": float(os.getpid()), "forces": -atoms.positions}


@pytest.fixture
def importable(tmp_path, monkeypatch):
    """`Noisy` from a module that other processes can import."""
    source = Path(__file__).read_text()
    body = source[source.index("class Noisy") : source.index("@pytest.fixture\ndef importable")]
    (tmp_path / "noisy_calculator.py").write_text(
        "import os\n\nfrom ase.calculators.calculator import Calculator\n\n\n" + body
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return importlib.import_module("noisy_calculator").Noisy()


def test_prints_do_not_mix_with_answers_and_all_processes_end(importable):
    groups = [lambda shift=shift: [molecule("N2"), shifted(shift)] for shift in range(6)]
    with CalculatorPool(importable, 2) as pool:
        answers = dict(pool.evaluate(groups, dipole=False))
        assert sorted(answers) == list(range(6))
        for shift, (_, second) in answers.items():
            np.testing.assert_allclose(second.forces, -shifted(shift).positions)
        ran_in = {round(value.energy) for values in answers.values() for value in values}
    assert os.getpid() not in ran_in
    for process in ran_in:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_failure_is_a_sentence(importable):
    with CalculatorPool(importable, 2) as pool, pytest.raises(EvaluationError, match="SCF not converged"):
        list(pool.evaluate([lambda: [shifted(99)]] * 3, dipole=False))


def shifted(by: float):
    nitrogen = molecule("N2")
    nitrogen.positions[0, 0] += by
    return nitrogen
