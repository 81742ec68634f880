"""Drawings written again from their codes, and drawings between two."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.stroke_batches import encode_strokes
from recurra.errors import ParameterError
from recurra.models.stroke_autoencoder import StrokeAutoencoder, interpolated
from recurra.tasks.draw.generation import GeneratedDrawings, Sharpness, Wanted, sample
from recurra.tasks.draw.training import FittedDrawing

__all__ = ["interpolate", "reconstruct"]


def reconstruct(
    fitted: FittedDrawing, drawings: Drawings, rows: Sequence[int], temperatures: Sequence[float], seed: int
) -> GeneratedDrawings:
    """Drawings, each followed by what is sampled from its code at each temperature; see `DrawingModel.reconstruct`."""
    codes = _codes(fitted, drawings, rows)
    classes = fitted.learned.classes_of(drawings)
    columns = []
    for temperature in temperatures:
        wanted = [Wanted((seed, k), classes[row - 1], codes[k]) for k, row in enumerate(rows)]
        columns.append(sample(fitted, wanted, Sharpness(temperature), fitted.learned.longest))
    strokes = [
        one for k, row in enumerate(rows) for one in (drawings.strokes[row - 1], *(column[k] for column in columns))
    ]
    labels = [drawings.labels[row - 1] for row in rows for _ in range(len(temperatures) + 1)]
    names = ["the drawing", *(f"at temperature {one:g}" for one in temperatures)]
    return GeneratedDrawings(strokes, labels, columns=len(names), caption=f"from left to right {', '.join(names)}")


def interpolate(
    fitted: FittedDrawing, drawings: Drawings, rows: Sequence[int], count: int, temperature: float, seed: int
) -> GeneratedDrawings:
    """Drawings of codes on the way from one to another; see `DrawingModel.interpolate`."""
    first, last = _codes(fitted, drawings, rows)
    index = fitted.learned.classes_of(drawings)[rows[0] - 1]
    # The same random numbers for all, so that drawings differ by their codes alone.
    wanted = [Wanted((seed, 0), index, interpolated(first, last, k / (count - 1))) for k in range(count)]
    strokes = sample(fitted, wanted, Sharpness(temperature), fitted.learned.longest)
    ends = [drawings.strokes[row - 1] for row in rows]
    labels = [drawings.labels[rows[0] - 1]] * (count + 2)
    caption = f"drawing {rows[0]}, {count} between it and drawing {rows[1]}, and that"
    return GeneratedDrawings([ends[0], *strokes, ends[1]], labels, columns=count + 2, caption=caption)


@torch.no_grad()
def _codes(fitted: FittedDrawing, drawings: Drawings, rows: Sequence[int]) -> list[Tensor]:
    """The mean codes (Z,) of drawings by their rows, from 1, each read alone."""
    network = fitted.network.eval()
    if not isinstance(network, StrokeAutoencoder):
        expected = "above 0 for a run with codes"
        raise ParameterError("latent_size", expected, 0, "Train with latent_size = 128, say.")
    wrong = next((row for row in rows if not 1 <= row <= len(drawings)), None)
    if wrong is not None or not rows:
        raise ParameterError("rows", f"1 to {len(drawings)}, the drawings of {drawings.source}", wrong)
    codes = []
    for row in rows:
        strokes, classes, _ = fitted.learned.encode(drawings.take([row - 1]))
        inputs, _ = encode_strokes(strokes, classes)
        codes.append(network.encode(inputs.to(fitted.device)).mean[0])
    return codes
