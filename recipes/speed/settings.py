"""Settings of the measurement of speed."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError


class BenchSettings(RecipeSettings):
    """Measure the time per atom and step of a model, its parts and its memory, beside the machine's arithmetic rate."""

    recipe: ClassVar[str] = "bench"
    function: ClassVar[str] = "dp_sim.recipes.speed.measurement:measure_speed"
    resumable: ClassVar[bool] = False

    repeat: tuple[int, ...] = setting(
        (1,), "Repeat a periodic structure N times along each axis; repeatable", metavar="N"
    )
    rounds: int = setting(
        7,
        "Timed steps of each size",
        ge=1,
        detail="Three more before them are not counted: TorchScript optimises during them.",
    )
    timestep_fs: float = setting(0.5, "Time step; for ns/day", unit="fs", flags=("--timestep",), metavar="FS", gt=0)
    deepmd: str | None = setting(
        None,
        "Interpreter of an environment with deepmd-kit, to compare with",
        metavar="PYTHON",
        is_path=True,
        detail="None: this one, if it has deepmd-kit.",
    )
    deepmd_model: str | None = setting(
        None,
        "What runs there: a frozen model, or one of dp-sim, exported; by default MODEL",
        metavar="FILE",
        is_path=True,
        detail="A compressed model cannot be exported: give the one that it was made from.",
    )

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if min(self.repeat, default=0) < 1:
            raise InputError(
                "setting-out-of-range",
                f"repeat must be one whole number or more, each of at least 1, got {list(self.repeat)}",
            )
        return self
