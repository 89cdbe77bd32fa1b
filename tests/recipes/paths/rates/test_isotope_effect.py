"""The isotope effect of a proton transfer: malonaldehyde at GFN2-xTB beside the equation of Bigeleisen and Mayer."""

import numpy as np
import pytest
from ase import Atoms, units

from dp_sim.recipes import rate_constant

# In the plane of the molecule, Angstrom: O C C C O, the hydrogen that moves, three others.
REACTANT = [
    (-1.1958, -1.3320), (-1.2570, -0.1081), (-0.1128, 0.7573), (1.1349, 0.2236), (1.3891, -1.0623),
    (0.5112, -1.5397), (-2.2385, 0.3930), (-0.2554, 1.8228), (2.0244, 0.8453),
]  # fmt: skip
SADDLE = [
    (-1.2095, -1.2096), (-1.1861, 0.0559), (0.0, 0.7853), (1.1861, 0.0559), (1.2095, -1.2096),
    (0.0, -1.4890), (-2.1467, 0.5762), (0.0, 1.8588), (2.1467, 0.5762),
]  # fmt: skip
MOVING, DEUTERIUM_AMU, TEMPERATURE_K = 5, 2.014, 300.0


def planar(positions):
    return Atoms("OC3OH4", [(*position, 0.0) for position in positions])


def hessian(atoms, calculator, step=0.005):
    """The second derivatives (3N, 3N), eV/Angstrom^2, by differences of the forces to both sides."""
    atoms = atoms.copy()
    atoms.calc, rows = calculator, []
    for k in range(3 * len(atoms)):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[k] += sign * step
            sides.append(calculator.get_forces(moved).ravel())
        rows.append((sides[1] - sides[0]) / (2 * step))
    return (np.array(rows) + np.array(rows).T) / 2


def u_of(second, masses):
    """h nu / k T of the 3N - 6 modes, by mass-weighting; the imaginary one comes first, as a negative number."""
    weights = np.repeat(masses, 3) ** -0.5
    values = np.linalg.eigvalsh(second * np.outer(weights, weights))
    modes = np.sort(values[np.argsort(np.abs(values))[6:]])
    energies = np.sign(modes) * np.sqrt(np.abs(modes)) * units._hbar * units.J * units.s
    return energies / (units.kB * TEMPERATURE_K)


def test_the_effect_of_malonaldehyde_is_that_of_bigeleisen_and_mayer(xtb):
    """J. Chem. Phys. 15, 261 (1947): by frequencies, where we go by partition functions. Times Wigner's factors."""
    reactant, saddle = planar(REACTANT), planar(SADDLE)
    light = reactant.get_masses()
    heavy = light.copy()
    heavy[MOVING] = DEUTERIUM_AMU
    at_rest, at_top = (hessian(atoms, xtb) for atoms in (reactant, saddle))
    h, d = u_of(at_rest, light), u_of(at_rest, heavy)
    top_h, top_d = u_of(at_top, light), u_of(at_top, heavy)
    ratio = np.prod(h / d * np.sinh(d / 2) / np.sinh(h / 2))
    ratio_top = np.prod(top_h[1:] / top_d[1:] * np.sinh(top_d[1:] / 2) / np.sinh(top_h[1:] / 2))
    classical = top_h[0] / top_d[0] * ratio_top / ratio
    wigner = (1 + top_h[0] ** 2 / 24) / (1 + top_d[0] ** 2 / 24)

    options = {"temperature_K": TEMPERATURE_K, "temperature_min_K": 300.0, "temperature_max_K": 400.0}
    found = rate_constant(
        reactant, saddle, xtb, isotopes=[f"{MOVING}={DEUTERIUM_AMU}"], tunnelling="wigner", progress=False, **options
    )
    assert found.verdict == "PASS", found.reasons
    assert found.kinetic_isotope_effect == pytest.approx(classical * wigner, rel=0.02)
    assert 4 < found.kinetic_isotope_effect < 6
