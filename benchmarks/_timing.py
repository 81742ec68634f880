"""Times of functions that do the same work, called in turn in one process."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LEAST_ROUNDS = 5


def time_in_turn(
    seconds: float,
    *functions: Callable[[], object],
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Median seconds a call of each function; they are called in turn, so that what slows the machine slows them all.

    Args:
        seconds: to spend on all of them together; five rounds at least.
        functions: what to time.
        calls: of one function, timed as one; for what takes microseconds.
        clock: `time.process_time` for the processor's time, where other work shares the machine.
    """
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < LEAST_ROUNDS:
        for function, taken in zip(functions, times, strict=True):
            started = clock()
            for _ in range(calls):
                function()
            taken.append((clock() - started) / calls)
    return [statistics.median(taken) for taken in times]


def training_step(run: Callable[[], Tensor], leaves: Sequence[Tensor]) -> None:
    """Forward and backward to the leaves."""
    for leaf in leaves:
        leaf.grad = None
    run().sum().backward()


def matrix_product() -> tuple[Callable[[], Tensor], float]:
    """A float32 matrix product that the machine does at its full rate, and its additions and multiplications."""
    size = 1024
    a, b = torch.randn(size, size), torch.randn(size, size)
    return lambda: a @ b, 2.0 * size**3
