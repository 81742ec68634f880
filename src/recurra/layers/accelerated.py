"""The classes into which `recurra.accelerate` turns torch.nn's recurrent modules; the objects stay the same."""

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.kernels import choose, describe
from recurra.layers.recurrent import Recurrent
from recurra.layers.standard import GRU, LSTM, RNN
from recurra.layers.step import GRUCell, LSTMCell, RecurrentCell, RNNCell

__all__ = ["ACCELERATED", "Accelerated", "additions"]


class Accelerated:
    """What turns a torch.nn recurrent module into Recurra's; never constructed, see `recurra.accelerate`.

    Only `forward` is Recurra's. Everything else is still torch's: the parameters and their flat list, moving to another
    device, saving, `all_weights`, `mode`.
    """

    backend: str

    def _is_torch_s(self: Any, x: Tensor) -> bool:
        """Whether torch's own forward serves for x: it gives torch's kernel all layers in one call."""
        if self.backend == "auto" and (torch.compiler.is_compiling() or torch.jit.is_tracing()):  # pyright: ignore[reportPrivateImportUsage]
            return True  # exported and traced graphs stay torch's
        request = describe(self.backend, self.cell, x, projected=self.proj_size > 0)
        return choose(self.backend, request).backend == "aten"

    def extra_repr(self: Any) -> str:
        shown = super().extra_repr()  # type: ignore[misc]
        return shown if self.backend == "auto" else f"{shown}, backend={self.backend!r}"


class AcceleratedLayer(Accelerated):
    """An accelerated layer over sequences."""

    def forward(
        self: Any,
        input: Tensor | PackedSequence,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        elapsed: Tensor | None = None,
    ) -> tuple[Any, Any]:
        """Run over a sequence. For the arguments, results and errors, see `Recurrent.forward`."""
        x = input.data if isinstance(input, PackedSequence) else input
        if lengths is None and resets is None and elapsed is None and self._is_torch_s(x):
            return super().forward(input, hx)  # type: ignore[misc]
        # torch.compile breaks its graph at torch's recurrent modules and runs them eagerly, but it would trace the
        # functions called here, away from the native kernel. Importing it for this would take seconds.
        run = _untraced() if "torch._dynamo" in sys.modules else Recurrent.forward
        return run(self, input, hx, lengths, resets, elapsed)


class AcceleratedStep(Accelerated):
    """An accelerated cell, for single steps."""

    def forward(
        self: Any,
        input: Tensor,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        elapsed: Tensor | None = None,
        recurrent_mask: Tensor | None = None,
    ) -> Any:
        """Compute one step. For the arguments, results and errors, see `RecurrentCell.forward`."""
        if elapsed is None and recurrent_mask is None and self._is_torch_s(input):
            return super().forward(input, hx)  # type: ignore[misc]
        return RecurrentCell.forward(self, input, hx, elapsed, recurrent_mask)


# torch's class stands before Recurra's, because its methods must come first.
class AcceleratedRNN(AcceleratedLayer, nn.RNN, RNN):
    """A torch.nn.RNN that runs on Recurra's kernels."""


class AcceleratedLSTM(AcceleratedLayer, nn.LSTM, LSTM):
    """A torch.nn.LSTM that runs on Recurra's kernels."""


class AcceleratedGRU(AcceleratedLayer, nn.GRU, GRU):
    """A torch.nn.GRU that runs on Recurra's kernels."""


class AcceleratedRNNCell(AcceleratedStep, nn.RNNCell, RNNCell):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A torch.nn.RNNCell that runs on Recurra's kernels."""


class AcceleratedLSTMCell(AcceleratedStep, nn.LSTMCell, LSTMCell):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A torch.nn.LSTMCell that runs on Recurra's kernels."""


class AcceleratedGRUCell(AcceleratedStep, nn.GRUCell, GRUCell):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A torch.nn.GRUCell that runs on Recurra's kernels."""


ACCELERATED: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: AcceleratedRNN,
    nn.LSTM: AcceleratedLSTM,
    nn.GRU: AcceleratedGRU,
    nn.RNNCell: AcceleratedRNNCell,
    nn.LSTMCell: AcceleratedLSTMCell,
    nn.GRUCell: AcceleratedGRUCell,
}
_OURS: dict[type[nn.Module], type[Any]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}


def additions(module: Any, backend: str) -> dict[str, Any]:
    """The attributes that a Recurra module has beyond those of torch's: its cell, `backend` and other options."""
    theirs = next(kind for kind in _OURS if isinstance(module, kind))
    names = ["bias"] + ["nonlinearity"] * isinstance(module, nn.RNN | nn.RNNCell)
    names += ["num_layers", "bidirectional"] * isinstance(module, nn.RNNBase)
    names += ["proj_size"] * isinstance(module, nn.LSTM)
    options = {name: getattr(module, name) for name in names}
    # None of them depends on the other sizes, and on the meta device nothing is sampled.
    ours = _OURS[theirs](1, getattr(module, "proj_size", 0) + 1, backend=backend, device="meta", **options)
    known = vars(theirs(1, 1, device="meta"))
    return {name: value for name, value in vars(ours).items() if name not in known}


@cache
def _untraced() -> Any:
    return torch.compiler.disable(Recurrent.forward)
