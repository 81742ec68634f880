"""What `inspect` shows of a model of music."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.music.piece import Piece
from recurra.data.music.pitches import LOWEST, pitch_name
from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.music.events import FittedEvents, events_of
from recurra.tasks.music.training import FittedFrames, FittedMusic, frames_of

__all__ = ["view"]

_MOST = 32  # pieces
_STEPS = 64

_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units read frames of 88 notes and predict the next; the output is "
    "{output}."
)
_EVENT_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units read embeddings of events and predict the next of {tokens} events."
)
_LOOKED_AT = "The first {steps} {unit}s of {count} of {all} pieces are looked at. Each is read from a state of zeros."
_INPUTS = "Attributions are to the notes of a frame together. A frame that is taken away becomes the mean frame."
_EVENT_INPUTS = (
    "An event is not a number. Gradients and attributions are with respect to its embedding. An event that is taken "
    "away becomes the mean embedding of what was read."
)
_PLOTTED = "Piece {row} is {name}. After it comes {following}."


def view(fitted: FittedMusic, source: str, pieces: Sequence[Piece], row: int, name: str) -> View:
    """What `inspect` shows of a model of music; see `MusicModel.view`."""
    if not 1 <= row <= len(pieces):
        raise ParameterError("row", f"1 to {len(pieces)}, one of the pieces of {source}", row)
    if (model := events_of(fitted)) is not None:
        return _view_of_events(model, source, pieces, row, name)
    return _view_of_frames(frames_of(fitted), source, pieces, row, name)


def _chosen(lengths: Sequence[int], row: int, source: str, unit: str) -> tuple[list[int], int]:
    """The indices of the pieces that are looked at, that of the row first, and how many steps of each."""
    steps = min(_STEPS, lengths[row - 1] - 1)
    if steps < 2:
        raise DataError(f"{source}: piece {row} has {steps + 1} {unit}s, expected at least 3 to look at.")
    others = [index for index, length in enumerate(lengths) if index != row - 1 and length > steps]
    spread = np.unique(np.linspace(0, len(others) - 1, min(_MOST - 1, len(others))).round().astype(int))
    return [row - 1, *(others[k] for k in spread.tolist())], steps


def _view_of_frames(fitted: FittedFrames, source: str, pieces: Sequence[Piece], row: int, name: str) -> View:
    chosen, steps = _chosen([piece.length for piece in pieces], row, source, "frame")
    rolls = torch.stack([torch.from_numpy(pieces[index].roll[: steps + 1]).float() for index in chosen])
    read, target = rolls[:, :-1].to(fitted.device), rolls[:, -1].to(fitted.device)
    distribution = fitted.network.distribution

    def log_probability(output: Any, target: Tensor = target) -> Tensor:
        return distribution.log_probability(output[0][:, -1], target)

    labels = [_names(frame) for frame in rolls[0]]
    facts = {
        "run": name,
        "data": source,
        "network": _NETWORK.format_map({**fitted.options, "blocks": blocks_of(fitted.options)}),
        "looked at": _LOOKED_AT.format(steps=steps, unit="frame", count=len(chosen), all=len(pieces)),
        "plotted": _PLOTTED.format(row=row, name=pieces[row - 1].name, following=labels[-1]),
        "inputs": _INPUTS,
    }
    words = _words(name, facts, labels, "frame", "the mean frame")
    return View(
        (read,),
        words,
        loss=lambda output: -log_probability(output).sum(),
        output=log_probability,
        reads="recurrent",
        alone=((read[:1],), lambda output: log_probability(output, target[:1])),
    )


def _view_of_events(fitted: FittedEvents, source: str, pieces: Sequence[Piece], row: int, name: str) -> View:
    vocabulary, network = fitted.learned.vocabulary, fitted.network
    # A piece is read after the end of the one before.
    begin = np.array([vocabulary.token("end")])
    encoded = [np.concatenate([begin, vocabulary.encode(vocabulary.fit(piece)).tokens]) for piece in pieces]
    chosen, steps = _chosen([len(tokens) for tokens in encoded], row, source, "event")
    tokens = torch.from_numpy(np.stack([encoded[index][: steps + 1] for index in chosen]))
    read, target = tokens[:, :-1].to(fitted.device), tokens[:, -1].to(fitted.device)

    def surprise(output: Any, target: Tensor = target) -> Tensor:
        return network.surprise(output[0][:, -1], target)

    labels = [vocabulary.name(token) for token in tokens[0].tolist()]
    facts = {
        "run": name,
        "data": source,
        "network": _EVENT_NETWORK.format_map(
            {**fitted.options, "blocks": blocks_of(fitted.options), "tokens": len(vocabulary)}
        ),
        "looked at": _LOOKED_AT.format(steps=steps, unit="event", count=len(chosen), all=len(pieces)),
        "plotted": _PLOTTED.format(row=row, name=pieces[row - 1].name, following=labels[-1]),
        "inputs": _EVENT_INPUTS,
    }
    return View(
        (read,),
        _words(name, facts, labels, "event", "the mean embedding"),
        loss=lambda output: surprise(output).sum(),
        output=lambda output: -surprise(output),
        reads="recurrent",
        alone=((read[:1],), lambda output: -surprise(output, target[:1])),
    )


def _words(name: str, facts: dict[str, str], labels: Sequence[str], step: str, mean: str) -> Words:
    """What the page says; the last of the labels is that of the step that follows."""
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a model of music",
        facts={key: value for key, value in facts.items() if value},
        loss=f"the surprise of the {step} that follows",
        output=f"log-probability of the {step} that follows",
        plotted=f"log-probability of {labels[-1]}, which follows",
        unit="nats",
        first_step=1,
        step=step,
        labels=labels[:-1],
        mean=mean,
    )


def _names(frame: Tensor) -> str:
    return " ".join(pitch_name(LOWEST + note) for note in frame.nonzero().flatten().tolist()) or "silence"
