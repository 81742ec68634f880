"""The graph in ONNX Runtime against the model, on inputs of sizes that nothing was written for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from recurra.errors import ExportError
from recurra.export.check import Check, compare, refuse_failed
from recurra.export.layer_states import run_exactly, run_with_states
from recurra.export.onnx.context import Context
from recurra.export.onnx.forms import Form
from recurra.export.onnx.graph import FLOAT, Input

__all__ = ["open_session", "run_checks", "running"]

_FIRST_LENGTHS = (0, 1)  # among those of several sequences
_OTHER_SIZE = 6  # of dimensions that are neither the batch nor time


def run_checks(model: nn.Module, context: Context, form: Form, content: bytes) -> tuple[Check, ...]:
    """Compare the graph with the model, from random initial states.

    Args:
        model: in evaluation, float32 on the CPU.
        context: of the export.
        form: of the model.
        content: of the file.

    Returns:
        A result for each of three sizes.

    Raises:
        ExportError: if ONNX Runtime does not run the graph, or if they differ by more than is allowed.
    """
    with running():
        session = open_session(content)
        checks = tuple(_check(model, context, form, session, *sizes) for sizes in form.cases)
    refuse_failed(checks, "ONNX Runtime")
    return checks


def open_session(content: bytes) -> Any:
    """A file in ONNX Runtime, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@contextmanager
def running() -> Iterator[None]:
    """Whatever fails within is an ExportError."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"the check: {type(error).__name__}: {error}; nothing is written") from error


def _check(model: nn.Module, context: Context, form: Form, session: Any, batch: int, steps: int) -> Check:
    inputs = form.sample(batch, steps) if form.sample else _sample(context.graph.inputs, batch, steps)
    if context.packs:
        inputs["lengths"] = np.sort(np.maximum(inputs["lengths"], 1))[::-1].copy()
    names = [value.name for value in context.graph.outputs]
    actual = dict(zip(names, map(np.asarray, session.run(names, inputs)), strict=True))
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    expected, exact = (
        {
            name: tensor.numpy()
            for name, tensor in run(model, form.reference, context.states, tensors, context.runs_with_lengths).items()
        }
        for run in (run_with_states, run_exactly)
    )
    return compare(batch, steps, inputs.get("lengths", ()), actual, expected, exact)


def _sample(inputs: list[Input], batch: int, steps: int) -> dict[str, NDArray[Any]]:
    """Random values for each input."""
    random = np.random.default_rng(batch)
    sizes = {"batch": batch, "time": steps}
    arrays = {}
    for one in inputs:
        shape = [size if isinstance(size, int) else sizes.get(size, _OTHER_SIZE) for size in one.value.shape]
        limit = sizes.get(one.limit, _OTHER_SIZE) if isinstance(one.limit, str) else one.limit
        if one.value.type == FLOAT:
            arrays[one.value.name] = random.standard_normal(shape, dtype=np.float32)
        elif one.is_length:
            lengths = random.integers(0, limit, shape, endpoint=True)
            first = (limit, *_FIRST_LENGTHS)[: len(lengths)]
            lengths[: len(first)] = first
            arrays[one.value.name] = lengths
        else:
            arrays[one.value.name] = random.integers(0, limit, shape)
    return arrays
