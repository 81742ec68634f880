"""Batches that a thread makes ahead of training."""

import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from recurra.shapes import check_positive

__all__ = ["Prefetched"]

T = TypeVar("T")


class Prefetched(Generic[T]):
    """The same batches, the next ones of which are made in a thread while training computes.

    One thread makes them, in the order in which they are asked for; `batches` need not be safe to call from several.
    An error of `batches` is raised by the step that asks for the batch.

    Args:
        batches: the batch of a step, a pure function of the step.
        ahead: the number of batches that are made ahead.

    Raises:
        ParameterError: `ahead` is below 1.
    """

    def __init__(self, batches: Callable[[int], T], ahead: int = 2) -> None:
        check_positive("ahead", ahead)
        self._batches, self._ahead = batches, ahead
        self._made: dict[int, Future[T]] = {}
        self._thread = ThreadPoolExecutor(1, "prefetch")
        weakref.finalize(self, self._thread.shutdown, wait=False, cancel_futures=True)

    def __call__(self, step: int) -> T:
        """The batch of a step, from 1."""
        wanted = range(step, step + self._ahead + 1)
        for old in [made for made in self._made if made not in wanted]:
            self._made.pop(old).cancel()
        for one in wanted:
            if one not in self._made:
                self._made[one] = self._thread.submit(self._batches, one)
        return self._made.pop(step).result()
