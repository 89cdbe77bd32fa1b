"""Devices of torch, as users name them."""

import torch

from dp_sim.errors import InputError, nearest_name


def usable_device(name: str | torch.device) -> torch.device:
    """Find a torch device by its name.

    Raises
    ------
    InputError
        It does not exist here, or holds no numbers.
    """
    try:
        probe = torch.zeros(1, device=torch.device(name))
        probe.cpu()  # the device "meta" makes tensors, but holds no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition(". ")[0].splitlines()[0]
        kind = str(name).partition(":")[0]
        meant = "; did you mean 'cuda'?" if kind.lower() == "gpu" else nearest_name(kind, ("cpu", "cuda"))
        raise InputError("device-unusable", f"device '{name}' cannot be used here ({reason}); try cpu{meant}") from None
    return probe.device
