"""Weights taken over from another run, for fine-tuning."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError, RunError
from recurra.task.fitted import Fitted
from recurra.task.registry import load

__all__ = ["Transfer", "check_start", "check_unfreezing", "take_over", "transfer_weights", "unfreezing"]

_log = logging.getLogger("recurra.task")

# Networks of different tasks have an embedding of words and recurrent layers in common, under names of their own.
_ROLES = (
    (re.compile(r"embedding(?:\.words)?\.weight"), "embedding of words"),
    (re.compile(r"(?:classifier\.)?recurrent\.(.+)"), r"recurrent layers, \1"),
)
_WORDS = "embedding.words.weight"
_LAYER = re.compile(r"_l(\d+)(?:_reverse)?(?:\.|$)")


@dataclass(frozen=True)
class Transfer:
    """What came of taking over weights.

    Attributes:
        taken: names of parameters that were taken over, at least in part.
        left: what could not be taken over, a phrase a parameter.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]


def check_start(changed: Mapping[str, Any], second_stage: Sequence[str]) -> None:
    """Refuse options of a second stage, which continues from another run, if none is named.

    Args:
        changed: the options that differ from their defaults.
        second_stage: options that need a run to start from.

    Raises:
        ParameterError: one of them differs from its default.
    """
    for name in second_stage:
        if name in changed:
            way_out = "Name the run: start_from, or --from RUN."
            raise ParameterError(name, "its default without a run to start from", changed[name], way_out)


def take_over(fitted: Fitted[Any, Any], folder: str | Path, noun: str, unfreeze_steps: int) -> None:
    """Replace the weights of a network before training by those of the run in a folder, as far as they fit.

    Args:
        fitted: the network; of `frozen` in its data a run that is resumed reads for how long which weights stay.
        folder: of the other run.
        noun: what messages call the model.
        unfreeze_steps: between two layers, see `unfreezing`; 0: all train from the first step.

    Raises:
        RunError: the folder holds no run, or none of its weights fit.
    """
    other = load(folder).fitted
    weights = other.network.state_dict()
    transfer = transfer_weights(fitted.network, weights, fitted.learned.rows(), other.learned.rows())
    if not transfer.taken:
        raise RunError(f"{folder}: no weights fit this {noun}: {_reason(fitted, other, transfer.left)}")
    _log.info("%s: %d weights are taken over", folder, len(transfer.taken))
    if transfer.left:
        _log.warning("%s: not taken over, and trained anew: %s", folder, "; ".join(transfer.left))
    if unfreeze_steps:
        fitted.data["frozen"] = unfreezing(fitted.network, transfer.taken, unfreeze_steps)


def _reason(fitted: Fitted[Any, Any], other: Fitted[Any, Any], left: Sequence[str]) -> str:
    """Why no weights of another run fit, and what to start from."""
    tokens, own = getattr(other.learned, "tokens", None), fitted.network.state_dict()
    if tokens is None or tokens.name == "words" or _WORDS not in own:
        return f"{'; '.join(left)}. Start from a run whose sizes and cell are the same, or set them as they are there."
    options = {"cell": fitted.options["cell"] or "lstm", "embedding-size": own[_WORDS].shape[1]}
    sizes = [values.shape[-1] for name, values in own.items() if _role(name) == "recurrent layers, weight_hh_l0"]
    options |= dict(zip(("hidden-size",), sizes, strict=False)) | {"num-layers": fitted.options["num_layers"]}
    command = " ".join(f"--{name} {value}" for name, value in options.items())
    return (
        f"it is a language model of {tokens.name}; one of words is needed. Train it by: recurra train language "
        f"--tokens words {command} --data FILE"
    )


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


def unfreezing(network: nn.Module, taken: Sequence[str], steps: int) -> dict[str, int]:
    """For how many steps each parameter that was taken over stays as it is: gradual unfreezing.

    Parameters that are new train from the first step. Of the others the last layer is freed after `steps` steps, and
    after as many again the one before it, until the first (Howard and Ruder 2018, section 3.3, where `steps` is an
    epoch). If no parameter is new, the last layer trains from the first step. Layers are in the order in which the
    network names them; a recurrent layer is one, in both directions.

    Args:
        network: that trains.
        taken: names of the parameters taken over, at least in part.
        steps: between two layers, 1 or more.

    Returns:
        The number of steps by name of the parameter, without those that train from the first.
    """
    names = [name for name, _ in network.named_parameters()]
    layers: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if name in taken:
            layers.setdefault(_layer(name), []).append(name)
    first = 1 if any(name not in taken for name in names) else 0
    last_to_first = enumerate(reversed(list(layers.values())), start=first)
    return {name: stage * steps for stage, layer in last_to_first for name in layer if stage}


def check_unfreezing(frozen: Mapping[str, int], max_steps: int) -> None:
    """Refuse to end before every layer has been freed.

    Args:
        frozen: what `unfreezing` returned.
        max_steps: of the training.

    Raises:
        ParameterError: a layer would be trained by no step.
    """
    if not frozen or max(frozen.values()) < max_steps:
        return
    between, last = min(frozen.values()), max(frozen.values())
    layers = last // between
    raise ParameterError(
        "unfreeze_steps",
        f"at most {(max_steps - 1) // layers:,}, because {max_steps:,} steps free {layers} layers after one another",
        between,
        "Or train for more steps (max_steps).",
    )


def _layer(name: str) -> tuple[str, str]:
    """The module of a parameter, and the index of the layer in a recurrent stack."""
    match = _LAYER.search(name)
    module = name[: match.start()].rpartition(".")[0] if match else name.rpartition(".")[0]
    return module, match[1] if match else ""


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
