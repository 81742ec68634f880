"""A Clockwork RNN as its paper has it: one dense product a step, and a mask of the groups that are computed."""

import torch
from torch import Tensor

from recurra import ClockworkRNN


def plain_loop(layer: ClockworkRNN, x: Tensor) -> Tensor:
    """The outputs (T, B, H) of a layer of the default cell, from x (T, B, I), step by step from zeros."""
    edges = torch.tensor([0, *layer.group_sizes]).cumsum(0).tolist()
    weight_ih, weight_hh, bias = [], [], []
    for group, first in zip(layer.groups, edges, strict=False):
        own = dict(group.named_parameters())
        of_input, of_slower = own["weight_ih_l0"].split(
            [layer.input_size, layer.hidden_size - first - len(own["bias_ih_l0"])], 1
        )
        weight_ih.append(of_input)
        faster = x.new_zeros(len(of_input), first)
        weight_hh.append(torch.cat([faster, own["weight_hh_l0"], of_slower], 1))
        bias.append(own["bias_ih_l0"] + own["bias_hh_l0"])
    drive = x @ torch.cat(weight_ih).t() + torch.cat(bias)
    recurrent = torch.cat(weight_hh).t()
    periods = torch.tensor(layer.periods).repeat_interleave(torch.tensor(layer.group_sizes))
    h = x.new_zeros(x.shape[1], layer.hidden_size)
    outputs = []
    for t, entering in enumerate(drive):
        h = torch.where(t % periods == 0, torch.tanh(entering + h @ recurrent), h)
        outputs.append(h)
    return torch.stack(outputs)
