"""The fastest vibration of a structure, from a dozen forces, and whether a time step resolves it."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds
from dp_sim.recipes.inputs.forces import energies_and_forces, mobile_atoms
from dp_sim.recipes.static.normal_modes import wavenumbers

#: Evaluations that the estimate takes, and the share of the run's steps that they may be at most.
EVALUATIONS, SHARE_OF_STEPS = 12, 0.1
#: Fewer steps in a period than this are told. At constant energy it drifts; a thermostat holds it, and heavy hydrogens
#: at 2 fs, which sample positions well, have 6 to 8. Below pi steps the motion explodes.
FEWEST_STEPS, FEWEST_THERMOSTATTED = 10, 5
#: Steps in a period that are recommended, as `VibResult.largest_timestep_fs` does.
GOOD_STEPS = 20
#: How far the atom that goes farthest is displaced, Angstrom.
DISPLACEMENT_A = 0.005


def timestep_remark(
    atoms: Atoms,
    calculator: Any,
    timestep_fs: float,
    steps: int,
    *,
    thermostat: bool,
    rigid_bonds: RigidBonds | None = None,
) -> str:
    """Say in a sentence that a time step is too long for the fastest vibration; empty where it is not.

    Parameters
    ----------
    atoms
        The structure at the start, with the masses that move.
    calculator
        An ASE calculator.
    timestep_fs
        Time step of the run, fs.
    steps
        Steps of the run: a short one is estimated from fewer forces, and one of less than 20 steps not at all.
    thermostat
        Whether a thermostat takes up what the steps do to the energy.
    rigid_bonds
        Bonds that are held, whose vibrations do not count.
    """
    evaluations = min(EVALUATIONS, int(SHARE_OF_STEPS * steps))
    if evaluations < 2:
        return ""
    highest = highest_frequency_cm1(atoms, calculator, evaluations, rigid_bonds)
    if highest <= 0:
        return ""
    period = 1e15 / (highest * 100 * units._c)
    fewest = FEWEST_THERMOSTATTED if thermostat else FEWEST_STEPS
    if timestep_fs <= period / fewest:
        return ""
    beside = "" if rigid_bonds is None else " beside the bonds that are held"
    return (
        f"the time step of {timestep_fs:g} fs is long: the fastest vibration{beside} at the start has about "
        f"{highest:.0f} cm^-1, which makes {period / timestep_fs:.1f} steps a period of {period:.1f} fs; take "
        f"{period / GOOD_STEPS:.2g} fs, or {period / fewest:.2g} fs at most"
    )


def highest_frequency_cm1(
    atoms: Atoms, calculator: Any, evaluations: int = EVALUATIONS, rigid_bonds: RigidBonds | None = None
) -> float:
    """Estimate the highest frequency from below.

    The largest eigenvalue of the mass-weighted Hessian in the Krylov space of a random vector (C. Lanczos, J. Res.
    Natl. Bur. Stand. 45, 255 (1950)). Products with the Hessian are differences: H v = -[F(x + h v) - F(x)] / h.

    Parameters
    ----------
    atoms
        The structure; atoms held by `FixAtoms` do not move.
    calculator
        An ASE calculator.
    evaluations
        Forces to compute, 2 or more. A dozen give the highest frequency to a few percent, whatever the size.
    rigid_bonds
        Bonds that keep their length: displacements that would stretch them are left out.

    Returns
    -------
    float
        cm^-1; negative where no direction that was looked at has a positive curvature.
    """
    mobile = mobile_atoms(atoms)
    root = np.repeat(np.sqrt(atoms.get_masses()[mobile]), 3)

    def forces(shift: NDArray[np.float64]) -> NDArray[np.float64]:
        moved = atoms.copy()
        moved.positions[mobile] += shift.reshape(-1, 3)
        return np.asarray(next(energies_and_forces([moved], calculator))[1][mobile].ravel())

    def allowed(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project a mass-weighted displacement on those that stretch no rigid bond."""
        if rigid_bonds is None:
            return vector
        whole = np.zeros((len(atoms), 3))
        whole[mobile] = (vector / root).reshape(-1, 3)
        return np.asarray(rigid_bonds.without_stretch(whole, masses, vectors)[mobile].ravel() * root)

    masses = atoms.get_masses()
    vectors = np.zeros((0, 3)) if rigid_bonds is None else rigid_bonds.vectors(atoms)
    at_start = forces(np.zeros(len(root)))
    vector = allowed(np.random.default_rng(0).normal(size=len(root)))
    basis, products = np.zeros((0, len(root))), np.zeros((0, len(root)))
    for _ in range(min(evaluations - 1, len(root))):
        before = np.linalg.norm(vector)
        for _ in range(2):  # once leaves the rounding of a cancellation
            vector = vector - basis.T @ (basis @ vector)
        size = np.linalg.norm(vector)
        if size <= 1e-8 * before:  # the space is complete
            break
        vector = vector / size
        step = vector / root
        h = DISPLACEMENT_A / np.linalg.norm(step.reshape(-1, 3), axis=1).max()
        product = allowed((at_start - forces(h * step)) / (h * root))
        basis, products = np.vstack([basis, vector]), np.vstack([products, product])
        vector = product
    small = basis @ products.T
    return float(wavenumbers(np.linalg.eigvalsh((small + small.T) / 2))[-1])
