"""The relaxation of a band: the whole of it loosely, then a climbing image and its neighbours closely."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase.mep.neb import NEBOptimizer, get_neb_method

from dp_sim.recipes.inputs.failed_evaluations import WayBack
from dp_sim.recipes.paths.band.chain import METHODS, Band, BandState, write_band
from dp_sim.recipes.paths.band.resolution import hiding_leg
from dp_sim.recipes.paths.band.stalls import KINK_DEG, bends, dips_of, why_stalled
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar

#: The band is saved every so many steps.
SAVE_EVERY = 10
#: The highest image may change so often while it climbs.
MOST_WINDOWS = 3
#: A band whose lowest force has not fallen below this share of itself over so many steps does not get on: of a window,
#: which the whole band then takes over from, and of the whole.
STALL_SHARE, WINDOW_STALL, STALL = 0.9, 25, 60


class Relaxation(NamedTuple):
    """How the relaxation of a band ended.

    Attributes
    ----------
    steps
        Taken.
    failure
        Why the calculator ended it, as a sentence; empty where it did not.
    stall
        Why the forces did not fall any more, as a clause; empty where they did.
    dip
        An image in a dip between two maxima, where the band was left to be cut; None: there is none.
    hidden
        A leg that hides the highest point, where the band was left to be refined; None: there is none.
    """

    steps: int
    failure: str
    stall: str
    dip: int | None = None
    hidden: int | None = None


def optimize_band(
    band: Band,
    climbing: bool,
    steps: int,
    run: RunDirectory,
    progress: bool,
    *,
    file: str | None,
    cut_eV: float,
    look_for_hidden: bool,
) -> Relaxation:
    """Relax the whole band loosely, then let the highest image climb.

    While it climbs, only it and its neighbours move, which saves the evaluations of all others, until that no longer
    helps. Where the calculator fails on an image, the step that led there is halved, a few times.

    Parameters
    ----------
    band
        Left at the last positions that the solver accepted.
    climbing
        Begin with the climbing image, as an earlier session did.
    steps
        Limit on the steps, all stages together.
    run, progress
        For the log, and whether the progress is shown.
    file
        Name of the file in which the band is saved; None: none.
    cut_eV
        A dip this deep on both sides, once the whole band is near the path, ends it.
    look_for_hidden
        So does a leg that hides the highest point.
    """
    with progress_bar("neb", total=steps, show=progress) as advance:
        path = _Relaxing(band, steps, run, advance, run.path(file) if file else None)
        run.on_interrupt(path.save)
        if not climbing:
            path.stage(band.bounds.others, climb=False)
            if not path.failure and (dips := dips_of(np.array(band.energies), cut_eV)):
                path.save()
                deepest = min(dips, key=lambda k: float(band.energies[k]))
                return Relaxation(path.taken, "", "", deepest)
            goes_on = look_for_hidden and not path.failure and path.taken < steps
            if goes_on and (leg := hiding_leg(band)) is not None:
                path.save()
                return Relaxation(path.taken, "", "", hidden=leg)
            if not (band.has_barrier() or path.failure):
                path.stage(band.bounds.top, climb=False)
        if climbing or (band.has_barrier() and not path.failure):
            path.climb()
    path.save()
    ended = not (path.failure or band.left.within(band.bounds)) and path.taken < steps
    return Relaxation(path.taken, path.failure, why_stalled(band) if ended else "")


class _StalledError(Exception):
    """The forces have not fallen over many steps."""


class _Optimizer(NEBOptimizer):
    """ASE's solver, which calls `begun` once the calculator has given numbers for the band that it begins with."""

    def __init__(self, band: Band, begun: Callable[[], object]) -> None:
        super().__init__(band, logfile=None)
        self._begun: Callable[[], object] | None = begun

    def force_function(self, X: np.ndarray) -> np.ndarray:
        """Compute the forces (3 n_moving N,), eV/Angstrom, at the positions `X` of all moving images."""
        forces = super().force_function(X)
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun()
        return np.asarray(forces)


class _Relaxing:
    """A band on its way: the last state that the solver accepted, and how many steps were taken."""

    def __init__(self, band: Band, steps: int, run: RunDirectory, advance: Advance, file: Path | None) -> None:
        self._band, self._steps, self._run, self._advance, self._file = band, steps, run, advance, file
        self._accepted = BandState(band.get_positions(), [])
        self._way_back = WayBack(band, run.log, "the first path")
        self._moving, self._lowest, self._patience = band, list[float](), STALL
        self._best = (np.inf, self._accepted)  # of a stage: the least force, and where
        self.taken = 0

    @property
    def failure(self) -> str:
        """Why the calculator ended it, as a sentence; empty where it did not."""
        return self._way_back.cause

    def save(self) -> None:
        """Save the band in its file."""
        write_band(self._band, self._accepted.positions, self._file)

    def _good(self) -> None:
        self._accepted = self._band.state()
        self._way_back.evaluated()
        if (force := self._moving.get_residual()) < self._best[0]:
            self._best = (force, self._accepted)

    def _follow(self) -> None:
        self.taken += 1
        self._good()
        self._advance(1, f"{self._moving.left.top:.3f} eV/Å")
        if self.taken % SAVE_EVERY == 0:
            self.save()
        low = self._lowest
        low.append(min([self._moving.get_residual(), *low[-1:]]))
        if len(low) > self._patience and low[-1] > STALL_SHARE * low[-1 - self._patience]:
            raise _StalledError

    def climb(self) -> None:
        """Let the highest image climb, with its neighbours alone as long as that helps, then with the whole band."""
        band = self._band
        for _ in range(MOST_WINDOWS):
            if band.evaluated is None or self.failure or band.nimages < 6:
                break
            top, before = band.top, self._accepted
            reached = self.stage(band.bounds.top, climb=True, window=band.window())
            if bends(np.array([image.positions for image in band.images])).max() > KINK_DEG:
                self._accepted = before  # images have run past each other
                band.restore(before)
                self._run.log("the highest image ran past its neighbours: back, and with the whole band")
                break
            if not reached or band.top == top:
                break
        if not self.failure:
            self.stage(band.bounds.top, climb=True)

    def stage(self, fmax: float, *, climb: bool, window: Band | None = None) -> bool:
        """Move the band, or the window, until no force exceeds `fmax`, as far as steps and calculator allow.

        Returns
        -------
        bool
            Whether it got there.
        """
        band = self._moving = self._band if window is None else window
        self._lowest, self._best = [], (np.inf, self._accepted)
        self._patience = STALL if window is None else WINDOW_STALL
        band.climb = self._band.climb = climb
        # A string spreads its images evenly, which a climbing image does not stand.
        band.neb_method = get_neb_method(band, METHODS["springs" if climb else band.method_name])
        begun: Callable[[], object] = self._good
        while True:
            optimizer = _Optimizer(band, begun)
            optimizer.attach(self._follow)
            try:
                optimizer.run(fmax=fmax, steps=self._steps - self.taken)
            except _StalledError:
                self._run.log(f"the forces have not fallen over {self._patience} steps")
            except Exception as error:  # the way back knows which of them are the calculator's
                if self._way_back.shorten(error, f"after step {self.taken}"):
                    begun = self._follow  # the shorter step is a step
                    continue
            break
        self._band.evaluations += 0 if window is None else window.evaluations
        self._band.seconds += 0.0 if window is None else window.seconds
        if np.isfinite(self._best[0]) and not self.failure and self.taken < self._steps:
            self._accepted = self._best[1]  # which a stage that got nowhere has left behind
        self._band.restore(self._accepted)  # the solver may end on a trial step that it did not take
        name = "plain" if not climb else "climbing" if window is None else "climbing, neighbours alone,"
        left = self._band.left
        self._run.log(f"{name} band: {left.top:.4f} and elsewhere {left.others:.4f} eV/Angstrom, step {self.taken}")
        return left.top <= fmax
