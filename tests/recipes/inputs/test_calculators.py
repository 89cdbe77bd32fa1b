"""SPECs and calculators: right ones are made, wrong ones are refused with the nearest name."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.emt import EMT
from refusals import refused

from dp_sim.recipes.inputs.calculators import as_calculator, calculator_from_spec, calculator_settings, model_sha256


def test_emt():
    assert isinstance(calculator_from_spec("emt"), EMT)


def test_tblite_with_arguments():
    pytest.importorskip("tblite", reason="tblite is an optional package")
    water = molecule("H2O")
    energies = {}
    for spec in ("tblite", "tblite:GFN2-xTB", "tblite:GFN1-xTB"):
        water.calc = calculator_from_spec(spec)
        energies[spec] = water.get_potential_energy()
    assert energies["tblite"] == pytest.approx(energies["tblite:GFN2-xTB"], abs=1e-8)
    assert abs(energies["tblite"] - energies["tblite:GFN1-xTB"]) > 1
    cation = {"charge": 1, "multiplicity": 2}
    water.calc = calculator_from_spec("tblite", cation)
    assert water.get_potential_energy() - energies["tblite"] > 5  # an electron is gone
    assert calculator_settings(water.calc) == {
        "calculator": "tblite",
        "calculator_arg": cation,
    }


def test_a_class_by_its_import_path():
    calculator = calculator_from_spec("ase.calculators.lj:LennardJones", {"sigma": 3.4})
    assert calculator.parameters.sigma == 3.4


@pytest.mark.parametrize(
    ("spec", "arguments", "refusal"),
    [
        ("em", {}, ("calculator-unknown", "em", "emt")),
        ("", {}, ("calculator-unknown",)),
        ("tblite:GFN2", {}, ("calculator-unknown", "GFN2", "GFN2-xTB")),
        ("emt:fast", {}, ("calculator-unknown", "emt", "fast")),
        ("emt", {"cutof": 3}, ("calculator-argument-unknown", "emt", "cutof")),
        ("ase.calculators.lj:LennardJone", {}, ("calculator-unknown", "LennardJones")),
        ("ase.calculators.ljx:LennardJones", {}, ("calculator-failed", "ase.calculators.ljx")),
        ("ase.calculators.lj:LennardJones", {"sigm": 3}, ("calculator-argument-unknown", "sigm", "sigma")),
        ("os.path:join", {}, ("calculator-unknown", "join")),
        ("collections.abc:Sized", {}, ("calculator-failed",)),
        ("collections:OrderedDict", {}, ("calculator-unknown",)),
    ],
)
def test_wrong_specs_say_what_is_wrong(spec, arguments, refusal):
    with refused(*refusal):
        calculator_from_spec(spec, arguments)


def test_a_spec_from_a_file_runs_no_foreign_code():
    with refused("calculator-not-trusted"):
        calculator_from_spec("antigravity.module:Class", may_import=False)
    assert isinstance(calculator_from_spec("emt", may_import=False), EMT)


@pytest.mark.parametrize(
    ("calc", "refusal"),
    [
        (EMT, ("calculator-kind", "EMT")),
        (3, ("calculator-kind",)),
        ([], ("model-missing",)),
        ("absent.pt", ("file-missing", "absent.pt")),
        (["absent.pt"], ("file-missing", "absent.pt")),
    ],
)
def test_what_is_no_calculator_is_refused(calc, refusal):
    with refused(*refusal):
        as_calculator(calc)


def test_a_calculator_passes_unchanged_and_is_described_by_its_class():
    calculator = EMT()
    assert as_calculator(calculator) is calculator
    assert calculator_settings(calculator) == {"calculator": "ase.calculators.emt:EMT"}
    assert model_sha256(calculator) == []


def test_a_class_that_takes_anything_judges_itself(monkeypatch):
    import sys
    import types

    module = types.ModuleType("foreign.calculators")
    module.Plain = type("Plain", (), {"__init__": lambda self, **k: None, "get_potential_energy": 1, "get_forces": 1})
    monkeypatch.setitem(sys.modules, "foreign", types.ModuleType("foreign"))
    monkeypatch.setitem(sys.modules, "foreign.calculators", module)
    assert calculator_from_spec("foreign.calculators:Plain", {"whatever": np.pi}) is not None
