"""Velocity autocorrelation, Green-Kubo diffusion and the vibrational density of states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from dp_sim.recipes.analysis.trajectory.carriers import nearest_image
from dp_sim.recipes.analysis.trajectory.unwrapping import Paths
from dp_sim.recipes.analysis.transport.displacements import PER_A2_PS, UNIT
from dp_sim.recipes.analysis.transport.green_kubo import GreenKubo, integrate
from dp_sim.recipes.results.quantities import Estimate

Array = NDArray[np.float64]
#: 1/ps in 1/cm.
PER_PS_IN_CM1 = 33.35640952
#: Share of <v^2> by which steps may differ from what the velocities say, where frames are dense enough.
MISMATCH = 0.05
#: Angstrom/ps; what moves less rests: thermal velocities are of order one.
RESTS = 1e-9
#: Parts of a run whose densities of states are kept apart, at most.
MOST_PARTS = 32
#: Points of a correlation function that are kept.
SHOWN = 1 / 10


@dataclass(frozen=True, kw_only=True)
class VelocityCorrelation:
    """Velocity autocorrelation of one species, and diffusion from it.

    Attributes
    ----------
    species
        Element or formula.
    time_ps
        (K,) ps.
    correlation
        (K,) <v(0) v(t)> / <v^2>; empty, as are the times, of what rests.
    green_kubo
        D = int_0^inf <v(0) v(t)> dt / 3, 10^-9 m^2/s.
    """

    species: str
    time_ps: Array
    correlation: Array
    green_kubo: GreenKubo


@dataclass(frozen=True, kw_only=True)
class DensityOfStates:
    """Vibrational density of states.

    Attributes
    ----------
    frequency_cm1
        (K,) 1/cm.
    per_element
        Element -> (K,) its part; modes per 1/cm.
    resolution_cm1
        Width of a line, 1/cm.
    degrees_of_freedom
        The integral of all.
    parts
        (P, K) densities of successive parts of the run, up to a factor.
    """

    frequency_cm1: Array
    per_element: dict[str, Array]
    resolution_cm1: float
    degrees_of_freedom: int
    parts: Array

    @property
    def total(self) -> Array:
        """Modes per 1/cm of all elements."""
        return np.asarray(sum(self.per_element.values()))


def mismatch(paths: Paths) -> float:
    """Compare the steps between frames with the velocities at their ends.

    < |dr / dt - (v(n) + v(n+1)) / 2|^2 > / < v^2 >: (omega dt)^4 / 144 for a vibration, 1 or so where it is not
    resolved, where momenta are in other units, or where they belong to other frames.
    """
    assert paths.velocities is not None
    n_frames = min(len(paths.positions), 1 + 200_000 // paths.positions[0].size + 50)
    velocities = paths.velocities[:n_frames]
    steps = np.diff(paths.positions[:n_frames], axis=0)
    average = (velocities[1:] + velocities[:-1]) / 2
    return _share(((steps / paths.frame_ps - average) ** 2).mean(), (velocities**2).mean())


@dataclass
class AtomSteps:
    """Compares the steps of the atoms with their velocities, as `mismatch` does those of the carriers.

    A centre of mass moves slowly, and one that rests tells nothing of the atoms.
    """

    _last: tuple[Array, Array] | None = None
    _steps: list[Array] = field(default_factory=list)
    _averages: list[Array] = field(default_factory=list)
    _squares: list[float] = field(default_factory=list)

    def add(self, atoms: Atoms, velocities: Array) -> None:
        """Take in one frame, with velocities (N, 3) in Angstrom/ps; enough frames are enough."""
        if len(self._steps) > 50 + 200_000 // velocities.size:
            return
        positions: Array = atoms.get_positions()
        if self._last is not None:
            step = positions - self._last[0]
            self._steps.append(nearest_image(step, atoms.cell.array, atoms.pbc))
            self._averages.append((velocities + self._last[1]) / 2)
            self._squares.append(float((velocities**2).mean()))
        self._last = positions, velocities

    def mismatch(self, frame_ps: float) -> float:
        """Return the share of the mean square of velocities by which steps differ from them."""
        missed = np.asarray(self._steps) / frame_ps - np.asarray(self._averages)
        return _share(float((missed**2).mean()), float(np.mean(self._squares)))


def _share(missed: float, square: float) -> float:
    """Return a part of a mean square; none of what rests."""
    if max(missed, square) < RESTS**2:
        return 0.0
    return float(missed / max(square, RESTS**2))


def velocity_correlation(paths: Paths, species: str) -> VelocityCorrelation:
    """Correlate the velocities of one species, and integrate."""
    assert paths.velocities is not None
    velocities = paths.velocities[:, paths.species == species]
    n_frames = len(velocities)
    if (velocities**2).mean() < RESTS**2:
        cause = f"{species} rests (fixed atoms, or all there is, with its centre of mass at rest): no correlation"
        empty = np.array([])
        rests = GreenKubo(time_ps=empty, integral=empty, error=None, cut_ps=None, value=Estimate.withheld(UNIT, cause))
        return VelocityCorrelation(species=species, time_ps=empty, correlation=empty, green_kubo=rests)
    shown = max(2, int(n_frames * SHOWN))
    correlation = _autocorrelation(velocities, shown)

    def products(lag: int) -> Array:
        found = np.zeros(n_frames - lag)
        for component in range(3):
            v = velocities[:, :, component]
            running = np.zeros_like(v)
            running[1:] = np.cumsum((v[1:] + v[:-1]) / 2, axis=0) * paths.frame_ps
            found += (v[:-lag] * (running[lag:] - running[:-lag])).mean(axis=1)
        return found

    return VelocityCorrelation(
        species=species,
        time_ps=np.asarray(np.arange(shown) * paths.frame_ps, dtype=np.float64),
        correlation=correlation / correlation[0],
        green_kubo=integrate(
            products, n_frames, paths.frame_ps, PER_A2_PS / 3, unit=UNIT, what=f"the velocities of {species}"
        ),
    )


def without_diffusion(found: VelocityCorrelation, cause: str) -> VelocityCorrelation:
    """Keep the correlation as it is, without a diffusion coefficient."""
    withheld = replace(found.green_kubo, cut_ps=None, value=Estimate.withheld(UNIT, cause))
    return replace(found, green_kubo=withheld)


def _autocorrelation(velocities: Array, n_lags: int) -> Array:
    """Return <v(0) v(t)> summed over x, y, z and averaged over particles and origins, by Fourier transform."""
    n_frames = len(velocities)
    size = next_fast_len(n_frames + n_lags, real=True)
    power = np.zeros(size // 2 + 1)
    for particle in range(velocities.shape[1]):
        power += (np.abs(rfft(velocities[:, particle], size, axis=0)) ** 2).sum(axis=1)
    found = np.fft.irfft(power, size)[:n_lags] / velocities.shape[1]
    return np.asarray(found / (n_frames - np.arange(n_lags)))


def density_of_states(
    velocities: Array,
    masses: Array,
    elements: NDArray[np.str_],
    frame_ps: float,
    *,
    resolution_cm1: float,
    degrees_of_freedom: int,
) -> DensityOfStates:
    """Compute the power spectrum of sqrt(m) v, whose integral is the number of degrees of freedom.

        g(nu) = (2 / k_B T) sum_i m_i int <v_i(0) v_i(t)> cos(2 pi nu t) dt    (P. H. Berens et al., 1983)

    with k_B T from the velocities themselves. Segments with Hann's window, half of each overlapping the next (P. D.
    Welch, 1967); a line is as wide as two of their frequency steps.

    Parameters
    ----------
    velocities
        (S, N, 3) of atoms, Angstrom/ps, without drift.
    masses, elements
        (N,)
    frame_ps
        Time between frames, ps.
    resolution_cm1
        Width of a line, 1/cm; a short run has a wider one.
    degrees_of_freedom
        Of the atoms.
    """
    n_frames = len(velocities)
    length = min(n_frames, max(8, round(2 * PER_PS_IN_CM1 / (resolution_cm1 * frame_ps))))
    window = hann(length, sym=False)[:, None]
    starts = range(0, n_frames - length + 1, max(1, length // 2))
    frequency = np.fft.rfftfreq(length, frame_ps) * PER_PS_IN_CM1
    width = frequency[1]
    per_element = {name: np.zeros(len(frequency)) for name in dict.fromkeys(elements.tolist())}
    parts = np.zeros((min(len(starts), MOST_PARTS), len(frequency)))
    for atom, (mass, name) in enumerate(zip(masses, elements, strict=True)):
        own = np.asarray(velocities[:, atom])
        for number, start in enumerate(starts):
            spectrum = rfft(own[start : start + length] * window, axis=0)
            power = mass * (np.abs(spectrum) ** 2).sum(axis=1)
            per_element[name] += power
            parts[number * len(parts) // len(starts)] += power
    total = sum(part.sum() for part in per_element.values()) * width
    scaled = {name: part * degrees_of_freedom / total for name, part in per_element.items()}
    return DensityOfStates(
        frequency_cm1=np.asarray(frequency, dtype=np.float64),
        per_element=scaled,
        resolution_cm1=float(2 * width),
        degrees_of_freedom=degrees_of_freedom,
        parts=parts,
    )
