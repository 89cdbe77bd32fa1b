"""One model of settings for each recipe: the signature, the checks and the documentation agree with it."""

import inspect
import os
import re
import typing
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from refusals import refused

from dp_sim.config.label_keys import LabelKeys
from dp_sim.config.recipe import RecipeSettings, expectation, phrase, plain_type
from dp_sim.recipes.analysis.settings import AnalyseSettings
from dp_sim.recipes.campaigns.settings import CampaignSettings
from dp_sim.recipes.crystals.settings import ElasticSettings, EosSettings, PhononSettings
from dp_sim.recipes.demo.settings import DemoSettings
from dp_sim.recipes.demo.water import run_demo
from dp_sim.recipes.dynamics.settings import NPTSettings, NVESettings, NVTSettings
from dp_sim.recipes.learning.settings import LearnSettings
from dp_sim.recipes.models.settings import AccuracySettings, CalibrateSettings, LabelSettings
from dp_sim.recipes.paths.band.settings import NEBSettings
from dp_sim.recipes.paths.irc.settings import IRCSettings
from dp_sim.recipes.paths.rates.settings import RateConstantSettings, RateSettings
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.speed.settings import BenchSettings
from dp_sim.recipes.static.settings import EvalSettings, OptSettings, VibSettings

ALL = (
    AccuracySettings, AnalyseSettings, BenchSettings, CalibrateSettings, CampaignSettings, DemoSettings,
    ElasticSettings, EosSettings, EvalSettings, IRCSettings, LabelSettings, LearnSettings, NEBSettings, NPTSettings,
    NVESettings, NVTSettings, OptSettings, PhononSettings, RateConstantSettings, RateSettings, TSSettings,
    VibSettings,
)  # fmt: skip
#: What each of them needs at least.
NEEDED = {
    "learn": {"steps": 100, "temperature_K": 300, "threshold": 0.1},
    "nve": {"steps": 100},
    "nvt": {"steps": 100, "temperature_K": 300},
    "npt": {"steps": 100, "temperature_K": 300},
}
RUN_KEYWORDS = {"out": None, "overwrite": False, "resume": False, "progress": True}
#: The demo is its files, and says which of its parts is running.
OTHER_KEYWORDS = {
    "calibrate": {"train": None},
    "campaign": {"out": inspect.Parameter.empty, "allowed": ()},
    "demo": {"out": "demo", "on_part": inspect.signature(run_demo).parameters["on_part"].default},
    "rate-constant": {"product": None, "irc": None},
}


def function_of(settings: type[RecipeSettings]):
    module, _, name = settings.function.partition(":")
    return getattr(import_module(module), name)


def keywords_of(settings: type[RecipeSettings]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function_of(settings)).parameters
    return {
        name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY or one.default is not one.empty
    }


def test_every_recipe_has_settings():
    """A class that names a recipe, wherever it is, stands in the list above."""

    def leaves(kind):
        return {
            one for below in kind.__subclasses__() for one in ({below} if "recipe" in vars(below) else leaves(below))
        }

    assert leaves(RecipeSettings) == set(ALL)


@pytest.mark.parametrize("settings", ALL, ids=lambda one: one.recipe)
def test_the_signature_is_that_of_the_settings(settings):
    keywords = keywords_of(settings)
    defaults = {
        name: inspect.Parameter.empty if info.is_required() else info.default
        for name, info in settings.model_fields.items()
    }
    assert {name: one.default for name, one in keywords.items()} == (
        defaults | RUN_KEYWORDS | OTHER_KEYWORDS.get(settings.recipe, {})
    )
    hints = typing.get_type_hints(function_of(settings))
    for name, info in settings.model_fields.items():
        kind, several, optional = plain_type(info.annotation)
        given = set(typing.get_args(hints[name])) if optional else {hints[name]}
        given -= {type(None), os.PathLike[str], Atoms}  # what a file may be given as
        assert given == ({typing.Sequence[kind]} if several else {kind}) or (
            several and str(given) == f"{{collections.abc.Sequence[{kind.__name__}]}}"
        )


@pytest.mark.parametrize("settings", ALL, ids=lambda one: one.recipe)
def test_the_docstring_explains_every_keyword(settings):
    text = inspect.getdoc(function_of(settings))
    section = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    words = " ".join(section.split())
    for info in settings.model_fields.values():
        assert phrase(info) in words
    documented = [line.partition(" : ")[0] for line in section.splitlines() if re.match(r"\w+ : ", line)]
    inputs = set(inspect.signature(function_of(settings)).parameters) - set(keywords_of(settings))
    assert [name for name in documented if name not in inputs] == list(keywords_of(settings))
    assert max(map(len, section.splitlines())) <= 120
    assert ("Start again" in words) is not settings.resumable
    assert "Raises\n------" in text.partition(section)[2]


@pytest.mark.parametrize("settings", ALL, ids=lambda one: one.recipe)
def test_every_setting_refuses_what_it_is_not(settings):
    needed = NEEDED.get(settings.recipe, {})
    settings.check(needed)
    for name, info in settings.model_fields.items():
        wrong = {int: 1.5, float: "much", bool: "maybe", str: 3}[plain_type(info.annotation)[0]]
        with refused("choice-unknown" if info.json_schema_extra["choices"] else "setting-invalid", name, wrong):
            settings.check({**needed, name: wrong})
        if plain_type(info.annotation)[0] is float:
            for value in (float("nan"), float("inf")):
                with refused("setting-out-of-range", name, value, info.json_schema_extra["unit"]):
                    settings.check({**needed, name: value})


@pytest.mark.parametrize(
    ("settings", "values", "named"),
    [
        (OptSettings, {"fmax": 0}, ("fmax", "above 0", "eV/Å", "0.01")),
        (OptSettings, {"steps": -1}, ("steps", "at least 0", "-1")),
        (OptSettings, {"seed": -1}, ("seed", "at least 0")),
        (VibSettings, {"delta": 0.2}, ("delta", "at most 0.1", "0.2")),
        (NEBSettings, {"images": 2}, ("images", "at least 3")),
        (IRCSettings, {"steps": 0}, ("steps", "at least 1")),
        (BenchSettings, {"repeat": [1, 0]}, ("repeat", "[1, 0]")),
        (NVTSettings, {"temperature_K": 300, "steps": 100, "hydrogen_mass_amu": 0.5}, ("hydrogen_mass_amu", "amu")),
    ],
)
def test_bounds(settings, values, named):
    with refused("setting-out-of-range", *named):
        settings.check(values)


def test_true_is_no_number():
    for name in ("fmax", "steps"):
        with refused("setting-invalid", name, "True"):
            OptSettings.check({name: True})


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with refused("setting-unknown", "fmx", "did you mean 'fmax'"):
        OptSettings.check({"fmx": 0.1})
    with refused("setting-unknown", "temprature_K", "did you mean 'temperature_K'"):
        NVTSettings.check({"temprature_K": 300, "steps": 10})  # not "temperature_K is missing"
    with refused("setting-missing", "temperature_K", "above 0", "K"):
        NVTSettings.check({"steps": 10})


def test_numbers_of_numpy_lists_and_paths_are_taken():
    settings = NVTSettings.check({"temperature_K": np.float32(300), "steps": np.int64(100)})
    assert (type(settings.temperature_K), type(settings.steps)) == (float, int)
    bench = BenchSettings.check({"repeat": [1, 2], "deepmd_model": Path("model.pth")})
    assert (bench.repeat, bench.deepmd_model) == ((1, 2), "model.pth")


def test_what_is_kept_of_a_run():
    used = OptSettings.check({"fmax": 0.3}).as_used()
    assert used == {
        "fmax": 0.3, "steps": 500, "optimizer": "auto", "cell": False, "cell_mask": [], "keep_shape": False,
        "keep_volume": False, "pressure_GPa": 0.0, "max_stress_GPa": None, "symmetry": False, "symprec_A": None,
        "check_minimum": False,
    }  # fmt: skip
    assert OptSettings.may_change() == ("fmax", "steps", "optimizer", "max_stress_GPa", "check_minimum")
    uncertainty = ("max_force_uncertainty_eV_A", "when_uncertain")
    assert NPTSettings.may_change() == ("members", "steps", "trajectory", "ranks", *uncertainty, "stages")


def test_names_of_labels():
    settings = AccuracySettings.check({"energy_key": "pbe_energy", "stress_key": "pbe_stress"})
    assert settings.label_keys() == LabelKeys(energy="pbe_energy", stress="pbe_stress")
    with refused("label-key-empty", "forces_key"):
        AccuracySettings.check({"forces_key": ""})
    for label, info in LabelKeys.model_fields.items():  # one meaning in the training input and on the command line
        assert phrase(info) == phrase(AccuracySettings.model_fields[f"{label}_key"])


def test_what_is_expected_is_said_from_type_and_bounds():
    fields = VibSettings.model_fields
    assert expectation(fields["delta"]) == "a finite number of at least 0.0001 and of at most 0.1 (Å)"
    assert expectation(fields["hessian"]) == "one of auto, exact, differences"


def test_a_keyword_that_does_not_exist_is_refused_with_the_nearest():
    from dp_sim.recipes import optimize

    with pytest.raises(TypeError, match=r"optimize\(\) has no argument 'fmx'; did you mean 'fmax'\?"):
        optimize(None, None, fmx=0.01)
