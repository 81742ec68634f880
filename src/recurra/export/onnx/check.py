"""The graph in ONNX Runtime against the model, on inputs of sizes that nothing was written for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.errors import ExportError
from recurra.export.onnx.context import Context, LayerState
from recurra.export.onnx.forms import Form
from recurra.export.onnx.graph import FLOAT, Input

__all__ = ["Check", "run_checks"]

_TOLERANCE = 2e-5  # of the largest value of the output, or of 1
_CASES = ((1, 7), (5, 11), (2, 1))  # sequences, steps
_FIRST_LENGTHS = (0, 1)  # among those of several sequences
_OTHER_SIZE = 6  # of dimensions that are neither the batch nor time


@dataclass(frozen=True)
class Check:
    """What one comparison found.

    Attributes:
        batch: sequences.
        steps: of the longest.
        lengths: of the sequences, () if the graph has no lengths.
        output: the output that differs most.
        difference: there, relative to the largest value of that output in the model, or to 1 if that is less.
        allowed: the largest difference that passes.
    """

    batch: int
    steps: int
    lengths: tuple[int, ...]
    output: str
    difference: float
    allowed: float

    def __str__(self) -> str:
        sequences = "1 sequence" if self.batch == 1 else f"{self.batch} sequences"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        lengths = f" (lengths {', '.join(map(str, self.lengths))})" if self.lengths else ""
        return (
            f"{sequences} of {steps}{lengths}: largest relative difference {self.difference:.1e} in {self.output}, "
            f"allowed {self.allowed:.0e}"
        )


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
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what fails is raised
    checks = []
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for batch, steps in _CASES:
            inputs = _sample(context.graph.inputs, batch, steps)
            if context.packs:
                inputs["lengths"] = np.sort(np.maximum(inputs["lengths"], 1))[::-1].copy()
            names = [value.name for value in context.graph.outputs]
            actual = dict(zip(names, map(np.asarray, session.run(names, inputs)), strict=True))
            expected = _expected(model, context, form, inputs)
            lengths = tuple(map(int, inputs["lengths"])) if "lengths" in inputs else ()
            checks.append(_compared(batch, steps, lengths, actual, expected))
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"the check: {type(error).__name__}: {error}; nothing is written") from error
    if failed := [check for check in checks if not check.difference <= check.allowed]:
        raise ExportError(f"the check: ONNX Runtime and the model differ: {failed[0]}; nothing is written")
    return tuple(checks)


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


def _expected(
    model: nn.Module, context: Context, form: Form, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The outputs of the model, whose layers are given the initial states, and whose final states are caught."""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    lengths = tensors.get("lengths")
    modules: dict[str, nn.Module] = dict(model.named_modules())
    finals: dict[str, Tensor] = {}
    handles = []
    for name in {*context.runs_with_lengths, *(state.layer for state in context.states)}:
        state = next((state for state in context.states if state.layer == name), None)
        hooks = _Hooks(state, tensors, lengths if name in context.runs_with_lengths else None, finals)
        handles.append(modules[name].register_forward_pre_hook(hooks.enter, with_kwargs=True))
        handles.append(modules[name].register_forward_hook(hooks.leave))
    try:
        with torch.no_grad():
            outputs = form.reference(model, tensors)
    finally:
        for handle in handles:
            handle.remove()
    return {name: tensor.numpy() for name, tensor in (outputs | finals).items()}


class _Hooks:
    """Gives a layer its initial state and lengths where the model gives none, and catches its final state."""

    def __init__(
        self, state: LayerState | None, tensors: Mapping[str, Tensor], lengths: Tensor | None, finals: dict[str, Tensor]
    ) -> None:
        self._state = state
        self._tensors = tensors
        self._lengths = lengths
        self._finals = finals
        self._given = False

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named: dict[str, Any] = {**dict(zip(("hx", "lengths"), args[1:], strict=False)), **kwargs}
        self._given = self._state is not None and named.get("hx") is None
        if self._state is not None and self._given:
            parts = [self._tensors[part] for part in self._state.inputs]
            named["hx"] = tuple(parts) if len(parts) > 1 else parts[0]
        if self._lengths is not None:
            named["lengths"] = self._lengths
        return args[:1], named

    def leave(self, module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if self._state is not None and self._given:
            final = result[1] if hasattr(module, "num_layers") else result
            self._finals.update(zip(self._state.outputs, final if isinstance(final, tuple) else (final,), strict=True))


def _compared(
    batch: int,
    steps: int,
    lengths: tuple[int, ...],
    actual: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
) -> Check:
    worst, where = 0.0, next(iter(expected))
    for name, right in expected.items():
        got = actual[name]
        if got.shape != right.shape:
            raise ExportError(
                f"the check: {name}: expected the shape {right.shape}, got {got.shape}; nothing is written"
            )
        if not right.size:
            continue
        scale = max(1.0, float(np.abs(right).max()))
        difference = float(np.abs(got.astype(np.float64) - right).max()) / scale
        if not difference <= worst:
            worst, where = difference, name
    return Check(batch, steps, lengths, where, worst, _TOLERANCE)
