"""What torch says of TorchScript: its deprecation does not reach users, all else does."""

import warnings

import pytest
import torch

from dp_sim.torchscript import from_bytes, script, to_bytes


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("`torch.jit.script` is deprecated. Please switch to `torch.compile` or `torch.export`.", False),  # 2.14
        ("`torch.jit.script` is not supported in Python 3.14+ and may break.", True),
    ],
)
def test_the_known_deprecation_alone_is_kept_from_users(
    said: str, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a newer torch speaks, whichever is here."""
    original = torch.jit.script

    def speaking(module: torch.nn.Module) -> torch.jit.ScriptModule:
        warnings.warn(said, FutureWarning, stacklevel=2)
        return original(module)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        monkeypatch.setattr(torch.jit, "script", speaking)
        module = script(torch.nn.Linear(2, 3))
        again = from_bytes(to_bytes(module))
    assert [str(warning.message) for warning in heard] == ([said] if passes else [])
    assert torch.equal(again.weight, module.weight)
