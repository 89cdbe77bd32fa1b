"""Guards: what ends a run of dynamics whose motion is no longer that of the system; each with what honest runs can do.

Energy. At constant energy E = K + U is conserved. A thermostat takes energy out while the atoms are hotter than it: E,
less the work of the barostat, falls then, whatever heat a reaction or a bad start sets free, for that heat was
potential energy before. So energy that appears while the atoms are hot, as much as half of their kinetic energy, comes
from the time step or from forces that are no derivative of the energy. Hot is what no fluctuation reaches: in
equilibrium 2 K / kT is distributed as chi^2 with f degrees of freedom, and above `1 + q / f` times the temperature, q
its quantile at 1e-12, an equilibrium is seen less than once in 10^12 looks. Nor can a thermostat give the kinetic
energy of that temperature, f kT / 2 + q kT / 2, between two looks: a relaxed structure takes up f kT / 2 in all, and
fluctuations of E are smaller than q kT / 2.

Distance. Atoms that have come within 0.4 of the sum of their covalent radii (0.25 Angstrom of two hydrogens) and are
hot by it fell into a hole of the model: nuclei repel each other there with tens of eV.

Fragments. Where nothing holds the atoms together (no period along some axis), a fragment that no force reaches any more
does not come back. The canonical average of what is left does not exist, however long the run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2

from dp_sim.recipes.dynamics.engines.protocol import Conditions, Sample
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

#: Steps between two looks at the motion, at most.
LOOK_EVERY = 10
#: Chance that an equilibrium looks hot, each time.
HOT_LEVEL = 1e-12
#: At constant energy: hot above three times the first temperature and 1000 K. A strained start may be hot honestly, so
#: this alone ends nothing.
HOT_FACTOR, HOT_K = 3.0, 1000.0
#: Share of the kinetic energy that may come from nowhere; at constant energy so much as heats it by 50 K, too.
GAIN, GAIN_K = 0.5, 100.0
#: A kinetic temperature above `20 T + 10 000 K` is an explosion: neither released strain nor a fluctuation of a few
#: atoms comes near.
EXPLOSION_FACTOR, EXPLOSION_K = 20.0, 10_000.0
#: A volume that has grown or shrunk this many times is no longer the system that was asked for.
VOLUME_FACTOR = 10.0
#: Distance of two atoms, in sums of their covalent radii, below which they have fallen into each other.
FUSED = 0.4
#: Distance (Angstrom) over which a calculator of unknown range is taken to hold atoms together; and the least.
UNKNOWN_REACH_A, LEAST_REACH_A = 15.0, 8.0
#: Share of the atoms that may leave with a note; more end a run with a thermostat.
LOST_SHARE = 0.05

ADVICE = "relax the structure first, take a smaller time step, or check the model on the last frames"


@dataclass
class Guards:
    """What a run is watched by.

    Attributes
    ----------
    degrees_of_freedom
        Momenta that count in the temperature.
    reach_A
        Distance beyond which atoms do not act on each other, Angstrom; None: not known.
    """

    degrees_of_freedom: int
    reach_A: float | None = None
    #: (step, total energy, volume) of the last look that was seen to be sound, and the energy gained since then.
    _energy_eV: float | None = field(default=None, init=False)
    _volume_A3: float = field(default=0.0, init=False)
    _first_volume_A3: float = field(default=0.0, init=False)
    _gain_eV: float = field(default=0.0, init=False)
    _first_K: float = field(default=0.0, init=False)
    _fragments: Fragments | None = field(default=None, init=False)

    def temperature_K(self, kinetic_eV: float) -> float:
        """Convert a kinetic energy to a temperature."""
        return 2 * kinetic_eV / (self.degrees_of_freedom * KB_EV_PER_K)

    def hot_above_K(self, conditions: Conditions) -> float:
        """Return the kinetic temperature that no equilibrium under these conditions reaches."""
        if conditions.temperature_K is None:
            return HOT_FACTOR * self._first_K + HOT_K
        quantile = float(chi2.isf(HOT_LEVEL, self.degrees_of_freedom)) / self.degrees_of_freedom
        return (1 + quantile) * conditions.temperature_K

    def looks_odd(self, atoms: Atoms, conditions: Conditions) -> bool:
        """Tell from the momenta alone whether the energy should be looked at, between two samples.

        Parameters
        ----------
        atoms
            The structure now.
        conditions
            With the temperature of this moment.
        """
        kinetic = float(atoms.get_kinetic_energy())
        return not math.isfinite(kinetic) or self.temperature_K(kinetic) > self.hot_above_K(conditions)

    def begin(self, sample: Sample, atoms: Atoms) -> None:
        """Take the first sample of a run, or that of the step from which it goes on, as sound."""
        self._energy_eV, self._gain_eV = sample.potential_eV + sample.kinetic_eV, 0.0
        self._first_K = self.temperature_K(sample.kinetic_eV)
        self._volume_A3 = self._first_volume_A3 = sample.volume_A3 or 0.0
        self._fragments = None if atoms.pbc.all() else Fragments(atoms, self.reach_A)

    def state(self) -> list[float]:
        """Return what a continued run must know of the run so far."""
        fragments = [math.nan, math.nan] if self._fragments is None else self._fragments.state()
        return [
            self._energy_eV or 0.0,
            self._gain_eV,
            self._first_K,
            self._volume_A3,
            self._first_volume_A3,
            *fragments,
        ]

    def restore(self, state: list[float], atoms: Atoms) -> None:
        """Go on from `state`."""
        self._energy_eV, self._gain_eV, self._first_K, self._volume_A3, self._first_volume_A3 = state[:5]
        if not atoms.pbc.all():
            self._fragments = Fragments(atoms, self.reach_A)
            self._fragments.restore(state[5:])

    def cause_to_stop(self, sample: Sample, atoms: Atoms, conditions: Conditions) -> str:
        """Say why the run must end now, with what to do; empty where it goes on.

        Parameters
        ----------
        sample
            Energies and volume now.
        atoms
            The structure now.
        conditions
            With the temperature and the pressure of this moment.
        """
        if not (math.isfinite(sample.potential_eV) and math.isfinite(sample.kinetic_eV)):
            return f"the energy became non-finite: the motion is unstable; {ADVICE}"
        return (
            self._energy_from_nowhere(sample, atoms, conditions)
            or self._explosion(sample, conditions)
            or self._volume(sample, atoms, conditions)
            or self._come_apart(atoms, conditions)
        )

    def _energy_from_nowhere(self, sample: Sample, atoms: Atoms, conditions: Conditions) -> str:
        if self._energy_eV is None:
            self.begin(sample, atoms)
        temperature = self.temperature_K(sample.kinetic_eV)
        hot_K = self.hot_above_K(conditions)
        gain, allowed, since = self._gain(sample, conditions, hot_K)
        if gain > allowed:
            near = _with(fused_words(atoms))
            return (
                f"the total energy has risen by {gain:.3g} eV {since}, to {temperature:,.0f} K{near}: "
                f"the motion is unstable; {ADVICE}"
            )
        if temperature > hot_K and (words := fused_words(atoms)):
            return (
                f"the temperature has risen to {temperature:,.0f} K{_with(words)}: the model has a hole there; {ADVICE}"
            )
        return ""

    def _gain(self, sample: Sample, conditions: Conditions, hot_K: float) -> tuple[float, float, str]:
        """Return the energy that came from nowhere, how much may, and since when, in words."""
        assert self._energy_eV is not None
        energy, volume = sample.potential_eV + sample.kinetic_eV, sample.volume_A3 or 0.0
        allowed = GAIN * sample.kinetic_eV
        if conditions.temperature_K is None:
            least = self.degrees_of_freedom / 2 * KB_EV_PER_K * GAIN_K
            return energy - self._energy_eV, max(allowed, least), "since the start"
        work = (conditions.pressure_bar or 0.0) / EV_PER_A3_IN_BAR * (volume - self._volume_A3)
        jump = energy - self._energy_eV + work
        self._energy_eV, self._volume_A3 = energy, volume
        most = self.degrees_of_freedom / 2 * KB_EV_PER_K * hot_K
        if jump > most:
            return jump, most, "since the last look"
        self._gain_eV = self._gain_eV + jump if self.temperature_K(sample.kinetic_eV) > hot_K else 0.0
        return self._gain_eV, allowed, "while the thermostat cooled"

    def _explosion(self, sample: Sample, conditions: Conditions) -> str:
        temperature = self.temperature_K(sample.kinetic_eV)
        target = conditions.temperature_K or conditions.start_temperature_K or 0.0
        if temperature <= EXPLOSION_FACTOR * target + EXPLOSION_K:
            return ""
        return f"the temperature has risen to {temperature:,.0f} K: the motion is unstable; {ADVICE}"

    def _volume(self, sample: Sample, atoms: Atoms, conditions: Conditions) -> str:
        if sample.volume_A3 is None or conditions.pressure_bar is None or not self._first_volume_A3:
            return ""
        ratio = sample.volume_A3 / self._first_volume_A3
        if 1 / VOLUME_FACTOR < ratio < VOLUME_FACTOR:
            return ""
        if ratio < 1:
            return (
                f"the volume has become {ratio:.3g} times that of the start: the box was mostly empty, or the model "
                "does not repel; start from a density nearer to that of the condensed phase, or check the model"
            )
        return (
            f"the volume has become {ratio:.3g} times that of the start: nothing holds the box together at "
            f"{conditions.temperature_K:g} K and {conditions.pressure_bar:g} bar, where the model makes it a gas; take "
            f"a lower temperature or a higher pressure, constant volume (nvt), or check the model at such densities"
        )

    def _come_apart(self, atoms: Atoms, conditions: Conditions) -> str:
        if self._fragments is None or conditions.temperature_K is None:
            return ""
        words = self._fragments.lost_words(atoms)
        if not words or self._fragments.lost <= LOST_SHARE * len(atoms):
            return ""
        return (
            f"{words}: the structure has come apart, and no run gives averages of what flies away for ever; take a "
            "lower temperature, a periodic box, or check the model on the last frames"
        )

    @property
    def remark(self) -> str:
        """What should be told though the run goes on: atoms that have left; else empty."""
        return "" if self._fragments is None else self._fragments.words


class Fragments:
    """The atoms of a structure that is open along some axis, and which of them have left the others.

    Parameters
    ----------
    atoms
        At the start.
    reach_A
        Distance beyond which no force acts, Angstrom; None: not known.
    """

    def __init__(self, atoms: Atoms, reach_A: float | None) -> None:
        self._reach_A = UNKNOWN_REACH_A if reach_A is None else max(reach_A, LEAST_REACH_A)
        self._outside = len(self._smaller(atoms))
        self._looked_at_A = self._extent(atoms) + self._reach_A
        self.lost, self.words = 0, ""

    def state(self) -> list[float]:
        """Return the count at the start and the extent at which to look next."""
        return [float(self._outside), self._looked_at_A]

    def restore(self, state: list[float]) -> None:
        """Go on from `state`."""
        self._outside, self._looked_at_A = int(state[0]), float(state[1])

    def lost_words(self, atoms: Atoms) -> str:
        """Say which atoms have left the largest fragment since the start; empty where none has.

        The search takes time and the extent of the structure does not: it is only made where that has grown.
        """
        extent = self._extent(atoms)
        if extent < self._looked_at_A:
            return ""
        self._looked_at_A = extent + 1.0
        outside = self._smaller(atoms)
        self.lost = len(outside) - self._outside
        if self.lost <= 0:
            return ""
        shown = ", ".join(f"{atom} ({atoms.symbols[atom]})" for atom in outside[:4])
        more = f" and {len(outside) - 4} others" if len(outside) > 4 else ""
        atom, verb = ("atom", "is") if len(outside) == 1 else ("atoms", "are")
        self.words = f"{atom} {shown}{more} {verb} farther than {self._reach_A:g} Angstrom from the rest"
        return self.words

    def _smaller(self, atoms: Atoms) -> list[int]:
        """List the atoms outside the largest fragment."""
        first, second = neighbor_list("ij", atoms, self._reach_A)
        graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
        _, labels = connected_components(graph, directed=False)
        return np.flatnonzero(labels != np.bincount(labels).argmax()).tolist()

    def _extent(self, atoms: Atoms) -> float:
        """Return the greatest length of the structure along the open directions, Angstrom."""
        open_axes = atoms.positions[:, ~atoms.pbc] if _aligned(atoms) else atoms.positions
        return float(np.ptp(open_axes, axis=0).max())


def _aligned(atoms: Atoms) -> bool:
    """Tell whether periodic axes lie along x, y and z, so that the other coordinates are the open ones."""
    cell = np.abs(atoms.cell.array[atoms.pbc])
    return bool(np.allclose(cell[:, ~atoms.pbc], 0.0))


def fused_words(atoms: Atoms) -> str:
    """Name the two atoms that have fallen into each other; empty where none have."""
    largest = 2 * float(covalent_radii[atoms.numbers].max())
    first, second, distance = neighbor_list("ijd", atoms, FUSED * largest)
    sums = covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]]
    fused = np.flatnonzero(distance < FUSED * sums)
    if not len(fused):
        return ""
    closest = fused[np.argmin(distance[fused])]
    i, j = int(first[closest]), int(second[closest])
    apart = f"only {distance[closest]:.2f} Angstrom apart"
    if i == j:
        return f"atom {i} ({atoms.symbols[i]}) and its own image {apart}, in so short a cell"
    return f"atoms {i} ({atoms.symbols[i]}) and {j} ({atoms.symbols[j]}) {apart}"


def _with(words: str) -> str:
    return f", with {words}" if words else ""
