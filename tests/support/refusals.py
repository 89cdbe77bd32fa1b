"""What dp-sim refuses, told by the code of the error and the things that its sentence names, not by its wording."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dp_sim.errors import DPSimError


@contextmanager
def refused(code: str, *named: object) -> Iterator[pytest.ExceptionInfo[DPSimError]]:
    """Expect an error of dp-sim with this code, whose sentence names each of `named`."""
    with pytest.raises(DPSimError) as info:
        yield info
    assert info.value.code == code, f"[{info.value.code}] {info.value}"
    for thing in named:
        assert str(thing) in str(info.value), f"'{thing}' is not named: {info.value}"
