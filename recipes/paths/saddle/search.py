"""The stages of a search for a saddle point: the way there, its normal modes, and from too high an order the way on."""

from __future__ import annotations

import numpy as np

from dp_sim.recipes.inputs.failed_evaluations import ADVICE, failure_words, is_failure
from dp_sim.recipes.inputs.members import spread_worth
from dp_sim.recipes.paths.fragments import DRIFT, SOFT_CM1, drift, fragments, gap_words
from dp_sim.recipes.paths.saddle.curvature import StationaryModes, stationary_modes
from dp_sim.recipes.paths.saddle.dimer import Dimer
from dp_sim.recipes.paths.saddle.follower import LEFT_A, Follower, newton_distance
from dp_sim.recipes.paths.saddle.result import TransitionStateResult
from dp_sim.recipes.paths.saddle.settings import TSSettings
from dp_sim.recipes.paths.saddle.state import State, read_state, write_state
from dp_sim.recipes.paths.saddle.surface import Array, Point, Surface
from dp_sim.recipes.paths.saddle.verdict import saddle_verdict
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.recipes.run.progress import Advance, progress_bar
from dp_sim.recipes.static.hessian import compute_hessian
from dp_sim.recipes.static.members import MemberModes, member_modes
from dp_sim.recipes.static.mode_analysis import ModeAnalysis

#: Above so many evaluations, or coordinates of an exact Hessian, the search goes without.
MOST_DIFFERENCES, MOST_COORDINATES = 300, 3000
#: How often the search goes on from a saddle point of higher order or one that its modes put elsewhere; and how far it
#: is moved along the extra mode, Angstrom, of the atom that goes farthest.
MOST_TURNS, LEAVE_A = 4, 0.1
#: With the final Hessian so many times `LEFT_A` may be left: the search had a poorer one.
FINAL_FACTOR = 2.5
#: A mode that overlaps less with the path is told.
SMALL_OVERLAP = 0.3
#: The search is saved here, every step with up to so many coordinates, else every so many steps.
STATE, SMALL, SAVE_EVERY = "search.npz", 300, 20
#: Finished differences of the last Hessian.
PARTIAL = "hessian_columns.npy"


class Search:
    """A search for a saddle point.

    Parameters
    ----------
    surface
        With its free motions found.
    settings
        Of the run.
    tangent
        (N, 3) direction of the path at the guess; None: the lowest mode is climbed.
    run
        Where it is saved.
    """

    def __init__(self, surface: Surface, settings: TSSettings, tangent: Array | None, run: RunDirectory) -> None:
        self._surface, self._settings, self._run = surface, settings, run
        self._tangent = None if tangent is None else tangent[surface.mobile].ravel()
        self._parts = len(fragments(surface.atoms))
        self._state = State(surface.here, self._tangent)
        self._story: list[str] = []
        self._advance: Advance = lambda *_: None

    def run(self, *, progress: bool) -> TransitionStateResult:
        """Search, and return what was found."""
        file = self._run.path(STATE)
        if self._run.resumed and file is not None and file.is_file():
            self._state = read_state(file)
            self._surface.place(self._state.x)
            self._run.log(f"goes on from step {self._state.steps}")
        self._run.on_interrupt(self._save)
        with progress_bar("ts", total=self._settings.steps, show=progress) as self._advance:
            point, modes, causes = self._stages()
        self._save()
        return self._result(point, modes, [*self._story, *causes] if causes else [])

    def _stages(self) -> tuple[Point, StationaryModes | None, list[str]]:
        point = self._surface.point(self._state.x)
        for turn in range(MOST_TURNS + 1):
            # A guess with forces below the bound needs the last Hessian only.
            if turn or self._state.steps or point.largest_force > self._settings.fmax:
                point, cause = self._move()
                if cause:
                    return point, None, [cause]
            modes, cause = self._modes(point)
            if modes is None:
                return point, None, [cause]
            last = turn == MOST_TURNS or self._state.steps >= self._settings.steps
            left = newton_distance(self._surface, point, modes.hessian)
            if not last and left > FINAL_FACTOR * LEFT_A:
                self._run.log(f"by the Hessian here {left:.2g} Angstrom are left: the search goes on")
                self._state.hessian = modes.hessian
            elif last or modes.modes.n_imaginary < 2 or not self._leave(point, modes):
                break
        assert modes is not None
        return point, modes, self._verdict(point, modes, left)

    def _move(self) -> tuple[Point, str]:
        """Move to a stationary point."""
        searcher = self._searcher()
        point = searcher.run(self._state.x, self._settings.steps)
        self._note(searcher, point)
        return point, searcher.cause

    def _searcher(self) -> Follower | Dimer:
        state, surface, settings, log = self._state, self._surface, self._settings, self._run.log
        searcher: Follower | Dimer
        if self._by_dimer():
            mode = state.mode
            if mode is None:
                mode = np.random.default_rng(settings.seed).normal(size=len(state.x))
            searcher = Dimer(surface, settings.fmax, log, mode=mode, stop=self._drifted, steps=state.steps)
        else:
            searcher = Follower(
                surface,
                climbs=True,
                fmax=settings.fmax,
                log=log,
                mode=state.mode,
                hessian=state.hessian,
                stop=self._drifted,
                steps=state.steps,
            )
        searcher.follow = lambda point: self._note(searcher, point)
        return searcher

    def _by_dimer(self) -> bool:
        if self._settings.method != "auto":
            return self._settings.method == "dimer"
        if self._surface.exact:
            return len(self._state.x) > MOST_COORDINATES
        return self._surface.internal(self._state.x).shape[1] > MOST_DIFFERENCES

    def _note(self, searcher: Follower | Dimer, point: Point) -> None:
        """Keep the state after a step, and save it where that costs little."""
        state = self._state
        moved = searcher.steps > state.steps
        state.x, state.mode, state.steps = point.x, searcher.mode, searcher.steps
        state.hessian = searcher.hessian if isinstance(searcher, Follower) else None
        if moved:
            self._advance(1, f"{point.largest_force:.3f} eV/Å")
            if len(state.x) <= SMALL or state.steps % SAVE_EVERY == 0:
                self._save()

    def _save(self) -> None:
        if (file := self._run.path(STATE)) is not None:
            write_state(file, self._state)

    def _drifted(self) -> str:
        """Say that the structure has come apart; empty where it has not."""
        parts = fragments(self._surface.atoms)
        if len(parts) <= self._parts:
            return ""
        return (
            f"the structure comes apart: after {self._state.steps} steps it is "
            f"{gap_words(self._surface.atoms, parts)}; "
            "there is no saddle point this way, start nearer to where bonds change"
        )

    def _modes(self, point: Point) -> tuple[StationaryModes | None, str]:
        self._run.log("normal modes")
        try:
            found = stationary_modes(self._surface, point.x, log=self._run.log, partial=self._run.path(PARTIAL))
        except Exception as error:
            if not is_failure(error):
                raise
            self._surface.place(point.x)
            force = f"the largest force is {point.largest_force:.3g} eV/Angstrom"
            return None, f"{failure_words(error, 'in the normal modes')}; {ADVICE}; {force}"
        return found, ""

    def _leave(self, point: Point, modes: StationaryModes) -> bool:
        """Move off a saddle point of higher order, down the modes that are too many; tell whether that was possible."""
        number = modes.modes.n_imaginary
        mobile = modes.displacements[:number, self._surface.mobile].reshape(number, -1)
        kept = 0 if self._tangent is None else int(np.argmax(np.abs(mobile @ self._tangent)))
        extra = np.delete(mobile, kept, axis=0).sum(axis=0)
        extra *= LEAVE_A / np.linalg.norm(extra.reshape(-1, 3), axis=1).max()
        sides = []
        for sign in (1.0, -1.0):
            try:
                sides.append((self._surface.evaluate(point.x + sign * extra)[0], sign))
            except Exception as error:
                if not is_failure(error):
                    raise
        self._surface.place(point.x)
        if not sides:
            return False
        words = ", ".join(f"{value:.0f}" for value in modes.frequencies_cm1[:number])
        self._story.append(
            f"step {self._state.steps} had {number} imaginary frequencies ({words} cm^-1), from where the search "
            "went on downhill along those too many"
        )
        self._run.log(self._story[-1])
        state = self._state
        state.x, state.mode, state.hessian = point.x + min(sides)[1] * extra, mobile[kept], modes.hessian
        return True

    def _verdict(self, point: Point, modes: StationaryModes, left: float) -> list[str]:
        """Say what is wrong with the stationary point, and note what is odd about it."""
        causes = []
        if left > FINAL_FACTOR * LEFT_A:
            causes.append(
                f"by its curvature the stationary point is still {left:.2g} Angstrom away (a soft mode and a small "
                "force); allow more steps, or a smaller fmax"
            )
        if verdict := saddle_verdict(modes.frequencies_cm1):
            return [*causes, verdict]
        apart = drift(self._surface.atoms, modes.displacements[0])
        if apart.share > DRIFT and modes.frequencies_cm1[0] > -SOFT_CM1:
            causes.append(
                f"its imaginary mode ({modes.frequencies_cm1[0]:.0f} cm^-1) moves {apart.words}, as wholes against "
                "each other: these drift, and it is no saddle point of a reaction"
            )
        overlap = self._overlap(modes)
        if overlap is not None and overlap < SMALL_OVERLAP:
            self._run.note(
                f"the imaginary mode hardly goes along the path that the guess came from (overlap {overlap:.2f}): it "
                "may belong to another reaction; follow_irc (dp-sim irc) tells"
            )
        return causes

    def _overlap(self, modes: StationaryModes) -> float | None:
        if self._tangent is None or not len(modes.displacements):
            return None
        mode = modes.displacements[0, self._surface.mobile].ravel()
        internal = self._surface.internal(self._state.x)
        along = internal.T @ self._tangent
        size = float(np.linalg.norm(along) * np.linalg.norm(internal.T @ mode))
        return abs(float(along @ (internal.T @ mode))) / size if size > 0 else None

    def _result(self, point: Point, modes: StationaryModes | None, causes: list[str]) -> TransitionStateResult:
        surface = self._surface
        return TransitionStateResult(
            converged=not causes,
            cause="; ".join(causes),
            atoms=surface.evaluated(point),
            energy_eV=point.energy,
            frequencies_cm1=None if modes is None else modes.frequencies_cm1,
            mode=None if modes is None or not len(modes.displacements) else modes.displacements[0],
            modes=None if modes is None else modes.displacements,
            hessian=None if modes is None else modes.hessian,
            hessian_source="" if modes is None else modes.source,
            largest_force=point.largest_force,
            steps=self._state.steps,
            overlap=None if modes is None else self._overlap(modes),
            rigid_motions="" if modes is None else modes.rigid.words,
            cost=surface.cost,
            members=None if modes is None else self._members(point, modes),
        )

    def _members(self, point: Point, modes: StationaryModes) -> MemberModes | None:
        """Let the members of a committee find the saddle point for themselves."""
        atoms, mobile = self._surface.atoms, self._surface.mobile
        if spread_worth(atoms.calc) is None:
            return None
        self._surface.place(point.x)
        second = compute_hessian(
            atoms, method="exact", delta=0.0, mobile=mobile, partial=None, log=lambda _: None, progress=False
        )
        found = ModeAnalysis(second, modes.rigid, modes.modes)
        return member_modes(atoms, mobile, found, at_rest=point.largest_force <= self._settings.fmax)
