"""From a model to a TorchScript file, which libtorch loads without Python."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ExportError, ParameterError
from recurra.export.check import Check, compare, refuse_failed
from recurra.export.layer_states import LayerState, run_exactly, run_with_states
from recurra.export.recurrent_modules import CELLS, LAYERS, evaluated
from recurra.export.torch_script.layers import Slots, replace_layers
from recurra.export.torch_script.loop import tracing
from recurra.files import write_atomically
from recurra.models import RecurrentLanguageModel

__all__ = ["TorchExport", "export_torch"]

_TRACED = (2, 5)  # sequences, steps
_CASES = ((1, 7), (5, 11), (2, 1))


@dataclass(frozen=True)
class TorchExport:
    """What was written. Print it.

    Attributes:
        path: the file.
        size: of the file, in bytes.
        inputs: the names of the arguments of `forward`, in their order.
        outputs: the names of what it returns, a tuple.
        checks: the comparisons with the model.
    """

    path: Path
    size: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    checks: tuple[Check, ...]

    def __str__(self) -> str:
        signature = f"forward({', '.join(self.inputs)}) -> ({', '.join(self.outputs)})"
        lines = [f"{self.path}: TorchScript, {self.size:,} bytes", f"  {signature}"]
        return "\n".join([*lines, *(f"  checked: {check}" for check in self.checks)])


def export_torch(
    model: nn.Module,
    path: str | Path,
    *,
    example: Tensor | None = None,
    lengths: bool = False,
) -> TorchExport:
    """Write a model as TorchScript, as it computes in evaluation, in float32.

    C++ loads it with `torch::jit::load`, Python with `torch.jit.load`. `forward` takes the input, with `lengths` the
    true lengths, and the initial states of the recurrent layers, by part; it returns a tuple of the output and the
    final states. Batch and time are dynamic. The extra file "recurra.json" names arguments and results in their order.
    The file is written only if it computes what the model does, at three other batch sizes and lengths.

    Args:
        model: a recurrent layer or cell of this package or of torch.nn, a `RecurrentLanguageModel`, a
            `SequenceClassifier`, or any module that torch.jit.trace records: one that does not branch on values or
            sizes. It is not changed.
        path: of the file.
        example: an input of the model, with B and T of any size. None: layers, cells and language models need none.
        lengths: whether true lengths (B,) are an argument, int64, from 0 to T. An argument of this name of the model's
            `forward` gets them, if it has one; a layer or a language model runs within them. Each layer is then a loop
            over time. Without lengths LSTM, GRU and RNN are torch's own operators.

    Returns:
        What was written and how far it differs from the model.

    Raises:
        ParameterError: if an argument is out of its range.
        ExportError: if torch.jit does not record the model, or if the file does not agree with the model. Nothing is
            written.
        RunError: if the file cannot be written.
    """
    if not isinstance(model, nn.Module):
        raise ParameterError("model", "a torch.nn.Module", type(model).__name__)
    own = evaluated(model)
    sample = _Sample(own, example)
    slots = Slots()
    within = type(own) in LAYERS or isinstance(own, RecurrentLanguageModel)
    lengths = lengths and (within or _reads_lengths(own))
    flat = _Flat(replace_layers(evaluated(model), slots, lengths), slots, lengths, within)
    try:
        names, content = _traced(flat, slots, sample, lengths)
        checks = tuple(_check(own, flat, slots, sample, names, content, *sizes) for sizes in _CASES)
    except ExportError:
        raise
    except Exception as error:
        kind = type(model).__name__
        raise ExportError(f"{kind}: torch.jit.trace does not record it ({type(error).__name__}: {error})") from error
    refuse_failed(checks, "TorchScript")
    target = Path(path)
    write_atomically(target, lambda aside: aside.write_bytes(content))
    return TorchExport(target, len(content), *names, checks)


class _Sample:
    """Inputs of any batch size and length for a model."""

    def __init__(self, model: nn.Module, example: Tensor | None) -> None:
        modules = list(model.modules())
        layers = [module for module in modules if type(module) in LAYERS]
        self.has_time = bool(layers)
        self.batch_first = any(bool(module.batch_first) for module in layers) if layers else True
        if not layers and not any(type(module) in CELLS for module in modules):
            raise ExportError("the model: expected a recurrent layer in it, got none")
        if example is None:
            example = _example(model)
        self._example = example.detach().cpu()
        if self._example.is_floating_point():
            self._example = self._example.float()
        if self._example.dim() < 1 + self.has_time or not self._example.numel():
            raise ParameterError("example", "an input of the model with a batch dimension", tuple(self._example.shape))

    def __call__(self, batch: int, steps: int) -> Tensor:
        """Like the example in its last dimensions; its values, or normal ones, in another order."""
        axes = [0, 1] if self.batch_first else [1, 0]
        sizes = [batch, steps] if self.has_time else [batch]
        example = self._example
        generator = torch.Generator().manual_seed(batch)
        for axis, size in zip(axes, sizes, strict=False):
            example = example.index_select(axis, torch.randint(0, example.shape[axis], (size,), generator=generator))
        if example.is_floating_point():
            example = example + torch.randn(example.shape, generator=generator)
        return example


def _example(model: Any) -> Tensor:
    if type(model) in CELLS:
        return torch.zeros(2, model.input_size)
    if type(model) in LAYERS:
        return torch.zeros(2, 2, model.input_size)
    if isinstance(model, RecurrentLanguageModel):
        return torch.arange(model.vocabulary_size).expand(2, -1)
    raise ParameterError("example", "an input of the model", None)


class _Flat(nn.Module):
    """A model that takes and returns tensors only: input, lengths, states.

    Args:
        model: its layers are replaced.
        slots: of the layers.
        with_lengths: whether it takes lengths.
        within: whether its layers run within the lengths; otherwise its `forward` is given them.
    """

    def __init__(self, model: nn.Module, slots: Slots, with_lengths: bool, within: bool) -> None:
        super().__init__()
        self.model = model
        self._slots = slots
        self._with_lengths = with_lengths
        self.within = within
        self.names: list[str] = []  # of the initial states
        self.outputs: list[str] = []

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        slots = self._slots
        first, *others = tensors
        lengths = others.pop(0) if self._with_lengths else None
        slots.lengths = lengths if self.within else None
        slots.initial = dict(zip(self.names, others, strict=True))
        slots.final, slots.states = {}, []
        outputs = _run(self.model, first, None if self.within else lengths)
        self.outputs = list(outputs)
        return *outputs.values(), *slots.final.values()


def _run(model: Any, first: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
    """The outputs by name, states excepted."""
    if isinstance(model, RecurrentLanguageModel):
        return {"log_probabilities": model.log_probabilities(model(first)[0])}
    result = model(first) if lengths is None else model(first, lengths=lengths)
    while isinstance(result, tuple | list):
        result = result[0]
    if not isinstance(result, Tensor):
        raise ExportError(f"the model: expected a tensor as its result, or first in it, got a {type(result).__name__}")
    return {"output": result}


def _reads_lengths(model: nn.Module) -> bool:
    return "lengths" in inspect.signature(model.forward).parameters


Names = tuple[tuple[str, ...], tuple[str, ...]]


def _traced(flat: _Flat, slots: Slots, sample: _Sample, lengths: bool) -> tuple[Names, bytes]:
    """The names of arguments and results, and the content of the file."""
    batch, steps = _TRACED
    arguments = [sample(batch, steps)]
    if lengths:
        arguments.append(torch.tensor([steps, steps - 2]))
    with torch.no_grad(), tracing():
        flat(*arguments)  # says which states there are
        states = {
            name: torch.zeros_like(slots.final[after])
            for state in slots.states
            for name, after in zip(state.inputs, state.outputs, strict=True)
        }
        flat.names = list(states)
        script = torch.jit.trace(flat, (*arguments, *states.values()), check_trace=False)
    names = ("input", *["lengths"] * lengths, *states), (*flat.outputs, *slots.final)
    buffer = BytesIO()
    described = json.dumps({"inputs": names[0], "outputs": names[1], "states": _described(slots.states)})
    with tracing():
        torch.jit.save(script, buffer, _extra_files={"recurra.json": described})
    return names, buffer.getvalue()


def _described(states: list[LayerState]) -> list[dict[str, str]]:
    return [
        {"layer": state.layer, "input": first, "output": last}
        for state in states
        for first, last in zip(state.inputs, state.outputs, strict=True)
    ]


def _check(
    model: nn.Module, flat: _Flat, slots: Slots, sample: _Sample, names: Names, content: bytes, batch: int, steps: int
) -> Check:
    """Load what is to be written, and compare it with the model."""
    generator = torch.Generator().manual_seed(steps)
    tensors: dict[str, Tensor] = {"input": sample(batch, steps)}
    if "lengths" in names[0]:
        tensors["lengths"] = torch.tensor([steps, 0, 1, *range(2, batch)][:batch])
    for state in slots.states:
        for name, after in zip(state.inputs, state.outputs, strict=True):
            shape = list(slots.final[after].shape)
            shape[-2] = batch
            tensors[name] = torch.randn(shape, generator=generator)
    with tracing():
        script = torch.jit.load(BytesIO(content))
    with torch.no_grad():
        actual = dict(zip(names[1], script(*(tensors[name] for name in names[0])), strict=True))
    bounded = [name for name, module in model.named_modules() if flat.within and type(module) in LAYERS]

    def reference(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return _run(model, tensors["input"], None if flat.within else tensors.get("lengths"))

    expected, exact = (run(model, reference, slots.states, tensors, bounded) for run in (run_with_states, run_exactly))
    arrays = [{name: tensor.numpy() for name, tensor in one.items()} for one in (actual, expected, exact)]
    lengths = tensors.get("lengths")
    return compare(batch, steps, () if lengths is None else lengths.tolist(), *arrays)
