"""Cells as a user of torch writes them today: what needs no state for the whole sequence at once, the rest in a loop.

Each is written from its paper and not with recurra's equations, so that agreement means something. x is (T, B, I), the
parameters are those of a layer of `recurra.Recurrent` by name, the result is the output (T, B, H).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, logsigmoid

Parameters = Mapping[str, Tensor]
Loop = Callable[[Tensor, Parameters], Tensor]


def peephole_lstm(x: Tensor, p: Parameters) -> Tensor:
    """Gers, Schraudolph and Schmidhuber 2002; the gates in the order i, f, g, o."""
    projected = linear(x, p["weight_ih"], p["bias_ih"])
    h = c = _zeros(projected, 4)
    outputs = []
    for x_t in projected.unbind():
        i, f, g, o = (x_t + linear(h, p["weight_hh"], p["bias_hh"])).chunk(4, dim=-1)
        i = torch.sigmoid(i + p["peephole_i"] * c)
        f = torch.sigmoid(f + p["peephole_f"] * c)
        c = f * c + i * torch.tanh(g)
        o = torch.sigmoid(o + p["peephole_o"] * c)
        h = o * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def layer_norm_lstm(x: Tensor, p: Parameters) -> Tensor:
    """Ba, Kiros and Hinton 2016, each gate normalised by itself, the memory not; the gates in the order i, f, g, o."""
    projected = normalised(linear(x, p["weight_ih"]), p["norm_ih"], p["bias_ih"])
    h = c = _zeros(projected, 4)
    outputs = []
    for x_t in projected.unbind():
        gates = x_t + normalised(linear(h, p["weight_hh"]), p["norm_hh"], p["bias_hh"])
        i, f, g, o = gates.chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def indrnn(x: Tensor, p: Parameters) -> Tensor:
    """Li et al. 2018, rectified."""
    projected = linear(x, p["weight_ih"], p["bias_ih"] + p["bias_hh"])
    weight = p["weight_hh"].squeeze(1)
    h = _zeros(projected, 1)
    outputs = []
    for x_t in projected.unbind():
        h = torch.relu(x_t + weight * h)
        outputs.append(h)
    return torch.stack(outputs)


def slstm(x: Tensor, p: Parameters) -> Tensor:
    """Beck et al. 2024, with one head or several; the gates in the order i, f, z, o."""
    projected = linear(x, p["weight_ih"], p["bias_ih"])
    h = c = n = _zeros(projected, 4)
    m = torch.full_like(h, -torch.inf)
    recur = recur_in_heads if p["weight_hh"].shape[1] < h.shape[1] else linear
    outputs = []
    for x_t in projected.unbind():
        i, f, z, o = (x_t + recur(h, p["weight_hh"], p["bias_hh"])).chunk(4, dim=-1)
        log_f = logsigmoid(f) + m
        m = torch.maximum(log_f, i)
        i, f = torch.exp(i - m), torch.exp(log_f - m)
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        outputs.append(h)
    return torch.stack(outputs)


def min_gru(x: Tensor, p: Parameters) -> Tensor:
    """Feng et al. 2024."""
    return min_gru_recurrence(linear(x, p["weight_ih"], p["bias_ih"]), p)


def min_gru_recurrence(projected: Tensor, p: Parameters) -> Tensor:
    """minGRU from its input projections (T, B, 2 H), the gates in the order z, n; it has no other parameters."""
    z, n = projected.chunk(2, dim=-1)
    z = torch.sigmoid(z)
    return _affine(1 - z, z * n)


def rg_lru(x: Tensor, p: Parameters) -> Tensor:
    """De et al. 2024."""
    return rg_lru_recurrence(linear(x, p["weight_ih"], p["bias_ih"]), p)


def rg_lru_recurrence(projected: Tensor, p: Parameters) -> Tensor:
    """RG-LRU from its input projections (T, B, 3 H), the gates in the order r, i and the value."""
    r, i, v = projected.chunk(3, dim=-1)
    a = torch.exp(8 * torch.sigmoid(r) * logsigmoid(p["decay"]))
    return _affine(a, torch.sqrt(1 - a.square()) * torch.sigmoid(i) * v)


def _affine(a: Tensor, b: Tensor) -> Tensor:
    h = torch.zeros_like(a[0])
    outputs = []
    for a_t, b_t in zip(a.unbind(), b.unbind(), strict=True):
        h = a_t * h + b_t
        outputs.append(h)
    return torch.stack(outputs)


def _zeros(projected: Tensor, gates: int) -> Tensor:
    return projected.new_zeros(projected.shape[1], projected.shape[2] // gates)


def normalised(projected: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Each of four gates (..., 4 H) to mean 0 and variance 1 over its units, then scaled and shifted."""
    by_gate = projected.unflatten(-1, (4, -1))
    return layer_norm(by_gate, by_gate.shape[-1:]).flatten(-2) * scale + shift


def recur_in_heads(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each head of K units reads its own: (B, 4 H) from (B, H) with a weight (4 H, K)."""
    size = weight.shape[1]
    blocks = weight.view(4, -1, size, size).permute(1, 3, 0, 2).flatten(2)  # (N, K, 4 K)
    mixed = torch.bmm(h.unflatten(1, (-1, size)).transpose(0, 1), blocks)  # (N, B, 4 K)
    return mixed.unflatten(2, (4, size)).permute(1, 2, 0, 3).flatten(1) + bias
