"""Ctrl-C and SIGTERM are answered, also where Python drops the exception that they raised."""

import signal

import pytest

from dp_sim.recipes.run.interrupts import Terminated, answered, signals_as_interrupts, whole_steps


class Swallower:
    """A destructor, in which Python ignores every exception; so does a callback of the garbage collector."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


BOTH = pytest.mark.parametrize(
    ("number", "exception"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)


@BOTH
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # that it is unraisable is the point
def test_a_swallowed_signal_comes_back_at_the_next_step(number: signal.Signals, exception: type) -> None:
    with signals_as_interrupts():
        thing = Swallower(number)
        del thing
        with pytest.raises(KeyboardInterrupt) as caught, whole_steps():
            pytest.fail("a step began although the run was to end")
        assert caught.type is exception


@BOTH
def test_an_answered_signal_does_not_come_back(number: signal.Signals, exception: type) -> None:
    with signals_as_interrupts():
        with pytest.raises(exception):
            signal.raise_signal(number)
        answered()
        with whole_steps():
            pass


def test_nothing_is_left_behind() -> None:
    with signals_as_interrupts(), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    with whole_steps():
        pass


def test_a_handler_of_the_program_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with signals_as_interrupts():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
