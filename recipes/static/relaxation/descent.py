"""Steps of an optimiser until forces and stress are below their bounds, or something else ends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ase.optimize.optimize import Optimizer

from dp_sim.recipes.inputs.failed_evaluations import WayBack
from dp_sim.recipes.static.relaxation import endings
from dp_sim.recipes.static.relaxation.endings import Ending
from dp_sim.recipes.static.relaxation.moving import Left, Moving
from dp_sim.recipes.static.relaxation.optimizers import NoLowerEnergyError, make_optimizer, quiet
from dp_sim.recipes.static.relaxation.trace import Trace


@dataclass
class Descent:
    """A relaxation that may be continued from another place.

    Parameters
    ----------
    moving
        What is relaxed.
    trace
        Its way so far; the steps of an earlier session count.
    bounds
        For forces and stress.
    steps
        Most steps of all sessions.
    optimizer
        Name of the optimiser.
    log
        Called with a line at each step.
    advance
        Called with the number of further steps and a text for the progress bar.
    """

    moving: Moving
    trace: Trace
    bounds: Left
    steps: int
    optimizer: str
    log: Callable[[str], object]
    advance: Callable[[int, str], object]
    _way_back: WayBack = field(init=False)

    def __post_init__(self) -> None:
        """Know a way back from the start on."""
        self._way_back = WayBack(self.moving.target, self.log)

    def run(self) -> Ending:
        """Take steps; where the calculator fails, shorter ones from the last structure that it could evaluate."""
        self._way_back.words = ""
        optimizer: Optimizer | None = None
        while True:
            try:
                with quiet():
                    if optimizer is None:  # at the start, and afresh after a step that was cut short
                        self._record()
                        optimizer = make_optimizer(self.optimizer, self.moving.target, self.moving.atoms)
                    if (ending := self._ending()) is not None:
                        return ending
                    optimizer.step()
                    optimizer.nsteps += 1
                    self._record()
            except NoLowerEnergyError:
                return self._no_lower_energy()
            except Exception as error:  # the way back knows which of them are the calculator's
                if not self._way_back.shorten(error, f"after step {self.trace.steps}"):
                    self.moving.target.get_forces()
                    return Ending(endings.EVALUATION_FAILED, self._way_back.cause)
                optimizer = None

    def _record(self) -> None:
        trace = self.trace
        trace.record()
        self._way_back.evaluated()
        self.advance(1, f"fmax {trace.left[-1].fmax_eV_A:.3f} eV/Å")
        self.log(f"step {trace.steps}: {trace.energies_eV[-1]:.6f} eV, largest force {trace.left[-1]}")

    def _ending(self) -> Ending | None:
        if self.trace.left[-1].within(self.bounds):
            return Ending(endings.CONVERGED)
        if (away := endings.running_away(self.trace)) is not None:
            return away
        return endings.out_of_steps(self.trace, self.bounds) if self.trace.steps >= self.steps else None

    def _no_lower_energy(self) -> Ending:
        return Ending(
            endings.CONTRADICTION,
            f"after {self.trace.steps} steps the largest force is {self.trace.left[-1]}, and no step along the forces "
            "lowers the energy: they are not its derivative, or it is too noisy; another optimizer than precon-lbfgs "
            "looks at the forces alone",
        )
