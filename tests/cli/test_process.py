"""The command line as a process: start, exit status, and what signals leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase.build import bulk, molecule

COMMAND = [sys.executable, "-m", "dp_sim.cli.main"]

#: Waits once, at its tenth evaluation, to be interrupted there.
SLOW = """
import time
from pathlib import Path
from ase.calculators.emt import EMT

class Slow(EMT):
    evaluations = 0

    def calculate(self, *arguments, **options):
        Slow.evaluations += 1
        if Slow.evaluations == 10 and not Path("waiting").exists():
            Path("waiting").touch()
            time.sleep(20)
        super().calculate(*arguments, **options)
"""


def dp_sim(*arguments: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_help_loads_nothing_heavy():
    code = (
        "import sys; from dp_sim.cli.main import status; code = status(['--help']); "
        "heavy = {'torch', 'ase', 'matplotlib', 'numpy', 'openmm', 'yaml', 'rich.markdown'} & set(sys.modules); "
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr


def test_torch_is_loaded_where_a_model_is_opened(tmp_path):
    """Nor does a run without a plot load matplotlib: each takes a second or more."""
    bulk("Cu", cubic=True).write(tmp_path / "copper.extxyz")
    code = (
        "import sys; from dp_sim.cli.main import status; run = lambda *words: status("
        "[*words, 'copper.extxyz', '-q', '--calculator', 'emt', '-o', words[0]]); "
        "codes = [run('eval')]; plots = {'matplotlib'} & set(sys.modules); "
        "codes += [run('nvt', '-T', '300', '--steps', '20', '--frame-every', '10')]; "
        "codes += [status(['analyse', 'nvt', '-q', '-o', 'analysed'])]; "
        "heavy = {'torch', 'openmm'} & set(sys.modules); "
        "sys.exit(f'{codes} {plots} {heavy}' if codes != [0, 3, 0] or plots or heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr


def test_status_and_streams(tmp_path):
    molecule("H2O").write(tmp_path / "water.xyz")
    good = dp_sim("opt", "water.xyz", "--calculator", "emt", "-o", "run", folder=tmp_path)
    assert (good.returncode, good.stderr) == (0, "")
    assert "energy" in good.stdout
    bad = dp_sim("opt", "water.xyz", "--calculator", "emt", "-o", "run", folder=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission(tmp_path):
    molecule("H2O").write(tmp_path / "water.xyz")
    (tmp_path / "locked").mkdir(mode=0o500)
    outcome = dp_sim("opt", "water.xyz", "--calculator", "emt", "-o", "locked/run", folder=tmp_path)
    assert outcome.returncode == 2
    assert "no permission" in outcome.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_resumes(tmp_path, number, status):
    molecule("CH4").write(tmp_path / "methane.xyz")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "slow.py").write_text(SLOW)
    command = ["vib", "methane.xyz", "--calculator", "lab.slow:Slow", "-o", "run", "--fmax", "1000"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [*COMMAND, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in errors
    assert not (tmp_path / "run" / "result.json").exists()
    assert (tmp_path / "run" / "hessian_rows.npy").exists()
    assert "interrupted; --resume continues it" in (tmp_path / "run" / "log.txt").read_text()
    resumed = subprocess.run(
        [*COMMAND, *command, "--resume"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert resumed.returncode == 0, resumed.stderr
    assert "vib continued" in (tmp_path / "run" / "log.txt").read_text()
    assert len(json.loads((tmp_path / "run" / "result.json").read_text())["values"]["frequencies"]["value"]) == 9
