"""What users write against the public names. `make check` holds it to strict types; nothing runs it."""

import numpy as np
from ase.build import molecule
from numpy.typing import NDArray

import dp_sim
from dp_sim.plugins.ase_calculator import DPCalculator
from dp_sim.recipes import Estimate, load_result, optimize, run_nvt, vibrations
from dp_sim.recipes.dynamics.npt import NPTResult


def shown_in_a_loop(file: str) -> list[str]:
    model = dp_sim.load_model(file)
    calculator = DPCalculator(model)
    atoms = molecule("H2O")
    atoms.calc = calculator
    energies = model.evaluate([atoms]).energy
    return [f"{float(energy):.3f} eV" for energy in energies] + list(calculator.model.metadata.species)


def trained(settings: str) -> tuple[str, ...]:
    run = dp_sim.train(settings, out="trained", progress=False)
    return run.headline()


def modes(file: str) -> tuple[str, NDArray[np.float64]]:
    relaxed = optimize(molecule("H2O"), file, fmax=0.002)
    found = vibrations(relaxed.atoms, file)
    return found.verdict, found.frequencies_cm1


def heat_capacity(file: str) -> Estimate:
    return run_nvt(molecule("H2O"), file, temperature_K=300.0, steps=1000).heat_capacity_kB


def again(directory: str) -> tuple[float, float] | None:
    result = load_result(directory)
    for name, quantity in result.quantities().items():
        print(name, quantity.value, quantity.unit)
    result.to_dataframe()
    return result.density_g_cm3.ci95 if isinstance(result, NPTResult) else None
