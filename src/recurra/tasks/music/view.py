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
from recurra.tasks.music.training import FittedMusic

__all__ = ["view"]

_MOST = 32  # pieces
_STEPS = 64

_NETWORK = (
    "{num_layers} x {cell} of {hidden_size} units read frames of 88 notes and predict the next; the output is {output}."
)
_LOOKED_AT = "The first {steps} frames of {count} of {all} pieces are looked at. Each is read from a state of zeros."
_INPUTS = "Attributions are to the notes of a frame together. A frame that is taken away becomes the mean frame."
_PLOTTED = "Piece {row} is {name}. After it comes {following}."


def view(fitted: FittedMusic, source: str, pieces: Sequence[Piece], row: int, name: str) -> View:
    """What `inspect` shows of a model of music; see `MusicModel.view`."""
    if not 1 <= row <= len(pieces):
        raise ParameterError("row", f"1 to {len(pieces)}, one of the pieces of {source}", row)
    steps = min(_STEPS, pieces[row - 1].length - 1)
    if steps < 2:
        raise DataError(f"{source}: piece {row} has {steps + 1} frames, expected at least 3 to look at.")
    others = [index for index, piece in enumerate(pieces) if index != row - 1 and piece.length > steps]
    spread = np.unique(np.linspace(0, len(others) - 1, min(_MOST - 1, len(others))).round().astype(int))
    chosen = [row - 1, *(others[k] for k in spread.tolist())]
    rolls = torch.stack([torch.from_numpy(pieces[index].roll[: steps + 1]).float() for index in chosen])
    read, target = rolls[:, :-1].to(fitted.device), rolls[:, -1].to(fitted.device)
    distribution = fitted.network.distribution

    def log_probability(output: Any, target: Tensor = target) -> Tensor:
        return distribution.log_probability(output[0][:, -1], target)

    labels = [_names(frame) for frame in rolls[0]]
    options = fitted.options
    facts = {
        "run": name,
        "data": source,
        "network": _NETWORK.format_map(options),
        "looked at": _LOOKED_AT.format(steps=steps, count=len(chosen), all=len(pieces)),
        "plotted": _PLOTTED.format(row=row, name=pieces[row - 1].name, following=labels[-1]),
        "inputs": _INPUTS,
    }
    words = Words(
        title=f"Inspection of {name}" if name else "Inspection of a model of music",
        facts={key: value for key, value in facts.items() if value},
        loss="the surprise of the frame that follows",
        output="log-probability of the frame that follows",
        plotted=f"log-probability of {labels[-1]}, which follows",
        unit="nats",
        first_step=1,
        step="frame",
        labels=labels[:-1],
        mean="the mean frame",
    )
    return View(
        (read,),
        words,
        loss=lambda output: -log_probability(output).sum(),
        output=log_probability,
        reads="recurrent",
        alone=((read[:1],), lambda output: log_probability(output, target[:1])),
    )


def _names(frame: Tensor) -> str:
    return " ".join(pitch_name(LOWEST + note) for note in frame.nonzero().flatten().tolist()) or "silence"
