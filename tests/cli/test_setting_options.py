"""Every setting of a recipe is an option of its command, with the same default."""

import pytest
import typer

from dp_sim.cli.main import make_app
from dp_sim.config.recipe import described, plain_type
from dp_sim.recipes.demo.settings import DemoSettings
from dp_sim.recipes.dynamics.settings import NPTSettings, NVESettings, NVTSettings
from dp_sim.recipes.models.settings import AccuracySettings, LabelSettings
from dp_sim.recipes.paths.band.settings import NEBSettings
from dp_sim.recipes.paths.irc.settings import IRCSettings
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.speed.settings import BenchSettings
from dp_sim.recipes.static.settings import EvalSettings, OptSettings, VibSettings

#: The names that scripts use.
FLAGS = {
    AccuracySettings: ["--energy-key", "--forces-key", "--virial-key", "--stress-key"],
    BenchSettings: ["--repeat", "--rounds", "--timestep", "--deepmd", "--deepmd-model"],
    DemoSettings: [],
    EvalSettings: [],
    IRCSettings: ["--step", "--fmax", "--steps", "--reactant", "--product"],
    LabelSettings: ["--engine", "--workers", "--scheduler"],
    NEBSettings: ["--images", "--fmax", "--steps", "--band-fmax", "--method", "--match-atoms", "--no-match-atoms",
                  "--interpolation", "--relax-ends", "--no-relax-ends", "--align",
                  "--no-align"],
    NVESettings: ["--temperature", "-T", "--steps", "--timestep", "--engine", "--sample-every", "--frame-every",
                  "--backend", "--platform", "--ranks", "--rigid-bonds", "--stages", "--relax", "--no-relax",
                  "--relax-cell", "--no-relax-cell", "--trajectory", "--velocities", "--no-velocities",
                  "--max-force-uncertainty", "--when-uncertain"],
    OptSettings: ["--fmax", "--steps", "--optimizer", "--cell", "--no-cell", "--cell-mask", "--keep-shape",
                  "--no-keep-shape", "--keep-volume", "--no-keep-volume", "--pressure", "--max-stress", "--symmetry",
                  "--no-symmetry", "--symprec", "--check-minimum", "--no-check-minimum"],
    TSSettings: ["--fmax", "--steps", "--method"],
    VibSettings: ["--hessian", "--delta", "--processes", "--fmax", "--relax", "--no-relax", "--isotope", "--thermo",
                  "--temperature-min", "--temperature-max", "--temperature-step", "--pressure",
                  "--symmetry-number", "--spin-multiplicity", "--width"],
}  # fmt: skip
FLAGS[NVTSettings] = [
    *FLAGS[NVESettings],
    "--thermostat",
    "--friction",
    "--thermostat-time",
    "--hydrogen-mass",
    "--replicas",
    "--members",
]
FLAGS[NPTSettings] = [*FLAGS[NVTSettings], "--pressure", "-p", "--cell-change", "--barostat-time"]
SHARED = (
    "-m", "--model", "--calculator", "--calculator-arg", "--device", "--dtype", "-o", "--out", "--config", "--seed",
    "--threads", "--resume", "--overwrite", "-v", "--verbose", "-q", "--quiet",
)  # fmt: skip

#: Which of them a command does not have, because nothing there heeds them.
WITHOUT = {
    AccuracySettings: {"--calculator", "--calculator-arg", "--config", "--seed", "--resume"},
    DemoSettings: {"-m", "--model", "--calculator", "--calculator-arg", "--device", "--dtype", "--config", "--resume"},
    LabelSettings: {"--config", "--seed"},
}


@pytest.fixture(scope="module")
def commands():
    return typer.main.get_command(make_app()).commands


@pytest.mark.parametrize("settings", FLAGS, ids=lambda one: one.recipe)
def test_options(commands, settings):
    options = {one.name: one for one in commands[settings.recipe].params if one.param_type_name == "option"}
    flags = {flag for one in options.values() for flag in (*one.opts, *one.secondary_opts)}
    assert flags - {"-h", "--help"} == {*FLAGS[settings], *SHARED} - WITHOUT.get(settings, set())
    if "resume" in options:
        assert options["resume"].help.startswith("Continue") is settings.resumable
    for name, info in settings.model_fields.items():
        if name == "seed" and "--seed" in WITHOUT.get(settings, ()):
            continue
        default = None if info.is_required() else info.default
        assert options[name].default == (list(default) if isinstance(default, tuple) else default)
        assert options[name].multiple == plain_type(info.annotation)[1]
        assert info.description.partition(";")[0] in options[name].help
        if choices := described(info)["choices"]:
            assert options[name].metavar == "|".join(choices)


def test_the_help_of_every_command_loads_nothing_heavy(dp_sim, commands, monkeypatch):
    """In a process of its own, because this one has loaded everything."""
    import subprocess
    import sys

    code = (
        "import sys; from dp_sim.cli.main import status; "
        f"codes = [status([name, '--help']) for name in {sorted(commands)!r}]; "
        "heavy = {'torch', 'ase', 'matplotlib', 'numpy', 'scipy', 'openmm', 'yaml'} & set(sys.modules); "
        "sys.exit(f'{codes} {heavy}' if any(codes) or heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("nvt --engine o", ["openmm"]),
        ("opt --optimizer pre", ["precon-lbfgs"]),
        ("eval --dtype float", ["float32", "float64"]),
    ],
)
def test_the_shell_completes_choices(commands, words, found):
    command, option, begun = words.split()
    parameter = next(one for one in commands[command].params if option in one.opts)
    context = typer.Context(commands[command])
    assert [one.value for one in parameter.shell_complete(context, begun)] == found


def test_the_help_lists_each_command_by_its_own_words(commands):
    """The list stands apart, so that the help imports no command."""
    for name, stub in commands.stubs().items():
        own = commands[name]
        assert own.name == name
        assert " ".join(own.help.split("\n\n")[0].split()) == stub.help
