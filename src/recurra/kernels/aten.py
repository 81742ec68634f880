"""torch's own fused RNN, LSTM and GRU: oneDNN on a CPU, cuDNN on a GPU."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from recurra.cells import GRU, LSTM, Cell, Elman
from recurra.kernels.empty import run_empty
from recurra.kernels.weights import Masks, Weights

__all__ = ["run", "serves"]

_FUSED = {
    Elman("tanh"): torch.rnn_tanh,
    Elman("relu"): torch.rnn_relu,
    LSTM(): torch.lstm,
    GRU(): torch.gru,
}


def serves(cell: Cell, projected: bool = False) -> bool:
    """Whether torch has a fused kernel for this cell; with a projected output it has the LSTM's only."""
    return cell in _FUSED and (not projected or cell == LSTM())


def run(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor | None = None,
    reverse: bool = False,
    masks: Masks | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a cell over a sequence; arguments and results as in `recurra.kernels.reference.run`, `masks` always None."""
    if inputs.shape[0] == 0 or inputs.shape[1] == 0:
        return run_empty(inputs, state, weights)
    if lengths is None:
        outputs, state = _run_equal(cell, inputs.flip(0) if reverse else inputs, state, weights)
        return outputs.flip(0) if reverse else outputs, state
    return _run_ragged(cell, inputs, state, weights, lengths, reverse)


def _run_equal(
    cell: Cell, inputs: Tensor | PackedSequence, state: tuple[Tensor, ...], weights: Weights
) -> tuple[Tensor, tuple[Tensor, ...]]:
    flat = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh, weights.weight_hr]
    flat = [weight for weight in flat if weight is not None]
    initial = tuple(part.unsqueeze(0) for part in state)
    hx = initial[0] if len(initial) == 1 else initial
    bias = weights.bias_ih is not None
    # cuDNN refuses a backward pass through what ran with train=False.
    train = torch.is_grad_enabled() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    if isinstance(inputs, PackedSequence):
        final = _FUSED[cell](inputs.data, inputs.batch_sizes, hx, flat, bias, 1, 0.0, train, False)
    else:
        final = _FUSED[cell](inputs, hx, flat, bias, 1, 0.0, train, False, False)
    return final[0], tuple(part.squeeze(0) for part in final[1:])


def _run_ragged(
    cell: Cell,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: Weights,
    lengths: Tensor,
    reverse: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    steps, batch, _ = inputs.shape
    order = torch.argsort(lengths, descending=True, stable=True)
    order = order[: int((lengths > 0).sum())]  # torch's packing refuses sequences of length 0
    if len(order) == 0:
        return run_empty(inputs, state, weights)
    rows, row_lengths = order.to(inputs.device), lengths[order]
    chosen = inputs.index_select(1, rows)
    if reverse:
        chosen = _reverse_within_length(chosen, row_lengths)
    packed = pack_padded_sequence(chosen, row_lengths)
    data, final = _run_equal(cell, packed, tuple(part.index_select(0, rows) for part in state), weights)
    padded, _ = pad_packed_sequence(PackedSequence(data, packed.batch_sizes), total_length=steps)
    if reverse:
        padded = _reverse_within_length(padded, row_lengths)
    outputs = padded.new_zeros(steps, batch, padded.shape[2]).index_copy(1, rows, padded)
    return outputs, tuple(part.index_copy(0, rows, new) for part, new in zip(state, final, strict=True))


def _reverse_within_length(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse (T, B, F) in time within each length; padding stays where it is."""
    t = torch.arange(x.shape[0]).unsqueeze(1)
    index = torch.where(t < lengths, lengths - 1 - t, t).to(x.device)
    return x.gather(0, index.unsqueeze(2).expand_as(x))
