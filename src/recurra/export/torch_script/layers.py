"""What takes the place of recurrent layers and cells while torch.jit.trace records a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra import cells
from recurra.errors import ExportError
from recurra.export.layer_states import LayerState
from recurra.export.recurrent_modules import CELLS, LAYERS
from recurra.export.torch_script.loop import loop_over_time, step_of
from recurra.layers import Recurrent
from recurra.layers.elapsed import backward_elapsed
from recurra.layers.parameters import as_weights, parameters_by_name

__all__ = ["Slots", "replace_layers"]

_STANDARD: dict[Any, tuple[type[nn.RNNBase], dict[str, str]]] = {
    cells.LSTM(): (nn.LSTM, {}),
    cells.GRU(): (nn.GRU, {}),
    cells.Elman("tanh"): (nn.RNN, {"nonlinearity": "tanh"}),
    cells.Elman("relu"): (nn.RNN, {"nonlinearity": "relu"}),
}


@dataclass
class Slots:
    """Tensors that pass between the inputs and outputs of what is traced and the layers within it.

    Attributes:
        lengths: int64 (B,), within which a layer runs to which the model gives none. None: all are T.
        initial: the initial states by name of the input.
        final: the final states by name of the output.
        states: of the layers that began at an initial state, in the order in which they ran.
        from_zeros: the names of layers that begin at zeros, and have no states among the inputs and outputs.
    """

    lengths: Tensor | None = None
    initial: dict[str, Tensor] = field(default_factory=dict)
    final: dict[str, Tensor] = field(default_factory=dict)
    states: list[LayerState] = field(default_factory=list)
    from_zeros: tuple[str, ...] = ()


class _Stateful(nn.Module):
    """A layer or cell that takes its initial state from the slots, and leaves its final state there."""

    def __init__(self, module: Any, name: str, slots: Slots) -> None:
        super().__init__()
        prefix = f"{name}." if name else ""
        parts = module.cell.state
        self._from_zeros = name in slots.from_zeros
        self._state = LayerState(
            name, tuple(f"{prefix}{part}_0" for part in parts), tuple(f"{prefix}{part}_n" for part in parts)
        )
        self._slots = slots
        self._sizes = module.state_sizes

    def _initial(self, hx: Any, zeros: Tensor) -> Sequence[Tensor]:
        """The initial state by part; if there is none, zeros (..., 1) are widened to it."""
        if hx is not None:
            return hx if isinstance(hx, tuple) else (hx,)
        if self._from_zeros:
            return self._widened(zeros)
        if self._state in self._slots.states:
            raise ExportError(
                f"{self._state.layer}: it runs twice from an initial state of its own, and there is one input for "
                "that. Give its second call the final state of the first, or use two layers"
            )
        self._slots.states.append(self._state)
        initial = self._slots.initial
        if all(name in initial for name in self._state.inputs):
            return [initial[name] for name in self._state.inputs]
        return self._widened(zeros)

    def _widened(self, zeros: Tensor) -> list[Tensor]:
        return [zeros.expand([-1] * (zeros.dim() - 1) + [size]) for size in self._sizes]

    def _leave(self, hx: Any, final: Sequence[Tensor]) -> Any:
        if hx is None and not self._from_zeros:
            self._slots.final |= zip(self._state.outputs, final, strict=True)
        return tuple(final) if len(final) > 1 else final[0]


class _Layer(_Stateful):
    """A layer, as torch's own module if that serves, else as a loop over time for each layer and direction."""

    def __init__(self, layer: Any, name: str, slots: Slots, with_lengths: bool) -> None:
        super().__init__(layer, name, slots)
        self.batch_first = layer.batch_first
        self._count = layer.num_layers
        self._directions = 2 if layer.bidirectional else 1
        self._times = 0 if layer.cell.elapsed == "none" else layer.elapsed_size
        self._name = name
        self._with_lengths = with_lengths
        self._standard: nn.RNNBase | None = None
        self._loops = nn.ModuleList()
        if not (with_lengths or any(layer.zoneout) or layer.proj_size) and layer.cell in _STANDARD:
            self._standard = _as_torch(layer)
            return
        for k in range(layer.num_layers):
            for reverse in range(self._directions):
                weights = Recurrent.weights_of(layer, k, bool(reverse), self._times > 0)
                self._loops.append(loop_over_time(layer.cell, weights, layer.zoneout, bool(reverse), with_lengths))

    def forward(
        self,
        input: Tensor,  # noqa: A002 (torch's name)
        hx: Any = None,
        lengths: Any = None,
        resets: Any = None,
        elapsed: Any = None,
    ) -> tuple[Tensor, Any]:
        if resets is not None or isinstance(input, PackedSequence):
            name = self._name or "the model"
            raise ExportError(f"{name}: resets and packed sequences have no form in TorchScript here; use lengths")
        x = input.transpose(0, 1) if self.batch_first else input
        state = self._initial(hx, x.new_zeros(self._count * self._directions, x.shape[1], 1))
        if self._standard is not None:
            x, final = self._standard(x, tuple(state) if len(state) > 1 else state[0])
            final = final if isinstance(final, tuple) else (final,)
        else:
            if elapsed is not None and self.batch_first:
                elapsed = elapsed.transpose(0, 1)
            x, final = self._looped(x, state, self._slots.lengths if lengths is None else lengths, elapsed)
        return x.transpose(0, 1) if self.batch_first else x, self._leave(hx, final)

    def _looped(
        self, x: Tensor, state: Sequence[Tensor], lengths: Tensor | None, elapsed: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        if elapsed is None and self._times:
            elapsed = torch.ones_like(x[:, :, :1]).expand(-1, -1, self._times)
        valid = []
        if self._with_lengths:
            ends = torch.full(x.shape[1:2], x.shape[0]) if lengths is None else lengths
            valid.append((torch.arange(x.shape[0]).unsqueeze(1) < ends).unsqueeze(2))
        finals = []
        for k in range(self._count):
            outputs = []
            x = x if elapsed is None else torch.cat([x, elapsed], 2)
            for reverse in range(self._directions):
                read = backward_elapsed(x, self._times, lengths) if reverse and self._times else x
                row = k * self._directions + reverse
                output, *final = self._loops[row](read, *valid, *(part[row] for part in state))
                outputs.append(output)
                finals.append(final)
            x = torch.cat(outputs, 2)
        return x, [torch.stack(part) for part in zip(*finals, strict=True)]


class _Cell(_Stateful):
    """A cell: the traced equations of one step."""

    def __init__(self, module: Any, name: str, slots: Slots) -> None:
        super().__init__(module, name, slots)
        self._times = 0 if module.cell.elapsed == "none" else module.elapsed_size
        weights = as_weights(module.cell, parameters_by_name(module, module._names), self._times > 0)
        self._project, self._step = step_of(module.cell, weights, module.zoneout)

    def forward(self, input: Tensor, hx: Any = None, elapsed: Any = None) -> Any:  # noqa: A002
        state = self._initial(hx, torch.zeros_like(input[:, :1]))
        if self._times:
            elapsed = torch.ones_like(input[:, :1]).expand(-1, self._times) if elapsed is None else elapsed
            input = torch.cat([input, elapsed], 1)  # noqa: A001
        return self._leave(hx, self._step(self._project(input), *state))


def replace_layers(model: nn.Module, slots: Slots, with_lengths: bool) -> nn.Module:
    """Replace the recurrent layers and cells of a model by what can be traced; returns the model, or its replacement.

    Args:
        model: in evaluation; its modules are replaced, it is not otherwise changed.
        slots: of the layers.
        with_lengths: whether there are lengths.
    """
    with torch.no_grad():
        for name, module in list(model.named_modules()):
            if type(module) in LAYERS:
                replacement: nn.Module = _Layer(module, name, slots, with_lengths)
            elif type(module) in CELLS:
                replacement = _Cell(module, name, slots)
            else:
                continue
            if not name:
                return replacement.eval()
            model.set_submodule(name, replacement.eval())
    return model


def _as_torch(layer: Any) -> nn.RNNBase:
    """torch.nn's module with the same weights."""
    kind, options = _STANDARD[layer.cell]
    made: Any = kind
    standard = made(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        bidirectional=layer.bidirectional,
        **options,
    )
    standard.load_state_dict(layer.state_dict())
    return standard.eval()
