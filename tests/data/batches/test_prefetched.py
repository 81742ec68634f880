import gc
import threading
import time

import pytest

from recurra.data.batches.prefetched import Prefetched
from recurra.errors import DataError, ParameterError


def test_batches_are_those_of_their_steps_and_made_ahead_once() -> None:
    made: list[int] = []

    def batches(step: int) -> str:
        made.append(step)
        return f"batch {step}"

    prefetched = Prefetched(batches, ahead=3)
    assert [prefetched(step) for step in (5, 6, 7)] == ["batch 5", "batch 6", "batch 7"]
    # A jump, as at a resume or a restart of an epoch.
    assert [prefetched(step) for step in (1, 2, 1)] == ["batch 1", "batch 2", "batch 1"]
    assert made[:3] == [5, 6, 7]
    assert all(made.count(step) == 1 for step in (5, 6, 7))


def test_a_batch_is_made_while_the_previous_one_is_in_use() -> None:
    second_is_made = threading.Event()

    def batches(step: int) -> int:
        if step == 2:
            second_is_made.set()
        return step

    prefetched = Prefetched(batches)
    assert prefetched(1) == 1
    assert second_is_made.wait(10)


def test_an_error_is_raised_by_its_step() -> None:
    def batches(step: int) -> int:
        if step == 3:
            raise DataError("a.wav: damaged")
        return step

    prefetched = Prefetched(batches)
    assert [prefetched(1), prefetched(2)] == [1, 2]
    with pytest.raises(DataError, match=r"a\.wav: damaged"):
        prefetched(3)
    assert prefetched(4) == 4
    with pytest.raises(ParameterError, match="ahead"):
        Prefetched(batches, 0)


def test_the_thread_ends_with_the_object() -> None:
    prefetched = Prefetched(lambda step: step)
    prefetched(1)
    [thread] = [one for one in threading.enumerate() if one.name.startswith("prefetch")]
    del prefetched
    gc.collect()
    for _ in range(100):
        if not thread.is_alive():
            break
        time.sleep(0.05)
    assert not thread.is_alive()
