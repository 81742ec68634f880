"""A step in another form against the engine's, from states that the engine came to."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.export.check import Check, compare, refuse_failed
from recurra.export.step.torch_arithmetic import TorchArithmetic
from recurra.export.step.walk import walk
from recurra.program import Program
from recurra.streaming import Stepper

__all__ = ["check_step"]

_CASES = ((1, 12), (3, 7))  # sequences, steps

Arrays = dict[str, NDArray[np.float32]]


def check_step(program: Program, run: Callable[[Arrays], Arrays], form: str) -> tuple[Check, ...]:
    """Compare.

    Args:
        program: of the step.
        run: from the inputs by name, "input" and "state_0", to the outputs, "output" and "state_n".
        form: what runs it, for messages.

    Raises:
        ExportError: they differ.
        BackendError: the C++ extension is missing.
    """
    checks = tuple(_check(program, run, *sizes) for sizes in _CASES)
    refuse_failed(checks, form)
    return checks


def _check(program: Program, run: Callable[[Arrays], Arrays], batch: int, steps: int) -> Check:
    generator = np.random.default_rng(batch)
    if program.vocabulary_size:
        x = generator.integers(0, program.vocabulary_size, (steps, batch))
    else:
        x = generator.standard_normal((steps, batch, program.input_size), dtype=np.float32)
    stepper = Stepper(program)
    state = stepper.new_state(batch)
    actual: list[Arrays] = []
    expected: list[Arrays] = []
    exact: list[Arrays] = []
    for step in x:
        inputs = {"input": step} | ({"state_0": state.values.copy()} if program.parts else {})
        actual.append(run(inputs))
        exact.append(_exactly(program, inputs))
        y, _ = stepper(step, state)
        expected.append({"output": y} | ({"state_n": state.values.copy()} if program.parts else {}))
    together = ({name: np.stack([one[name] for one in runs]) for name in runs[0]} for runs in (actual, expected, exact))
    return compare(batch, steps, (), *together)


def _exactly(program: Program, inputs: Arrays) -> Arrays:
    """In float64."""
    tensors = [torch.from_numpy(inputs[name]) if name in inputs else None for name in ("input", "state_0")]
    x, state = (one.double() if one is not None and one.is_floating_point() else one for one in tensors)
    output, after = walk(program, TorchArithmetic(torch.float64), x, state)
    return {"output": output.numpy()} | ({} if after is None else {"state_n": after.numpy()})
