"""What `inspect` shows of a drawing model."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.stroke_batches import NextPoints, Strokes, encode_strokes
from recurra.errors import DataError, ParameterError
from recurra.inspection import Words
from recurra.models.stroke_decoder import point_surprise
from recurra.task import View
from recurra.task.architecture import blocks_of
from recurra.tasks.draw.results import evaluate
from recurra.tasks.draw.training import FittedDrawing, decoder_of, parts_of

__all__ = ["view"]

_MOST = 16  # drawings

_NETWORK = (
    "{num_layers} x {blocks} of {hidden_size} units read the offset of each point and what the pen does after it, and "
    "give a mixture of {mixtures} normal densities of the next point."
)
_WINDOW = (
    " A window over the characters of the text is moved by the first layer and read by all. It carries gradients too, "
    "which are not among those of the recurrent layers."
)
_INPUTS = (
    "Gradients and attributions are with respect to the offset of a point and the state of the pen together. A point "
    "that is taken away becomes the mean of the points of these drawings."
)


def view(fitted: FittedDrawing, data: Drawings, row: int, name: str) -> View:
    """What `inspect` shows of a drawing model; see `DrawingModel.view`."""
    shown = data.take(_chosen(data, row))
    # All points but the last are read; the last is what the network is to expect.
    inputs, target = encode_strokes(*fitted.learned.encode(shown))
    inputs = inputs._replace(points=inputs.points[:, :-1], lengths=inputs.lengths - 1).to(fitted.device)
    last = inputs.lengths - 1
    rows = torch.arange(len(shown))
    expected = NextPoints(*(part[rows, last].to(fitted.device) for part in target))

    def log_density(output: tuple[Tensor, Any], here: slice = slice(None)) -> Tensor:
        raw = parts_of(output[0])[0]
        raw = raw[rows[here].to(raw.device) - rows[here][0], last[here]]
        density = decoder_of(fitted.network).density(raw)
        offset, pen = point_surprise(density, NextPoints(*(part[here] for part in expected)))
        return -(offset + pen)

    first = slice(0, 1)
    alone = Strokes(
        inputs.points[:1, : int(inputs.lengths[0])],
        inputs.lengths[:1],
        inputs.labels[:1],
        text=None if inputs.text is None else inputs.text[:1],
        text_lengths=None if inputs.text_lengths is None else inputs.text_lengths[:1],
    )
    reads = "decoder.recurrent" if fitted.options["latent_size"] else "recurrent"
    return View(
        (inputs,),
        _words(fitted, shown, data, row, name),
        loss=lambda output: -log_density(output).sum(),
        output=log_density,
        reads="first" if fitted.learned.characters else reads,
        layers=[reads] if fitted.options["latent_size"] else None,
        alone=((alone,), partial(log_density, here=first)),
        evaluate=lambda: evaluate(fitted, data, ""),
    )


def _chosen(data: Drawings, row: int) -> list[int]:
    """The drawing to show, then others that are not longer, spread over all; each has a point before its last."""
    if row > len(data):
        raise ParameterError("row", f"1 to {len(data)}, the drawings of {data.source}", row)
    length = int(data.lengths[row - 1])
    if length < 2:
        raise DataError(f"{data.source}, drawing {row}: it has one point, expected at least 2 to look at.")
    others = np.flatnonzero((data.lengths >= 2) & (data.lengths <= length) & (np.arange(len(data)) != row - 1))
    spread = np.unique(np.linspace(0, len(others) - 1, min(_MOST - 1, len(others))).round().astype(int))
    return [row - 1, *others[spread].tolist()]


def _words(fitted: FittedDrawing, shown: Drawings, data: Drawings, row: int, name: str) -> Words:
    label = f" of class {shown.labels[0]}" if len(fitted.learned.labels) > 1 else ""
    facts = {
        "run": name,
        "data": data.source,
        "network": _NETWORK.format(blocks=blocks_of(fitted.options), **fitted.options)
        + (_WINDOW if fitted.learned.characters else ""),
        "looked at": f"{len(shown):,} of {len(data):,} drawings are looked at, each up to the point before its last. "
        f"Drawing {row}{label}, of {int(shown.lengths[0]):,} points, is plotted.",
        "inputs": _INPUTS,
    }
    return Words(
        title=f"Inspection of {name}" if name else "Inspection of a drawing model",
        facts={key: value for key, value in facts.items() if value},
        loss="the surprise of the last point of each drawing",
        output="log density of the last point",
        unit="nats",
        step="point",
        mean="the mean point",
    )
