"""SIGTERM is answered, also where Python drops the exception that it raised."""

import signal

import pytest

from dp_sim.recipes.interrupts import Terminated, answered, sigterm_as_interrupt, whole_steps


class Swallower:
    """A destructor, in which Python ignores every exception; so does a callback of the garbage collector."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # that it is unraisable is the point
def test_a_swallowed_sigterm_comes_back_at_the_next_step() -> None:
    with sigterm_as_interrupt():
        thing = Swallower()
        del thing
        with pytest.raises(Terminated), whole_steps():
            pytest.fail("a step began although the run was to end")


def test_an_answered_sigterm_does_not_come_back() -> None:
    with sigterm_as_interrupt():
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        answered()
        with whole_steps():
            pass


def test_nothing_is_left_behind() -> None:
    with sigterm_as_interrupt(), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    with whole_steps():
        pass
