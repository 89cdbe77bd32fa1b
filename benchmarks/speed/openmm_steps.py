"""Steps per second of the shipped water model inside OpenMM, compressed, beside one evaluation through DPCalculator.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python benchmarks/speed/openmm_steps.py

Verlet steps of 0.5 fs from 300 K, wall time; the rounds alternate between the two backends and ASE. Needs a quiet
machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import openmm
import torch
from ase import Atoms, units
from ase.io import read
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from dp_sim.model.compression import compress_file
from dp_sim.model.model_file import load_model
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.plugins.openmm_force import create_force

WATER = Path(__file__).resolve().parents[2] / "example_systems" / "water"
TIMESTEP_FS = 0.5


def openmm_stepper(atoms: Atoms, force: openmm.Force, platform: str) -> openmm.Integrator:
    """Make an integrator of OpenMM in a Context with this force."""
    system = openmm.System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.setDefaultPeriodicBoxVectors(*(atoms.cell[:] / 10))
    system.addForce(force)
    context = openmm.Context(
        system, openmm.VerletIntegrator(TIMESTEP_FS * 1e-3), openmm.Platform.getPlatformByName(platform)
    )
    context.setPositions(atoms.positions / 10)
    context.setVelocitiesToTemperature(300, 1)
    integrator = context.getIntegrator()
    integrator.context = context  # keeps it alive
    return integrator


def ase_stepper(atoms: Atoms, calculator: DPCalculator) -> VelocityVerlet:
    """Make velocity Verlet of ASE with this calculator."""
    atoms = atoms.copy()
    atoms.calc = calculator
    thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(1))
    return VelocityVerlet(atoms, TIMESTEP_FS * units.fs)


def measure(file: Path, dtype: str, repeat: int, steps: int, rounds: int, platform: str) -> None:
    """Time steps with both backends of OpenMM and in ASE, and print them."""
    model = load_model(file, dtype=dtype)
    atoms = read(WATER / "water.extxyz").repeat(repeat)
    symbols = atoms.get_chemical_symbols()
    steppers = {
        backend: openmm_stepper(
            atoms, create_force(model, species=symbols, periodic=True, backend=backend), platform
        ).step
        for backend in ("torchscript", "python")
    }
    steppers["ase"] = ase_stepper(atoms, DPCalculator(model)).run
    seconds: dict[str, list[float]] = {name: [] for name in steppers}
    for step in steppers.values():
        step(6)  # TorchScript compiles
    for _ in range(rounds):
        for name, step in steppers.items():
            start = time.perf_counter()
            step(steps)
            seconds[name].append((time.perf_counter() - start) / steps)
    for name, values in seconds.items():
        median = float(np.median(values))
        print(
            f"{file.stem:12s} {dtype}  {len(atoms):6d} atoms  {torch.get_num_threads()} threads  {name:11s} "
            f"{1 / median:7.1f} steps/s  {1e6 * median / len(atoms):6.1f} us per atom and step",
            flush=True,
        )


def main() -> None:
    """Measure the water model at each precision and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, nargs="+", default=[1])
    parser.add_argument("--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--platform", default="CPU")
    parser.add_argument("--uncompressed", action="store_true", help="the model as it was trained as well")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compressed = Path(folder) / "compressed.pt"
        compress_file(WATER / "water.pt", compressed)
        for file in [WATER / "water.pt", compressed] if settings.uncompressed else [compressed]:
            for dtype in settings.dtype:
                for repeat in settings.repeat:
                    measure(file, dtype, repeat, settings.steps, settings.rounds, settings.platform)


if __name__ == "__main__":
    main()
