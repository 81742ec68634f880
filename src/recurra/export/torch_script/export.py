"""From a model to a TorchScript file, which libtorch loads without Python."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from recurra.errors import ExportError, ParameterError
from recurra.export.check import Check, compare, refuse_failed
from recurra.export.layer_states import LayerState, run_exactly, run_with_states
from recurra.export.recurrent_modules import LAYERS, evaluated, refuse_blocks
from recurra.export.torch_script.forms import Form, form_of
from recurra.export.torch_script.layers import Slots, replace_layers
from recurra.export.torch_script.loop import tracing
from recurra.files import write_atomically

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
            `SequenceClassifier`, a `SequenceTagger` (its arguments are those of its ONNX graph, words first, and then
            lengths, vectors, characters), or any module that torch.jit.trace records: one that does not branch on
            values or sizes. It is not changed.
        path: of the file.
        example: an input of the model, with B and T of any size. None: layers, cells, language models and taggers need
            none.
        lengths: whether true lengths (B,) are an argument, int64, from 0 to T. An argument of this name of the model's
            `forward` gets them, if it has one; a layer or a language model runs within them. Each layer is then a loop
            over time; a tagger takes them always. Without lengths LSTM, GRU and RNN are torch's own operators.

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
    refuse_blocks(model, "TorchScript", "export_torch_step")
    own = evaluated(model)
    form = form_of(own, example, lengths)
    slots = Slots(from_zeros=form.from_zeros)
    flat = _Flat(replace_layers(evaluated(model), slots, form.with_lengths), slots, form)
    try:
        names, content = _traced(flat, slots, form)
        checks = tuple(_check(own, slots, form, names, content, *sizes) for sizes in _CASES)
    except ExportError:
        raise
    except Exception as error:
        kind = type(model).__name__
        raise ExportError(f"{kind}: torch.jit.trace does not record it ({type(error).__name__}: {error})") from error
    refuse_failed(checks, "TorchScript")
    target = Path(path)
    write_atomically(target, lambda aside: aside.write_bytes(content))
    return TorchExport(target, len(content), *names, checks)


class _Flat(nn.Module):
    """A model that takes and returns tensors only: inputs, lengths among them, and states.

    Args:
        model: its layers are replaced.
        slots: of the layers.
        form: of the model.
    """

    def __init__(self, model: nn.Module, slots: Slots, form: Form) -> None:
        super().__init__()
        self.model = model
        self._slots = slots
        self._form = form
        self.inputs: list[str] = []  # in their order
        self.names: list[str] = []  # of the initial states
        self.outputs: list[str] = []

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        slots, form = self._slots, self._form
        inputs = dict(zip(self.inputs, tensors, strict=False))
        slots.lengths = inputs.get("lengths") if form.within_lengths else None
        slots.initial = dict(zip(self.names, tensors[len(inputs) :], strict=True))
        slots.final, slots.states = {}, []
        outputs = form.recorded(self.model, inputs)
        self.outputs = list(outputs)
        return *outputs.values(), *slots.final.values()


Names = tuple[tuple[str, ...], tuple[str, ...]]


def _traced(flat: _Flat, slots: Slots, form: Form) -> tuple[Names, bytes]:
    """The names of arguments and results, and the content of the file."""
    batch, steps = _TRACED
    arguments = form.sample(batch, steps)
    if form.with_lengths:
        arguments["lengths"] = torch.tensor([steps, steps - 2])
    flat.inputs = list(arguments)
    with torch.no_grad(), tracing():
        flat(*arguments.values())  # says which states there are
        states = {
            name: torch.zeros_like(slots.final[after])
            for state in slots.states
            for name, after in zip(state.inputs, state.outputs, strict=True)
        }
        flat.names = list(states)
        script = torch.jit.trace(flat, (*arguments.values(), *states.values()), check_trace=False)
    names = (*arguments, *states), (*flat.outputs, *slots.final)
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


def _check(model: nn.Module, slots: Slots, form: Form, names: Names, content: bytes, batch: int, steps: int) -> Check:
    """Load what is to be written, and compare it with the model."""
    generator = torch.Generator().manual_seed(steps)
    tensors = form.sample(batch, steps)
    for state in slots.states:
        for name, after in zip(state.inputs, state.outputs, strict=True):
            shape = list(slots.final[after].shape)
            shape[-2] = batch
            tensors[name] = torch.randn(shape, generator=generator)
    with tracing():
        script = torch.jit.load(BytesIO(content))
    with torch.no_grad():
        actual = dict(zip(names[1], script(*(tensors[name] for name in names[0])), strict=True))
    bounded = [name for name, module in model.named_modules() if form.within_lengths and type(module) in LAYERS]
    expected, exact = (
        run(model, form.reference, slots.states, tensors, bounded) for run in (run_with_states, run_exactly)
    )
    arrays = [{name: tensor.numpy() for name, tensor in one.items()} for one in (actual, expected, exact)]
    lengths = tensors.get("lengths")
    return compare(batch, steps, () if lengths is None else lengths.tolist(), *arrays)
