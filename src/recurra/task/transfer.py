"""Weights taken over from another run, for fine-tuning."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["transfer_weights"]


@torch.no_grad()
def transfer_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    rows: Mapping[str, Sequence[Any]],
    source_rows: Mapping[str, Sequence[Any]],
) -> list[str]:
    """Copy weights of the same name and shape; of parameters whose rows have names, the rows that both have.

    Args:
        network: whose weights are replaced.
        weights: those of the other run.
        rows: what the network's rows stand for, by parameter; see `Learned.rows`.
        source_rows: what the rows of `weights` stand for.

    Returns:
        What could not be taken over, a phrase a parameter.
    """
    left = []
    for name, own in network.state_dict().items():
        other = weights.get(name)
        if other is None:
            left.append(f"{name} (the other run has none)")
        elif name in rows and name in source_rows and own.shape[1:] == other.shape[1:]:
            place = {row: index for index, row in enumerate(source_rows[name])}
            pairs = [(k, place[row]) for k, row in enumerate(rows[name]) if row in place]
            if pairs:
                here, there = map(list, zip(*pairs, strict=True))
                own[here] = other[there].to(own)
            if len(pairs) < len(rows[name]):
                left.append(f"{name} ({len(rows[name]) - len(pairs):,} of {len(rows[name]):,} rows are new)")
        elif own.shape == other.shape:
            own.copy_(other)
        else:
            left.append(f"{name} ({tuple(other.shape)} there, {tuple(own.shape)} here)")
    return left
