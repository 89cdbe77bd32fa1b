"""Every error of dp-sim carries a code, a short stable name."""

import ast
import pickle
import re
from pathlib import Path

import pytest

from dp_sim import errors

ROOT = Path(__file__).resolve().parents[2]
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.DPSimError)}
KINDS |= {"UnstableError"}


def calls() -> list[tuple[str, ast.Call]]:
    """Every place that makes one of our errors."""
    found = []
    for root in ("dp_sim", "plugins", "recipes"):
        for file in (ROOT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                    found.append((f"{file.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_every_error_has_a_code_and_a_sentence() -> None:
    made = calls()
    assert len(made) > 200
    for place, call in made:
        assert len(call.args) == 2, f"{place}: expected a code and a sentence"
        code = call.args[0]
        passed_on = isinstance(code, ast.Attribute) and code.attr == "code"
        literal = isinstance(code, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)*", str(code.value))
        assert passed_on or literal, f"{place}: a code is words with hyphens, or that of the error it passes on"


@pytest.mark.parametrize("kind", [errors.InputError, errors.ModelFileError, errors.TrainingError])
def test_an_error_travels_between_processes(kind: type[errors.DPSimError]) -> None:
    error = pickle.loads(pickle.dumps(kind("atoms-missing", "structure 3 has no atoms; give at least one")))
    assert type(error) is kind
    assert (error.code, str(error)) == ("atoms-missing", "structure 3 has no atoms; give at least one")
