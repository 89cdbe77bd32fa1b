"""What is odd about a run of dynamics: its start, said before the first step, and its temperature; refused never."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import vdw_radii

from dp_sim.recipes.dynamics.engines.velocities import fixed_atoms
from dp_sim.recipes.dynamics.molecules import find_molecules
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds, take_stretch_away
from dp_sim.recipes.results.quantities import Estimate
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Share of the box that spheres of the van der Waals radii fill, below which it is mostly empty. They fill 0.6 and more
#: of molecular crystals and of liquids (spheres of bonded atoms overlap, and count twice).
FILLED = 0.1
#: Radius of an element that has none in the table, Angstrom.
ORDINARY_RADIUS_A = 2.0
#: Share of the kinetic energy in the motion of the whole that is worth a word.
WORTH_A_WORD = 1e-6
#: Standard errors beyond which a temperature is off for certain.
CERTAIN_ERRORS = 5.0

#: Drift of a conserved energy that is too large: GROMACS's default tolerance, 0.005 kJ/mol/ps an atom.
LARGE_DRIFT_MEV_PER_ATOM_NS = 52.0


def short_cell_remark(atoms: Atoms, cutoff_A: float | None) -> str:
    """Say in a sentence that atoms of a Deep Potential meet their own images; empty where they do not.

    Parameters
    ----------
    atoms
        The structure.
    cutoff_A
        Of the model, Angstrom; None: another calculator.
    """
    if cutoff_A is None or not atoms.pbc.any():
        return ""
    reciprocal = np.linalg.norm(np.linalg.pinv(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0)), axis=0)
    heights = [(1 / one, "abc"[axis]) for axis, one in enumerate(reciprocal) if atoms.pbc[axis]]
    height, axis = min(heights)
    if height >= cutoff_A:
        return ""
    return (
        f"the cell is {height:.2f} A high along {axis}, less than the cutoff of {cutoff_A:g} A: atoms act on their own "
        "images, and move in step with them; repeat the cell for the dynamics of a larger system"
    )


def motion_remark(atoms: Atoms) -> str:
    """Say in a sentence that the momenta of a structure carry or turn it as a whole; empty where they do not.

    At constant energy the motion of the centre of mass is taken away. The angular momentum of a free molecule stays:
    both are conserved, and no energy goes from them into the vibrations that temperature is about.
    """
    momenta, masses = atoms.get_momenta(), atoms.get_masses()
    kinetic = float(atoms.get_kinetic_energy())
    if fixed_atoms(atoms) or len(atoms) == 1 or kinetic == 0:
        return ""
    total = momenta.sum(axis=0)
    carried = float(total @ total) / (2 * masses.sum())
    words = []
    if carried > WORTH_A_WORD * kinetic:
        words.append(
            f"the structure moves as a whole, with {100 * carried / kinetic:.2g} % of its kinetic energy "
            f"({carried:.3g} eV), which is taken away"
        )
    if not atoms.pbc.any():
        turned = _rotational_energy(atoms, momenta - total * (masses / masses.sum())[:, None])
        if turned > WORTH_A_WORD * kinetic:
            words.append(
                f"the structure turns, with {100 * turned / kinetic:.2g} % of its kinetic energy ({turned:.3g} eV), "
                "which is kept: the temperature counts it"
            )
    return "; ".join(words)


def stretch_remark(atoms: Atoms, bonds: RigidBonds | None) -> str:
    """Say in a sentence that momenta of a structure would stretch bonds that are held; empty where they do not."""
    kinetic = float(atoms.get_kinetic_energy())
    if bonds is None or kinetic == 0:
        return ""
    held = atoms.copy()
    take_stretch_away(held, bonds)
    taken = kinetic - float(held.get_kinetic_energy())
    if taken <= WORTH_A_WORD * kinetic:
        return ""
    return (
        f"the momenta of the structure stretch bonds that are held, with {100 * taken / kinetic:.2g} % of the kinetic "
        f"energy ({taken:.3g} eV), which is taken away"
    )


def _rotational_energy(atoms: Atoms, momenta: np.ndarray) -> float:
    """Return L I^-1 L / 2 about the centre of mass, eV."""
    arms = atoms.positions - atoms.get_center_of_mass()
    angular = np.cross(arms, momenta).sum(axis=0)
    weighted = arms * atoms.get_masses()[:, None]
    inertia = np.eye(3) * float((weighted * arms).sum()) - weighted.T @ arms
    return float(angular @ np.linalg.pinv(inertia, rcond=1e-8) @ angular) / 2


def gas_remark(atoms: Atoms, temperature_K: float, pressure_bar: float) -> str:
    """Say in a sentence that the structure is a gas at this temperature and pressure; empty where its box is filled.

    Parameters
    ----------
    atoms
        Periodic along all three axes.
    temperature_K, pressure_bar
        What is held constant.
    """
    spheres, volume = _volume_of_spheres(atoms), float(atoms.get_volume())
    if spheres > FILLED * volume:
        return ""
    bonds, _ = find_molecules(atoms)
    number = len(atoms) - len(bonds)
    what = "one molecule" if number == 1 and len(atoms) > 1 else f"{number} molecules or atoms"
    empty = 100 - 100 * spheres / volume
    return (
        f"{what} in {volume:,.0f} A^3: the box is empty to {empty:.0f} %, and the structure is a gas. "
        f"{_expansion(volume / number, temperature_K, pressure_bar)}; for a molecule in vacuum take constant "
        "volume (nvt), for a liquid start near its density"
    )


def turns_freely(atoms: Atoms) -> bool:
    """Tell whether a structure is one free molecule, in no cell or in one that is mostly empty."""
    if atoms.constraints:
        return False
    if not atoms.pbc.any():
        return True
    if not atoms.pbc.all() or _volume_of_spheres(atoms) > FILLED * atoms.get_volume():
        return False
    return len(find_molecules(atoms)[0]) == len(atoms) - 1


def _volume_of_spheres(atoms: Atoms) -> float:
    """Sum the spheres of the van der Waals radii, Angstrom^3."""
    radii = vdw_radii[atoms.numbers]
    return float((4 / 3 * np.pi * np.where(np.isfinite(radii), radii, ORDINARY_RADIUS_A) ** 3).sum())


def _expansion(volume_A3: float, temperature_K: float, pressure_bar: float) -> str:
    """Say what volume an ideal gas takes for each molecule, beside the one that it has."""
    if pressure_bar <= 0:
        return f"At {pressure_bar:g} bar it expands without bound"
    ideal = KB_EV_PER_K * temperature_K / (pressure_bar / EV_PER_A3_IN_BAR)
    change = "expands" if ideal > volume_A3 else "is compressed"
    return (
        f"At {temperature_K:g} K and {pressure_bar:g} bar an ideal gas takes {ideal:,.0f} A^3 a molecule where it has "
        f"{volume_A3:,.0f}: unless it condenses the box {change}"
    )


def temperature_remark(found: Estimate, target_K: float | None) -> str:
    """Say in a sentence that the kinetic temperature is off by little but certainly; empty where it is not.

    Momenta feel the length of a time step before positions do: BAOAB samples a harmonic vibration's positions exactly
    at any step, and its momenta at whole steps too cold, by the factor 1 - (omega dt)^2 / 4 (Leimkuhler and Matthews
    2013).

    Parameters
    ----------
    found
        The average kinetic temperature, K.
    target_K
        The thermostat's, K; None: there is none.
    """
    if target_K is None or found.value is None or found.error is None:
        return ""
    off = found.value - target_K
    if abs(off) <= CERTAIN_ERRORS * found.error:
        return ""
    return (
        f"the kinetic temperature averages {found.value:.1f} ± {found.error:.1f} K, {100 * abs(off) / target_K:.1f} % "
        f"{'below' if off < 0 else 'above'} the thermostat's {target_K:g} K: the time step is felt in the momenta, and "
        "so in the kinetic part of the pressure; averages over positions feel it much less"
    )


def drift_words(found: Estimate) -> str:
    """Judge the drift of a conserved energy, in a sentence.

    Parameters
    ----------
    found
        The drift, meV/atom/ns.
    """
    if found.value is None or found.ci95 is None:
        return "not known"
    least = min(map(abs, found.ci95)) if found.ci95[0] * found.ci95[1] > 0 else 0.0
    most = max(map(abs, found.ci95))
    warmth = f"{found.value / (1500 * KB_EV_PER_K):.2g} K a ns"  # of 3 k_B / 2 an atom
    if least > LARGE_DRIFT_MEV_PER_ATOM_NS:
        return f"too large, {warmth} of kinetic energy: take a smaller time step, or a model with smoother forces"
    if most > LARGE_DRIFT_MEV_PER_ATOM_NS:
        return f"the run is too short to tell whether it is below {LARGE_DRIFT_MEV_PER_ATOM_NS:g} meV/atom/ns"
    return f"small, {warmth} of kinetic energy" if least else "none beyond its error"
