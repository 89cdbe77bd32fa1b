"""The conditions of a run step by step: constant, or a ramp of temperature and pressure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dp_sim.recipes.dynamics.engines.protocol import Conditions


@dataclass(frozen=True)
class Course:
    """Conditions that go linearly from those at the start to those at the end, in stairs of the loop's looks.

    Attributes
    ----------
    start, end
        Conditions at step 0 and at the last step; they differ in temperature and pressure alone.
    steps
        Steps between them.
    """

    start: Conditions
    end: Conditions
    steps: int

    @classmethod
    def constant(cls, conditions: Conditions) -> Course:
        """Make the course of a run without a ramp."""
        return cls(conditions, conditions, 1)

    @property
    def changes(self) -> bool:
        """Whether the conditions change at all."""
        return self.start != self.end

    def at(self, step: int) -> Conditions:
        """Return the conditions from this step on."""
        if not self.changes:
            return self.start
        share = min(step / self.steps, 1.0)
        return replace(
            self.start,
            temperature_K=_between(self.start.temperature_K, self.end.temperature_K, share),
            pressure_bar=_between(self.start.pressure_bar, self.end.pressure_bar, share),
        )


def _between(start: float | None, end: float | None, share: float) -> float | None:
    return None if start is None or end is None else start + share * (end - start)
