"""On which of OpenMM's platforms a run goes, and where that leaves a part of it on the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dp_sim.errors import InputError, nearest_name

if TYPE_CHECKING:
    from dp_sim.model.evaluator import Model


def find_platform(mm: Any, name: str | None) -> Any:
    """Look a platform up; None: CUDA where torch sees a GPU and OpenMM has the platform, else CPU.

    Raises
    ------
    InputError
        OpenMM has none of that name here.
    """
    known = [mm.Platform.getPlatform(index).getName() for index in range(mm.Platform.getNumPlatforms())]
    if name is None:
        import torch  # noqa: PLC0415 - other engines look at this one's options

        name = "CUDA" if "CUDA" in known and torch.cuda.is_available() else "CPU"
    if name not in known:
        raise InputError(
            "platform-unknown",
            f"OpenMM has no platform '{name}' here; it has: {', '.join(known)}{nearest_name(name, known)}",
        )
    return mm.Platform.getPlatformByName(name)


def slow_samples(platform: str, model: Model | None) -> list[str]:
    """Say that samples wait for the processor while the steps run on a GPU."""
    if platform in ("CPU", "Reference") or model is None or model.device.type != "cpu":
        return []
    return [f"steps run on {platform}, but the stress of each sample on the CPU: open the model with device='cuda'"]
