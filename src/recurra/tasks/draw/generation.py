"""Drawings that a drawing model samples, completes, writes again from their codes or interpolates, as a result."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.lined_drawing import text_size
from recurra.data.drawings.read import read_drawing
from recurra.data.drawings.simplification import BOX, thinned
from recurra.data.drawings.stroke_batches import Strokes, code_noise, encode_strokes
from recurra.data.drawings.strokes import lines_of, strokes_of
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.models.handwriting_decoder import HandwritingDecoder
from recurra.models.stroke_autoencoder import StrokeAutoencoder, interpolated
from recurra.models.stroke_decoder import StrokeDecoder
from recurra.models.stroke_sampling import GROUP, sample_strokes
from recurra.task.results import Result, Table
from recurra.tasks.draw.learned import DrawingLearned, scaled
from recurra.tasks.draw.pictures import Grid, write_png, write_svg
from recurra.tasks.draw.training import FittedDrawing, decoder_of

__all__ = [
    "ENDINGS",
    "GeneratedDrawings",
    "Sharpness",
    "Start",
    "Wanted",
    "generate",
    "interpolate",
    "read_start",
    "reconstruct",
    "sample",
]

_log = logging.getLogger("recurra.draw")

ENDINGS = (".svg", ".png", ".csv")
_USUAL = (0.2, 1.5)  # longer sides of a start, as a fraction of a usual drawing's
_TEMPERATURE = 0.4
_LONGER = 3.0  # how many more points than usual a text may have


class Sharpness(NamedTuple):
    """How much likelier than in training likely drawings are.

    Attributes:
        temperature: see `PenMixture.at_temperature`.
        bias: used in its place, see `PenMixture.sharpened`; None: the temperature is used.
    """

    temperature: float
    bias: float | None = None


class Start(NamedTuple):
    """A drawing that was begun.

    Attributes:
        strokes: (N, 3), in the units of the training files.
        text: that it writes; "": none, or it is not known.
    """

    strokes: np.ndarray
    text: str = ""


class Wanted(NamedTuple):
    """A drawing to be sampled.

    Attributes:
        seed: of its random numbers.
        label: the index of its class.
        code: (Z,), of a network with codes.
        text: the index of each character (U,) int64, of a network that writes texts; all of a group have one length.
    """

    seed: tuple[int, ...]
    label: int
    code: Tensor | None = None
    text: np.ndarray | None = None


class GeneratedDrawings(Result):
    """Drawings, and how they are written.

    Args:
        strokes: of each (N, 3), in the units of the training files.
        labels: their classes.
        begun: how many points of each are those of the start.
        cut: how many drawings reached the limit of points.
        seconds: that the longest takes to draw itself in SVG; 0: it does not.
        columns: of the grid; 0: about as many as rows.
        caption: what is printed of them beside their number; empty: nothing.
    """

    def __init__(
        self,
        strokes: list[np.ndarray],
        labels: list[str],
        begun: int = 0,
        cut: int = 0,
        *,
        seconds: float = 0.0,
        columns: int = 0,
        caption: str = "",
    ) -> None:
        self.strokes, self.labels, self._begun, self._cut = strokes, labels, begun, cut
        self._seconds, self._columns, self._caption = seconds, columns, caption

    def text(self, color: bool = False) -> Iterator[str]:
        points = sum(map(len, self.strokes))
        yield f"{len(self.strokes):,} drawings, {points:,} points"
        yield f"; {self._cut:,} were cut at the largest number of points" if self._cut else ""
        yield f": {self._caption}\n" if self._caption else "\n"

    def write(self, path: str | Path) -> list[Path]:
        """Write a grid as SVG or PNG, or the points as CSV, by the ending of the file; see `Result.write`."""
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in ENDINGS:
            raise ParameterError("out", f"a file ending in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}", str(path))
        if self._seconds and ending != ".svg":
            raise ParameterError("seconds", "0 for a file that is not SVG, as only SVG is animated", self._seconds)
        prepare_folder(target.parent)
        grid = Grid(self.strokes, self._begun, self._columns)
        if ending == ".svg":
            write_svg(target, grid, self._seconds)
        elif ending == ".png":
            write_png(target, grid)
        else:
            write_text(target, self._table().csv())
        return [target]

    def default_path(self, folder: Path) -> Path:
        return folder / "generated.svg"

    def _table(self) -> Table:
        rows = [
            (drawing, stroke, x, y, label)
            for drawing, (one, label) in enumerate(zip(self.strokes, self.labels, strict=True), 1)
            for stroke, line in enumerate(lines_of(one), 1)
            for x, y in line.tolist()
        ]
        return Table(("drawing", "stroke", "x", "y", "label"), rows)


def generate(
    fitted: FittedDrawing,
    *,
    count: int,
    temperature: float | None,
    bias: float | None,
    label: str | None,
    text: str | None,
    start: Start | None,
    max_points: int | None,
    seconds: float,
    seed: int,
) -> GeneratedDrawings:
    """Sample drawings; see `DrawingModel.generation`.

    Raises:
        ParameterError: there is no such class, or the model has several and none is named; there is a text and the
            model writes none, or the reverse; there is a temperature and a bias.
        DataError: the text has a character that training did not have.
    """
    learned = fitted.learned
    index = _class_index(learned.labels, label)
    if temperature is not None and bias is not None:
        raise ParameterError("bias", "None with a temperature: each says alone how likely drawings are", bias)
    written = _text_to_write(learned, text, start)
    usual = 0 if written is None else math.ceil(_LONGER * len(written) / learned.pace)
    most = max_points or max(learned.longest, usual)
    begun = 0 if start is None else len(start.strokes)
    if begun >= most:
        raise ParameterError("max_points", f"more than the {begun} points of the start", most)
    size = fitted.options["latent_size"]
    seeds = [(seed, drawing) for drawing in range(count)]
    codes = code_noise(seeds, size) if size else [None] * count
    wanted = [Wanted(one, index, code, written) for one, code in zip(seeds, codes, strict=True)]
    sharpness = Sharpness(_TEMPERATURE if temperature is None else temperature, bias)
    strokes = sample(fitted, wanted, sharpness, most, None if start is None else start.strokes)
    cut = sum(len(one) >= most for one in strokes)
    return GeneratedDrawings(strokes, [learned.labels[index]] * count, begun, cut, seconds=seconds)


def sample(
    fitted: FittedDrawing,
    wanted: Sequence[Wanted],
    sharpness: Sharpness,
    max_points: int,
    start: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The strokes (N, 3) of drawings, in the units of the training files; each is the same whatever is beside it."""
    decoder = decoder_of(fitted.network.eval())
    scale = fitted.learned.scale
    strokes: list[np.ndarray] = []
    for first in range(0, len(wanted), GROUP):
        group = [*wanted[first : first + GROUP]]
        # Always as many rows: see `GROUP`.
        group += [group[-1]] * (GROUP - len(group))
        step, ending = _steps_of(decoder, group, fitted.device)
        strokes += sample_strokes(
            step,
            decoder.density,
            [one.seed for one in group],
            temperature=sharpness.temperature,
            bias=sharpness.bias,
            max_points=max_points,
            start=None if start is None else scaled(start, scale),
            ending=ending,
            device=fitted.device,
        )
    return [scaled(one, 1 / scale) for one in strokes[: len(wanted)]]


def _steps_of(
    decoder: StrokeDecoder | HandwritingDecoder, group: Sequence[Wanted], device: torch.device
) -> tuple[Callable[[Tensor, Any], tuple[Tensor, Any]], Callable[[Any], tuple[Tensor, Tensor]] | None]:
    """The decoder as `sample_strokes` calls it, for drawings of their classes, codes and texts; and when they end."""
    labels = torch.tensor([one.label for one in group], device=device)
    if isinstance(decoder, HandwritingDecoder):
        text = torch.from_numpy(np.stack([one.text for one in group if one.text is not None])).to(device)
        lengths = torch.full((len(group),), text.shape[1])

        def write(points: Tensor, state: Any) -> tuple[Tensor, Any]:
            read = torch.full((len(points),), points.shape[1])
            return decoder(Strokes(points, read, labels, text=text, text_lengths=lengths), state)

        return write, lambda state: decoder.ending(state, lengths.to(device))
    codes = [one.code for one in group if one.code is not None]
    latent = torch.stack(codes).to(device) if codes else None

    def step(points: Tensor, state: Any) -> tuple[Tensor, Any]:
        return decoder(Strokes(points, torch.full((len(points),), points.shape[1]), labels), state, latent)

    return step, None


def read_start(fitted: FittedDrawing, path: str | Path, text: str | None, size: float | None, epsilon: float) -> Start:
    """A drawing that was begun.

    Args:
        fitted: the model.
        path: of the file.
        text: that it writes; None: as the file says.
        size: the longer side of the start as a fraction of a usual drawing's, of handwriting its `text_size`; None: it
            is as in the file.
        epsilon: of the simplification, in 255ths of the longer side of a usual drawing; 0: none.

    Raises:
        DataError: the file cannot be used.
        ParameterError: the model writes texts, and that of the start is not known.
    """
    drawing, side = read_drawing(path), fitted.learned.side
    lines, written = drawing.lines, text or drawing.text
    if fitted.learned.characters and not written:
        raise ParameterError("start_text", "what the start writes, as its file does not say", text)
    longer = (
        text_size(lines, written) if fitted.learned.characters else float(np.ptp(np.concatenate(lines), axis=0).max())
    )
    if size is not None and longer > 0:
        lines = [line * (size * side / longer) for line in lines]
    elif not _USUAL[0] * side <= longer <= _USUAL[1] * side:
        _log.warning("%s: its longer side is %.4g, and that of a usual drawing of training %.4g. If the file has other "
                     "units, say how large the start is (start_size = 0.7 is seven tenths of a usual drawing).",
                     path, longer, side)  # fmt: skip
    return Start(strokes_of(thinned(lines, epsilon, side / BOX) if epsilon else lines), written)


def _text_to_write(learned: DrawingLearned, text: str | None, start: Start | None) -> np.ndarray | None:
    """The index of each character of the start and of the text; None: the model writes no texts."""
    if not learned.characters:
        other = next((name for name, value in (("text", text), ("start_text", start and start.text)) if value), None)
        if other is not None:
            expected = "None: this model was trained on drawings without texts, or without reading them"
            raise ParameterError(other, expected, text or (start and start.text))
        return None
    if not text:
        raise ParameterError("text", "what to write: this model was trained on handwriting with its text", text)
    return learned.encode_text((start.text if start else "") + text, "text")


def _class_index(labels: tuple[str, ...], label: str | None) -> int:
    if label is None and len(labels) == 1:
        return 0
    if label not in labels:
        raise ParameterError("label", f"one of {', '.join(labels)}", label)
    return labels.index(label)


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
