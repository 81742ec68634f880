"""Cells as they are first written in torch: one step as a function, called in a loop over time.

All of a step is in the loop, the input projection too; _eager_loops.py is what a careful user makes of it. The input of
a step is (B, I), the state a tuple of (B, H) whose first part is the output, the parameters are those of a layer of
`recurra.Recurrent` by name.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from benchmarks._eager_loops import Loop, Parameters, normalised, recur_in_heads

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State, Parameters], State]


def in_a_loop(step: Step, gates: int, parts: int = 1, last: float = 0.0) -> Loop:
    """A sequence, a step at a time, from a state of zeros but for its last part, where there are several."""

    def run(x: Tensor, p: Parameters) -> Tensor:
        zeros = x.new_zeros(x.shape[1], p["weight_ih"].shape[0] // gates)
        state: State = (zeros,) * parts
        if parts > 1:
            state = (*state[:-1], torch.full_like(zeros, last))
        outputs = []
        for x_t in x.unbind():
            state = step(x_t, state, p)
            outputs.append(state[0])
        return torch.stack(outputs)

    return run


def peephole_lstm(x: Tensor, state: State, p: Parameters) -> State:
    """Gers, Schraudolph and Schmidhuber 2002; the gates in the order i, f, g, o."""
    h, c = state
    i, f, g, o = (linear(x, p["weight_ih"], p["bias_ih"]) + linear(h, p["weight_hh"], p["bias_hh"])).chunk(4, dim=-1)
    i = torch.sigmoid(i + p["peephole_i"] * c)
    f = torch.sigmoid(f + p["peephole_f"] * c)
    c = f * c + i * torch.tanh(g)
    o = torch.sigmoid(o + p["peephole_o"] * c)
    return o * torch.tanh(c), c


def layer_norm_lstm(x: Tensor, state: State, p: Parameters) -> State:
    """Ba, Kiros and Hinton 2016, each gate normalised by itself, the memory not; the gates in the order i, f, g, o."""
    h, c = state
    from_x = normalised(linear(x, p["weight_ih"]), p["norm_ih"], p["bias_ih"])
    from_h = normalised(linear(h, p["weight_hh"]), p["norm_hh"], p["bias_hh"])
    i, f, g, o = (from_x + from_h).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def indrnn(x: Tensor, state: State, p: Parameters) -> State:
    """Li et al. 2018, rectified."""
    (h,) = state
    return (torch.relu(linear(x, p["weight_ih"], p["bias_ih"]) + p["weight_hh"].squeeze(1) * h + p["bias_hh"]),)


def slstm(x: Tensor, state: State, p: Parameters) -> State:
    """Beck et al. 2024, with one head or several; the gates in the order i, f, z, o; the state h, c, n, m."""
    h, c, n, m = state
    recur = recur_in_heads if p["weight_hh"].shape[1] < h.shape[1] else linear
    gates = linear(x, p["weight_ih"], p["bias_ih"]) + recur(h, p["weight_hh"], p["bias_hh"])
    i, f, z, o = gates.chunk(4, dim=-1)
    log_f = logsigmoid(f) + m
    m = torch.maximum(log_f, i)
    i, f = torch.exp(i - m), torch.exp(log_f - m)
    c = f * c + i * torch.tanh(z)
    n = f * n + i
    return torch.sigmoid(o) * c / n, c, n, m


def min_gru(x: Tensor, state: State, p: Parameters) -> State:
    """Feng et al. 2024; the gates in the order z, n."""
    (h,) = state
    z, n = linear(x, p["weight_ih"], p["bias_ih"]).chunk(2, dim=-1)
    z = torch.sigmoid(z)
    return ((1 - z) * h + z * n,)


def rg_lru(x: Tensor, state: State, p: Parameters) -> State:
    """De et al. 2024; the gates in the order r, i and the value."""
    (h,) = state
    r, i, v = linear(x, p["weight_ih"], p["bias_ih"]).chunk(3, dim=-1)
    a = torch.exp(8 * torch.sigmoid(r) * logsigmoid(p["decay"]))
    return (a * h + torch.sqrt(1 - a.square()) * torch.sigmoid(i) * v,)
