"""Weights taken over from another run, for fine-tuning."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Transfer", "transfer_weights"]

# Networks of different tasks have an embedding of words and recurrent layers in common, under names of their own.
_ROLES = (
    (re.compile(r"embedding(?:\.words)?\.weight"), "embedding of words"),
    (re.compile(r"(?:classifier\.)?recurrent\.(.+)"), r"recurrent layers, \1"),
)


@dataclass(frozen=True)
class Transfer:
    """What came of taking over weights.

    Attributes:
        taken: names of parameters that were taken over, at least in part.
        left: what could not be taken over, a phrase a parameter.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]


@torch.no_grad()
def transfer_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    rows: Mapping[str, Sequence[Any]],
    source_rows: Mapping[str, Sequence[Any]],
) -> Transfer:
    """Copy weights of the same name, or part in the network, and shape; of rows that have names, those that both have.

    If the network of another task reads fewer features of a word, the weights of the first features are taken over: a
    word's embedding comes first in every network.

    Args:
        network: whose weights are replaced.
        weights: those of the other run.
        rows: what the network's rows stand for, by parameter; see `Learned.rows`.
        source_rows: what the rows of `weights` stand for.
    """
    taken, left = [], []
    by_role = {role: name for name in weights if (role := _role(name)) is not None}
    for name, own in network.state_dict().items():
        source = name if name in weights else by_role.get(_role(name) or "")
        if source is None:
            left.append(f"{name} (the other run has none)")
            continue
        other = weights[source]
        if name in rows and source in source_rows and own.shape[1:] == other.shape[1:]:
            names = source_rows[source] if name == source else map(_text, source_rows[source])
            positions = {row: index for index, row in enumerate(names)}
            pairs = [(k, positions[row]) for k, row in enumerate(rows[name]) if row in positions]
            if pairs:
                here, there = map(list, zip(*pairs, strict=True))
                own[here] = other[there].to(own)
                taken.append(name)
            if len(pairs) < len(rows[name]):
                left.append(f"{name} ({len(rows[name]) - len(pairs):,} of {len(rows[name]):,} rows are new)")
        elif own.shape == other.shape:
            own.copy_(other)
            taken.append(name)
        elif name != source and name not in rows and _has_more_columns(own, other):
            own[:, : other.shape[1]] = other.to(own)
            taken.append(name)
            left.append(f"{name} ({own.shape[1] - other.shape[1]:,} of {own.shape[1]:,} columns are new)")
        else:
            left.append(f"{name} ({tuple(other.shape)} there, {tuple(own.shape)} here)")
    return Transfer(tuple(taken), tuple(left))


def _has_more_columns(own: Tensor, other: Tensor) -> bool:
    return own.dim() == 2 == other.dim() and own.shape[0] == other.shape[0] and own.shape[1] > other.shape[1]


def _text(row: Any) -> Any:
    """A token as text: language models have theirs as bytes."""
    return row.decode(errors="replace") if isinstance(row, bytes) else row


def _role(name: str) -> str | None:
    """What a parameter is in a network of any task; None if it is peculiar to its own."""
    for pattern, role in _ROLES:
        if match := pattern.fullmatch(name):
            return match.expand(role)
    return None
