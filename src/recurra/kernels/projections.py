"""The matrix products around a cell's update, in torch operations."""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from recurra.cells import Cell
from recurra.kernels.weights import Weights

__all__ = [
    "NONLINEARITIES",
    "NORM_EPSILON",
    "input_projection",
    "output_projection",
    "recurrent_projection",
    "without_padding",
]

NORM_EPSILON = 1e-5  # torch.nn.LayerNorm's

NONLINEARITIES = {"identity": lambda x: x, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu}


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x (T, B, ...) with zeros beyond the lengths (B,): products neither read padding nor give it a gradient."""
    if lengths is None:
        return x
    padding = torch.arange(x.shape[0]).unsqueeze(1) >= lengths
    return x.masked_fill(padding.unsqueeze(2).to(x.device), 0)


def input_projection(cell: Cell, inputs: Tensor, weights: Weights) -> Tensor:
    """W_ih x + b_ih, normalised if the cell asks for it: (..., G * H) from (..., I)."""
    if weights.norm_ih is None:
        return linear(inputs, weights.weight_ih, weights.bias_ih)
    return _normalised(cell, linear(inputs, weights.weight_ih), weights.norm_ih, weights.bias_ih)


def recurrent_projection(cell: Cell, before: Tensor, weights: Weights, second_stage: bool = False) -> Tensor | None:
    """W_hh h + b_hh, normalised if the cell asks for it: (B, G * H) from (B, R); None without a recurrence.

    If the cell has second-stage gates, the result has the rows of the others only; with `second_stage`, theirs only.
    """
    weight, bias = weights.weight_hh, weights.bias_hh
    if weight is None:
        return None
    if cell.second_stage_gates:
        first = weight.shape[0] // len(cell.gates) * (len(cell.gates) - len(cell.second_stage_gates))
        rows = slice(first, None) if second_stage else slice(None, first)
        return linear(before, weight[rows], None if bias is None else bias[rows])
    if cell.recurrence == "dense" and weights.norm_hh is None:
        return linear(before, weight, bias)
    projected = _mixed(cell, before, weight)
    if weights.norm_hh is not None:
        return _normalised(cell, projected, weights.norm_hh, bias)
    return projected if bias is None else projected + bias


def output_projection(cell: Cell, output: Tensor, weights: Weights) -> Tensor:
    """f(W_hr h + b_hr), (B, R) from (B, H); h itself without such a weight."""
    if weights.weight_hr is None:
        return output
    return NONLINEARITIES[cell.output_nonlinearity or "identity"](linear(output, weights.weight_hr, weights.bias_hr))


def _mixed(cell: Cell, before: Tensor, weight: Tensor) -> Tensor:
    gates = len(cell.gates)
    if cell.recurrence == "dense":
        return linear(before, weight)
    if cell.recurrence == "diagonal":
        return (before.unsqueeze(-2) * weight.reshape(gates, -1)).flatten(-2)
    heads = weight.reshape(gates, cell.heads, -1, weight.shape[-1])
    return torch.einsum("...nk,gnjk->...gnj", before.unflatten(-1, (cell.heads, -1)), heads).flatten(-3)


def _normalised(cell: Cell, projected: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    by_gate = projected.unflatten(-1, (len(cell.gates), -1))
    normal = layer_norm(by_gate, by_gate.shape[-1:], eps=NORM_EPSILON).flatten(-2) * scale
    return normal if shift is None else normal + shift
