"""The remark about a kinetic temperature that the time step has moved."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from dp_sim.recipes import run_nvt
from dp_sim.recipes.dynamics.remarks import temperature_remark
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import KB_EV_PER_K


def of(value, error):
    return Estimate(value, error, (value - 2 * error, value + 2 * error), 100.0, "K")


@pytest.mark.parametrize(
    ("found", "target"), [(of(301.0, 1.0), 300.0), (of(318.0, 0.3), None), (Estimate.withheld("K", "short"), 300.0)]
)
def test_nothing_is_said_without_a_reason(found, target):
    assert temperature_remark(found, target) == ""


def test_water_at_two_femtoseconds():
    words = temperature_remark(of(318.1, 0.3), 330.0)
    assert "318.1 ± 0.3 K" in words
    assert "3.6 % below" in words


def homes(number):
    return np.outer(np.arange(number), [3.0, 0.0, 0.0])


class Springs(Calculator):
    """Every atom on a spring to a place of its own, 3 Angstrom apart; eV/Angstrom^2."""

    implemented_properties = ("energy", "forces")
    constant = 30.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions - homes(len(self.atoms))
        self.results = {"energy": 0.5 * self.constant * (x**2).sum(), "forces": -self.constant * x}


def test_the_momenta_of_a_stiff_spring_are_too_cold_and_its_positions_right(tmp_path):
    """BAOAB at whole steps: <p^2/m> = kT (1 - (omega dt)^2 / 4), <k x^2> = kT exactly."""
    atoms = Atoms("H40", positions=homes(40))
    omega_dt = (Springs.constant / 1.008) ** 0.5 * 0.098226949 * 0.8  # ASE's unit of time is 10.18 fs
    result = run_nvt(
        atoms,
        Springs(),
        temperature_K=300.0,
        timestep_fs=0.8,
        steps=6000,
        sample_every=5,
        frame_every=1000,
        friction_per_ps=50.0,
        out=tmp_path / "run",
        progress=False,
    )
    expected = 300.0 * (1 - omega_dt**2 / 4)
    assert result.temperature_K.value == pytest.approx(expected, abs=5 * result.temperature_K.error)
    assert result.potential_energy_eV.value == pytest.approx(
        1.5 * 40 * KB_EV_PER_K * 300, abs=5 * result.potential_energy_eV.error
    )
    assert "below the thermostat" in (tmp_path / "run" / "report.html").read_text()
