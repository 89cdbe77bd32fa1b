"""A relaxation that does not converge says by what, and one that does on contradictory numbers says that too."""

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT

from dp_sim.recipes import optimize


class Spoilt(EMT):
    """EMT with another energy, or with noise on its forces."""

    scale, noise = 1.0, 0.0
    generator = np.random.default_rng(0)

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.results["energy"] *= self.scale
        self.results["free_energy"] = self.results["energy"]
        self.results["forces"] = self.results["forces"] + self.noise * self.generator.normal(
            size=self.results["forces"].shape
        )


def rattled():
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.1, seed=1)
    return crystal


def test_forces_that_are_no_derivative_of_the_energy():
    calculator = Spoilt()
    calculator.scale = -1.0
    stopped = optimize(rattled(), calculator, steps=6)
    assert stopped.ended_by == "forces contradict energy"
    assert "derivative" in stopped.cause
    searched = optimize(rattled(), calculator, optimizer="precon-lbfgs")
    assert not searched.converged
    assert searched.ended_by == "forces contradict energy"


def test_converged_on_contradictory_numbers_is_noted(tmp_path):
    calculator = Spoilt()
    calculator.scale = -1.0
    assert optimize(rattled(), calculator, out=tmp_path / "opt").converged
    assert "derivative of this energy" in (tmp_path / "opt" / "report.html").read_text()


def test_honest_numbers_contradict_nothing(tmp_path):
    optimize(rattled(), EMT(), out=tmp_path / "opt")
    assert "derivative" not in (tmp_path / "opt" / "report.html").read_text()


def test_an_energy_that_no_longer_changes():
    calculator = Spoilt()
    calculator.noise = 1e-6
    result = optimize(rattled(), calculator, fmax=1e-8, steps=80)
    assert result.ended_by == "energy no longer changes"
    assert "noisy" in result.cause
