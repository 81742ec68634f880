"""Launches of the engine: alone, or those of both directions of a layer at the same time."""

import ctypes
import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from recurra.kernels import torch_state
from recurra.kernels.native import extension
from recurra.kernels.weights import Weights

__all__ = ["Launch", "Launches", "directions_run_together", "launch", "launch_both", "run_alone", "run_together"]

# Both directions at the same time, each on one thread, were measured beside one after the other on two threads
# (docs/design/native-engine.md). Operations from which on a thread is worth waking: as in csrc/plan.hpp.
_OPERATIONS_OF_A_THREAD = 1e6
# With more rows than the most, dividing them among threads costs few readings of the weights more. With few rows,
# weights that exceed a core's own cache are read faster if each thread has one half of them.
_MOST_ROWS, _FEW_ROWS, _CACHED_WEIGHTS = 16, 2, 2**17


class Launch(NamedTuple):
    """A call of the engine that is ready.

    Attributes:
        functions: of the cell, forward or backward, by the bits of a float.
        call: the record.
        bits: of a float.
    """

    functions: dict[int, Any]
    call: extension.Call
    bits: int


ResultT = TypeVar("ResultT")
Launches = Generator[Launch, None, ResultT]
"""What computes a result by launches: it yields each when it is ready, and continues when the engine has run it."""


def run_alone(launches: Launches[ResultT]) -> ResultT:
    """The result of one direction. Raises MemoryError if there is not enough memory."""
    while True:
        try:
            ready = next(launches)
        except StopIteration as end:
            return end.value
        launch(ready)


def run_together(each: Sequence[Launches[ResultT]]) -> list[ResultT]:
    """The results of both directions; the first launches of both run at the same time, and so on.

    Raises:
        MemoryError: if there is not enough memory.
    """
    results: dict[int, ResultT] = {}
    while len(results) < len(each):
        ready = []
        for k, launches in enumerate(each):
            if k not in results:
                try:
                    ready.append(next(launches))
                except StopIteration as end:
                    results[k] = end.value
        if len(ready) == 2 and ready[0].functions is ready[1].functions:
            launch_both(*ready)
        else:
            for one in ready:
                launch(one)
    return [results[k] for k in range(len(each))]


def directions_run_together(inputs: Tensor, weights: Weights) -> bool:
    """Whether both directions of a layer take less time at the same time than one after the other.

    Args:
        inputs: (T, B, I).
        weights: of one direction.
    """
    # Sizes may be symbols then, and a choice by them would be one for good.
    if torch_state.operators_are_needed(inputs) or torch_state.traced():
        return False
    steps, batch, _ = inputs.shape
    threads, weight = torch.get_num_threads(), weights.weight_hh
    if weight is None or threads < 2 or steps < 2 or not 2 <= batch <= _MOST_ROWS:
        return False
    if batch <= _FEW_ROWS and weight.numel() > _CACHED_WEIGHTS:
        return False
    operations = 2 * weight.numel() * batch * steps
    # Beyond two threads' work, one direction alone makes use of all threads.
    most = math.inf if threads == 2 else 2 * _OPERATIONS_OF_A_THREAD
    return _OPERATIONS_OF_A_THREAD / 2 <= operations < most


def launch(one: Launch) -> None:
    """Run the engine. Raises MemoryError if there is not enough memory."""
    if one.functions[one.bits](one.call, extension.parallel()):
        raise MemoryError("the native kernel could not allocate its buffers")


def launch_both(first: Launch, second: Launch) -> None:
    """Run the engine on two calls of one function at the same time, each on one thread. Raises as `launch`."""
    extension.parallel()  # sets the threads up
    entry = ctypes.cast(first.functions[first.bits], ctypes.c_void_p).value
    for one in (first, second):
        one.call.threads = 1
    try:
        extension.loaded().run_both(entry, ctypes.addressof(first.call), ctypes.addressof(second.call))
    except MemoryError:
        raise MemoryError("the native kernel could not allocate its buffers") from None
