"""The classes of recurrent modules that an export knows, and a model ready for one."""

import copy

from torch import nn

from recurra.layers import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RecurrentCell, RNNCell, accelerate
from recurra.layers.accelerated import ACCELERATED

__all__ = ["CELLS", "LAYERS", "evaluated"]

#: Over sequences, with the attributes of `Recurrent`.
LAYERS = (Recurrent, LSTM, GRU, RNN, *(ACCELERATED[kind] for kind in (nn.LSTM, nn.GRU, nn.RNN)))
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
