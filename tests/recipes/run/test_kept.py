"""What threads of workers keep: made once a thread, ended with its owner, and not begun any more after that."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from refusals import refused

from dp_sim.recipes.run.kept import end_kept, forget, kept, stop_kept


class Thing:
    def __init__(self) -> None:
        self.ended = self.stopped = 0

    def end(self) -> None:
        self.ended += 1

    def stop(self) -> None:
        self.stopped += 1


def test_each_thread_has_its_own_and_all_end_together() -> None:
    both = Barrier(2)

    def work(_: int) -> tuple[Thing, Thing]:
        both.wait()
        return kept("pair", Thing), kept("pair", Thing)

    with ThreadPoolExecutor(2) as threads:
        (one, again), (other, _) = threads.map(work, range(2))
    assert one is again
    assert one is not other
    end_kept("pair")
    assert (one.ended, other.ended) == (1, 1)
    end_kept("pair")
    assert one.ended == 1


def test_what_is_forgotten_is_made_anew_and_the_owner_may_have_ended() -> None:
    first = kept("renewed", Thing)
    forget("renewed")
    assert first.ended == 1
    second = kept("renewed", Thing)
    assert second is not first
    stop_kept("renewed")
    assert (second.stopped, second.ended) == (1, 0)
    forget("renewed")  # the process of a thread that found its pipe closed
    with refused("worker-stopped"):
        kept("renewed", Thing)
