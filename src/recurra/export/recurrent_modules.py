"""The classes of recurrent modules that an export knows, and a model ready for one."""

import copy

from torch import nn

from recurra.errors import ExportError
from recurra.layers import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    Recurrent,
    RecurrentCell,
    Reservoir,
    RNNCell,
    accelerate,
)
from recurra.layers.accelerated import ACCELERATED
from recurra.layers.stack import Block

__all__ = ["CELLS", "LAYERS", "evaluated", "has_blocks", "refuse_blocks"]

#: Over sequences, with the attributes of `Recurrent`.
LAYERS = (Recurrent, Reservoir, LSTM, GRU, RNN, *(ACCELERATED[kind] for kind in (nn.LSTM, nn.GRU, nn.RNN)))
#: Single steps, with the attributes of `RecurrentCell`.
CELLS = (
    *(RecurrentCell, LSTMCell, GRUCell, RNNCell),
    *(ACCELERATED[kind] for kind in (nn.LSTMCell, nn.GRUCell, nn.RNNCell)),
)


def evaluated(model: nn.Module) -> nn.Module:
    """A copy in evaluation, in float32 on the CPU, whose recurrent layers of torch.nn take lengths too."""
    own = copy.deepcopy(model).cpu().float().eval()
    accelerate(own)
    return own


def has_blocks(model: nn.Module) -> bool:
    """Whether there is a stack of blocks in it, or a block."""
    return any(isinstance(part, Block) for part in model.modules())


def refuse_blocks(model: nn.Module, form: str, step: str) -> None:
    """Refuse a model with a stack of blocks, or a block.

    Args:
        model: to be exported.
        form: "ONNX" or "TorchScript".
        step: the function that writes a step.

    Raises:
        ExportError: naming the module.
    """
    for name, part in model.named_modules():
        if isinstance(part, Block):
            raise ExportError(
                f"{name or 'the model'}: a {type(part).__name__} is a block or a stack of blocks, which has no form "
                f"over sequences in {form} here; of a model that streams, {step} writes one step"
            )
