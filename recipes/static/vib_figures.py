"""Figures of normal modes: lines of the spectrum, and thermochemistry against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.results.figures import COLOURS, new_figure, new_panels
from dp_sim.recipes.static.infrared import spectrum
from dp_sim.recipes.static.thermochemistry import Thermochemistry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


def line_figure(frequencies_cm1: Array, std_cm1: Array | None) -> Figure:
    """Draw a line for each frequency (M,), imaginary ones in another colour, with bars of a committee's spread."""
    figure, axes = new_figure("wavenumber (cm⁻¹), negative: imaginary", "")
    figure.set_size_inches(6.0, 2.2)
    for colour, shown in ((COLOURS[0], frequencies_cm1 >= 0), (COLOURS[1], frequencies_cm1 < 0)):
        axes.vlines(frequencies_cm1[shown], 0, 1, color=colour, linewidth=1.4)
    if std_cm1 is not None:
        axes.hlines(np.full(len(std_cm1), 1.06), frequencies_cm1 - std_cm1, frequencies_cm1 + std_cm1, color="black")
    axes.set_ylim(0, 1.15)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    return figure


def infrared_figure(frequencies_cm1: Array, intensities_km_mol: Array, width_cm1: float) -> Figure:
    """Draw the broadened spectrum, wavenumbers falling as spectroscopists have it."""
    figure, axes = new_figure("wavenumber (cm⁻¹)", "absorption (km/mol per cm⁻¹)")
    axes.plot(*spectrum(frequencies_cm1, intensities_km_mol, width_cm1), color=COLOURS[0])
    axes.invert_xaxis()
    return figure


def thermochemistry_figure(table: Thermochemistry, energy_eV: float) -> Figure:
    """Draw enthalpy and Gibbs energy above the potential energy, and the entropy."""
    figure, (energies, entropies) = new_panels(
        [("temperature (K)", "above the potential energy (eV)"), ("temperature (K)", "entropy (J/mol/K)")]
    )
    for name, values, colour in (("H", table.enthalpy_eV, COLOURS[0]), ("G", table.gibbs_energy_eV, COLOURS[1])):
        energies.plot(table.temperatures_K, values - energy_eV, color=colour, label=name)
    energies.legend(frameon=False)
    entropies.plot(table.temperatures_K, table.entropy_J_mol_K, color=COLOURS[2])
    return figure
