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

__all__ = ["Accelerated", "AcceleratedGRU", "AcceleratedLSTM", "AcceleratedRNN", "additions"]


class Accelerated:
    """What turns a torch.nn recurrent module into Recurra's; never constructed, see `recurra.accelerate`.

    Only `forward` is Recurra's. Everything else is still torch's: the parameters and their flat list, moving to another
    device, saving, `all_weights`, `mode`.
    """

    backend: str

    def forward(
        self: Any,
        input: Tensor | PackedSequence,  # noqa: A002 (torch's name)
        hx: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, Any]:
        """Run over a sequence. For the arguments, results and errors, see `Recurrent.forward`."""
        x = input.data if isinstance(input, PackedSequence) else input
        if lengths is None and resets is None and self._is_torch_s(x):
            return super().forward(input, hx)  # type: ignore[misc]
        # torch.compile breaks its graph at torch's recurrent modules and runs them eagerly, but it would trace the
        # functions called here, away from the native kernel. Importing it for this would take seconds.
        run = _untraced() if "torch._dynamo" in sys.modules else Recurrent.forward
        return run(self, input, hx, lengths, resets)

    def _is_torch_s(self: Any, x: Tensor) -> bool:
        """Whether torch's own forward serves for x: it gives torch's kernel all layers in one call."""
        if self.backend == "auto" and (torch.compiler.is_compiling() or torch.jit.is_tracing()):  # pyright: ignore[reportPrivateImportUsage]
            return True  # exported and traced graphs stay torch's
        request = describe(self.backend, self.cell, x, projected=self.proj_size > 0)
        return choose(self.backend, request).backend == "aten"

    def extra_repr(self: Any) -> str:
        shown = super().extra_repr()  # type: ignore[misc]
        return shown if self.backend == "auto" else f"{shown}, backend={self.backend!r}"


# torch's class stands before Recurra's, because its methods must come first.
class AcceleratedRNN(Accelerated, nn.RNN, RNN):
    """A torch.nn.RNN that runs on Recurra's kernels."""


class AcceleratedLSTM(Accelerated, nn.LSTM, LSTM):
    """A torch.nn.LSTM that runs on Recurra's kernels."""


class AcceleratedGRU(Accelerated, nn.GRU, GRU):
    """A torch.nn.GRU that runs on Recurra's kernels."""


def additions(module: Any, backend: str) -> dict[str, Any]:
    """The attributes that a Recurra layer has beyond those of torch's: its cell, `backend` and other options."""
    theirs, ours = next(pair for pair in ((nn.RNN, RNN), (nn.LSTM, LSTM), (nn.GRU, GRU)) if isinstance(module, pair[0]))
    names = ["num_layers", "bias", "bidirectional"]
    names += ["nonlinearity"] * isinstance(module, nn.RNN) + ["proj_size"] * isinstance(module, nn.LSTM)
    options = {name: getattr(module, name) for name in names}
    # None of them depends on the other sizes, and on the meta device nothing is sampled.
    layer = vars(ours(1, module.proj_size + 1, backend=backend, device="meta", **options))
    known = vars(theirs(1, 1, device="meta"))
    return {name: value for name, value in layer.items() if name not in known}


@cache
def _untraced() -> Any:
    return torch.compiler.disable(Recurrent.forward)
