"""Rates over several elementary steps: the surface of Mueller and Brown, from its first minimum to its last."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from analytic_surfaces import MINIMA, SADDLES, SurfaceWithHessian, at, mueller_brown, stationary
from ase import units

from dp_sim.recipes import load_result, rate_constant, reaction_rate
from dp_sim.recipes.paths.rates import members
from dp_sim.recipes.paths.rates.chain import search
from dp_sim.recipes.paths.rates.chain.combined import combined, steady_reasons
from dp_sim.recipes.paths.rates.chain.profile import profile_of
from dp_sim.recipes.paths.rates.chain.rate import shallow_words
from dp_sim.recipes.paths.rates.chain.result import RateResult
from dp_sim.uncertainty.derived import SpreadWorth

ASKED = {
    "temperature_K": 1000.0, "temperature_min_K": 600.0, "temperature_step_K": 100.0, "tunnelling": "none",
    "isotopes": ["H=D"], "progress": False,
}  # fmt: skip


def ends():
    return [at(*stationary(MINIMA[name])) for name in "AB"]


def heights():
    """Energies from A over C to B, by Newton's iteration."""
    row = (MINIMA["A"], SADDLES["AC"], MINIMA["C"], SADDLES["BC"], MINIMA["B"])
    energies = np.array([mueller_brown(*stationary(point))[0] for point in row])
    return energies - energies[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("row") / "run"
    return reaction_rate(*ends(), SurfaceWithHessian(mueller_brown), out=out, **ASKED)


def test_both_steps_are_found_and_the_way_over_them_passes(whole):
    assert whole.verdict == "PASS", whole.reasons
    assert [step.verdict for step in whole.steps] == ["PASS", "PASS"]
    np.testing.assert_allclose(whole.energy_profile.energies_eV, heights(), atol=1e-5)
    assert whole.barrier_eV == pytest.approx(heights()[1], abs=1e-5)
    assert whole.paths.words.endswith("not looked for outside a gas")  # a chain takes no degeneracy
    assert whole.steps[0].paths.words.endswith("give path_degeneracy")


def test_the_rate_is_that_of_a_steady_state_of_the_steps(whole):
    """Two steps by the textbook: k = k1 k2 / (k-1 + k2); with the isotopes, too."""
    for name in ("table", "heavy"):
        first, second = (getattr(step, name) for step in whole.steps)
        k1, back, k2 = (10**one for one in (first.log10_forward, first.log10_reverse, second.log10_forward))
        np.testing.assert_allclose(10 ** getattr(whole, name).log10_forward, k1 * k2 / (back + k2), rtol=1e-9)
    ratios = sum(step.table.log10_equilibrium for step in whole.steps)
    np.testing.assert_allclose(whole.table.log10_equilibrium, ratios, atol=1e-9)
    np.testing.assert_allclose(whole.table.log10_reverse, whole.table.log10_forward - ratios, atol=1e-9)
    assert 1.5 < whole.kinetic_isotope_effect < 3
    # Without tunnelling k = (kT/h) exp(-G/kT), with the G of activation that stands beside it.
    kT = units.kB * whole.table.temperatures_K
    by_hand = np.log10(kT / (units._hplanck / units._e)) - whole.table.gibbs_eV / kT / np.log(10)
    np.testing.assert_allclose(whole.table.log10_forward, by_hand, atol=1e-9)
    assert whole.table.gibbs_eV[-1] > whole.energy_profile.gibbs_eV[1]


def test_files_page_and_load_result(whole):
    folder = whole.directory
    content = json.loads((folder / "result.json").read_text())
    assert {"search-2", "step-1", "step-2", "chain.extxyz", "profile.png"} <= {one.name for one in folder.iterdir()}
    assert all((one["value"] is None) == bool(one["cause"]) for one in content["values"].values())
    assert content["values"]["points"]["value"] == ["reactant", "TS 1", "intermediate 1", "TS 2", "product"]
    assert content["values"]["step_places"]["value"] == ["neb, ts, irc", "search-2"]
    assert "search-2/irc" in content["values"]["stages"]["value"]
    assert "by 2 elementary steps" in (folder / "report.html").read_text()
    again = load_result(folder)
    assert isinstance(again, RateResult)
    assert again.summary() == whole.summary()


def test_a_run_that_was_killed_in_the_second_step_is_resumed(whole, tmp_path):
    """Between two writes of the second reaction coordinate, of which one side is there; nothing after it is.

    A band that did not converge and led on is not searched again.
    """
    run = tmp_path / "run"
    shutil.copytree(whole.directory, run)
    band = json.loads((run / "neb" / "result.json").read_text())
    (run / "neb" / "result.json").write_text(json.dumps({**band, "converged": False}))
    costs = json.loads((run / "stages.json").read_text())
    ended = {name: cost for name, cost in costs.items() if name != "search-2/irc" and not name.startswith("step-")}
    (run / "stages.json").write_text(json.dumps(ended))
    for gone in ("result.json", "result.npz", "search-2/irc/result.json", "search-2/irc/reverse.npz"):
        (run / gone).unlink(missing_ok=True)
    for gone in ("step-1", "step-2"):
        shutil.rmtree(run / gone)
    before = {name: (run / name / "result.json").stat().st_mtime_ns for name in ("neb", "irc", "search-2/ts")}
    again = reaction_rate(*ends(), SurfaceWithHessian(mueller_brown), out=run, resume=True, **ASKED)
    assert again.verdict == "PASS", again.reasons
    assert {name: (run / name / "result.json").stat().st_mtime_ns for name in before} == before
    assert (run / "search-2" / "irc" / "result.json").is_file()
    assert again.rate == pytest.approx(whole.rate, rel=1e-3)
    assert [cost.stage for cost in again.costs] == [cost.stage for cost in whole.costs]


def test_a_run_that_is_started_again_leaves_no_steps_of_the_one_before(whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole.directory, run)
    calc, near = SurfaceWithHessian(mueller_brown), at(*stationary(MINIMA["C"]))
    one = reaction_rate(ends()[0], near, calc, out=run, overwrite=True, **ASKED)
    assert (one.verdict, one.steps, one.energy_profile) == ("PASS", (), None)
    assert not [name for name in one.to_dict()["values"] if name.startswith(("step_", "point", "elementary"))]
    assert not {"search-2", "step-1", "step-2", "chain.extxyz"} & {one.name for one in run.iterdir()}


def test_too_few_searches_fail_and_say_what_was_found(monkeypatch):
    monkeypatch.setattr(search, "MOST_SEARCHES", 1)
    found = reaction_rate(*ends(), SurfaceWithHessian(mueller_brown), **ASKED)
    assert found.verdict == "FAIL"
    assert "no row of elementary steps joins the ends given" in found.cause
    assert "the reactant to minimum 1 (+0.659 eV)" in found.cause
    assert "no more than 1 searches" in found.cause


def test_the_transition_state_of_another_step_joins_nothing(monkeypatch):
    """Every search gives the saddle point of the first step again."""
    refine = search.refine_ts
    monkeypatch.setattr(
        search, "refine_ts", lambda guess, calc, **keywords: refine(at(*stationary(SADDLES["AC"])), calc, **keywords)
    )
    found = reaction_rate(*ends(), SurfaceWithHessian(mueller_brown), **ASKED)
    assert found.verdict == "FAIL"
    assert "does not join the ends given" in found.reasons[0]
    assert "2 searches found 1 minima between and 1 steps" in found.cause


def test_a_committee_has_error_bars_of_the_whole(monkeypatch):
    """One surface, scaled: heights scale exactly, those of the saddle point that counts among them."""
    factors = np.array([0.97, 1.0, 1.04])

    def scaled(factor):
        return SurfaceWithHessian(lambda x, y: tuple(factor * one for one in mueller_brown(x, y)))

    monkeypatch.setattr(members, "member_calculators", lambda calculator: [scaled(one) for one in factors])
    worth = SpreadWorth.of(len(factors), None)
    monkeypatch.setattr(members, "spread_worth", lambda calculator: worth)
    found = reaction_rate(*ends(), scaled(1.0), trust_eV_A=50.0, trust_log10=0.1, path_degeneracy=2.0, **ASKED)
    assert all("the committee does not know the rate" in reason for reason in found.reasons[:-1])
    assert found.reasons[-2].startswith("the committee")
    assert found.reasons[-1].startswith("path_degeneracy=2 was given, and the reaction has 2 steps")
    values = found.to_dict()["values"]
    error = worth.energy.factor * factors.std(ddof=1)
    assert values["barrier"]["model_error"] == pytest.approx(heights()[1] * error, rel=1e-3)
    assert values["reaction_energy"]["model_error"] == pytest.approx(heights()[-1] * error, rel=1e-3)
    assert values["log10_rate_constant"]["model_error"] == pytest.approx(
        heights()[1] * error / (units.kB * 1000) / np.log(10), rel=0.2
    )


def test_an_intermediate_that_fills_up_is_no_steady_state(whole):
    """From C over A, which lies far below it, there and back: A fills up first."""
    backwards = replace(whole.steps[0], reactants=whole.steps[0].products, products=whole.steps[0].reactants)
    first = whole.steps[0].table
    turned = first._replace(
        log10_forward=first.log10_reverse, log10_reverse=first.log10_forward, log10_equilibrium=-first.log10_equilibrium
    )
    state = combined([replace(backwards, table=turned), whole.steps[0]]).state
    (words,) = steady_reasons(state, whole.conditions, 1000.0)
    assert "intermediate 1 fills up" in words
    assert steady_reasons(combined(whole.steps).state, whole.conditions, 1000.0) == []


def test_an_intermediate_above_a_transition_state_is_called_shallow(whole):
    """The harmonic zero-point energy of C leaves TS 2 below it; in free energy at 1000 K it is above."""
    assert shallow_words(profile_of(whole.steps, 1000.0)) == []
    assert "too shallow" in shallow_words(whole.energy_profile._replace(gibbs_eV=np.array([0, 0.9, 1.0, 0.95, 0])))[0]


def test_the_mechanism_of_a_row_has_a_reaction_for_each_step(isomers, xtb):
    """HCN to HNC and back: three species, of which the first and the last are one."""
    asked = {"temperature_min_K": 300.0, "temperature_step_K": 100.0, "progress": False}
    there, back = (
        rate_constant(one, isomers.saddle, xtb, product=other, irc=isomers.irc, **asked)
        for one, other in ((isomers.hcn, isomers.hnc), (isomers.hnc, isomers.hcn))
    )
    fields = {name: getattr(there, name) for name in ("temperature_K", "conditions", "reactants", "saddle", "paths")}
    found = RateResult(converged=True, reasons=(), products=back.products, steps=(there, back), **fields)
    content = yaml.safe_load(found.to_cantera())
    assert [one["equation"] for one in content["reactions"]] == [
        "CHN_reactant <=> CHN_intermediate1", "CHN_intermediate1 <=> CHN_product"
    ]  # fmt: skip
    thermo = {one["name"]: np.array(one["thermo"]["data"]) for one in content["species"]}
    assert list(thermo) == ["CHN_reactant", "CHN_intermediate1", "CHN_product"]
    np.testing.assert_allclose(thermo["CHN_product"], thermo["CHN_reactant"], rtol=1e-3, atol=1e-3)
    # a6, the enthalpy in K, tells HNC from HCN.
    apart = thermo["CHN_intermediate1"][0, 5] - thermo["CHN_reactant"][0, 5]
    heat = isomers.hnc.get_potential_energy() - isomers.hcn.get_potential_energy()
    assert apart * units.kB == pytest.approx(heat, abs=0.05)


def test_two_molecules_that_meet_first_have_a_rate_constant_in_volume_over_time(whole):
    """A + B <-> C <-> D by the textbook: k = k1 k2/(k1/K1 + k2) in cm^3/s; at 1 bar (k1/V)/(k1/K1 + k2) of C wait."""
    size = len(whole.conditions.temperatures_K)
    k1, K1, k2, K2 = 2e-12, 4e-20, 3e7, 50.0

    def table(step, forward, equilibrium):
        logs = {"log10_forward": forward, "log10_equilibrium": equilibrium, "log10_reverse": forward / equilibrium}
        return step.table._replace(**{name: np.full(size, np.log10(one)) for name, one in logs.items()})

    first, second = whole.steps
    pair = first.reactants * 2
    steps = [replace(first, reactants=pair, table=table(first, k1, K1)), replace(second, table=table(second, k2, K2))]
    found = combined(steps)
    np.testing.assert_allclose(10**found.table.log10_forward, k1 * k2 / (k1 / K1 + k2), rtol=1e-9)
    np.testing.assert_allclose(10**found.table.log10_equilibrium, K1 * K2, rtol=1e-9)
    np.testing.assert_allclose(10**found.table.log10_reverse, k1 * k2 / (k1 / K1 + k2) / (K1 * K2), rtol=1e-9)
    volume = 1.380649e-16 * whole.conditions.temperatures_K / 1e6  # cm^3 of a molecule at 1 bar
    np.testing.assert_allclose(found.state.waiting, k1 / volume / (k1 / K1 + k2), rtol=1e-6)
