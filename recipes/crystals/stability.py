"""Dynamical stability: the lowest frequency of a crystal, and where in the Brillouin zone it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dp_sim.recipes.crystals.spectra import THZ_IN_CM1, Path
from dp_sim.recipes.static.normal_modes import ZERO_CM1

Array = NDArray[np.float64]

STABLE = "dynamically stable"
UNSTABLE = "dynamically unstable"
#: Below this a frequency is imaginary, not the noise of an acoustic branch near Γ: the bound of every recipe, in THz.
IMAGINARY_THZ = -ZERO_CM1 / THZ_IN_CM1


class Lowest(NamedTuple):
    """The lowest frequency found on path and mesh.

    Attributes
    ----------
    frequency_THz
        Negative where it is imaginary.
    wave_vector
        (3,) in reciprocal vectors of the primitive cell.
    place
        Where that is: `M`, `between Γ and X`, or the numbers.
    """

    frequency_THz: float
    wave_vector: Array
    place: str

    @property
    def imaginary(self) -> bool:
        """Whether the crystal goes downhill along this mode."""
        return self.frequency_THz < IMAGINARY_THZ

    @property
    def words(self) -> str:
        """The verdict as a phrase."""
        if not self.imaginary:
            return f"{STABLE}: no imaginary frequency"
        return f"{UNSTABLE}: imaginary modes, down to {self.frequency_THz:.2f} THz at {self.place}"


def find_lowest(path: Path, bands_THz: Array, mesh_wave_vectors: Array, mesh_THz: Array) -> Lowest:
    """Find the lowest frequency on the path (Q, 3n) and the mesh (K, 3n).

    The path is named first: what the mesh adds counts where it is lower by more than 1e-3 THz.
    """
    on_path, on_mesh = bands_THz.min(axis=1), mesh_THz.min(axis=1)
    first = int(on_path.argmin())
    if on_mesh.min() < on_path[first] - 1e-3:
        q = np.asarray(mesh_wave_vectors[on_mesh.argmin()])
        return Lowest(float(on_mesh.min()), q, f"q = {_numbers(q)}")
    q = path.wave_vectors[first]
    named = [name for name, place in path.points.items() if np.allclose(place, q, atol=1e-6)]
    start, end = path.stretches[path.stretch[first]]
    place = f"{named[0]} {_numbers(q)}" if named else f"q = {_numbers(q)}, between {start} and {end}"
    return Lowest(float(on_path[first]), q, place)


def _numbers(q: Array) -> str:
    return "(" + ", ".join(f"{one + 0.0:.3g}" for one in q) + ")"
