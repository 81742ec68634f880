"""Drawings that a drawing model samples, or completes, as a result."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.drawings.read import read_lines
from recurra.data.drawings.simplification import BOX, resample, simplify
from recurra.data.drawings.stroke_batches import Strokes, code_noise
from recurra.data.drawings.strokes import lines_of, strokes_of
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.models.stroke_decoder import StrokeDecoder
from recurra.models.stroke_sampling import GROUP, sample_strokes
from recurra.task.results import Result, Table
from recurra.tasks.draw.learned import scaled
from recurra.tasks.draw.pictures import Grid, write_png, write_svg
from recurra.tasks.draw.training import FittedDrawing, decoder_of

__all__ = ["ENDINGS", "GeneratedDrawings", "Wanted", "generate", "read_start", "sample"]

_log = logging.getLogger("recurra.draw")

ENDINGS = (".svg", ".png", ".csv")
_USUAL = (0.2, 1.5)  # longer sides of a start, as a fraction of a usual drawing's


class Wanted(NamedTuple):
    """A drawing to be sampled.

    Attributes:
        seed: of its random numbers.
        label: the index of its class.
        code: (Z,), of a network with codes.
    """

    seed: tuple[int, ...]
    label: int
    code: Tensor | None = None


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
    temperature: float,
    label: str | None,
    start: np.ndarray | None,
    max_points: int | None,
    seconds: float,
    seed: int,
) -> GeneratedDrawings:
    """Sample drawings; see `DrawingModel.generation`.

    Raises:
        ParameterError: there is no such class, or the model has several and none is named.
    """
    learned = fitted.learned
    index = _class_index(learned.labels, label)
    most = max_points or learned.longest
    begun = 0 if start is None else len(start)
    if begun >= most:
        raise ParameterError("max_points", f"more than the {begun} points of the start", most)
    size = fitted.options["latent_size"]
    seeds = [(seed, drawing) for drawing in range(count)]
    codes = code_noise(seeds, size) if size else [None] * count
    wanted = [Wanted(one, index, code) for one, code in zip(seeds, codes, strict=True)]
    strokes = sample(fitted, wanted, temperature, most, start)
    cut = sum(len(one) >= most for one in strokes)
    return GeneratedDrawings(strokes, [learned.labels[index]] * count, begun, cut, seconds=seconds)


def sample(
    fitted: FittedDrawing,
    wanted: Sequence[Wanted],
    temperature: float,
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
        strokes += sample_strokes(
            _steps_of(decoder, group, fitted.device),
            decoder.density,
            [one.seed for one in group],
            temperature=temperature,
            max_points=max_points,
            start=None if start is None else scaled(start, scale),
            device=fitted.device,
        )
    return [scaled(one, 1 / scale) for one in strokes[: len(wanted)]]


def _steps_of(
    decoder: StrokeDecoder, group: Sequence[Wanted], device: torch.device
) -> Callable[[Tensor, Any], tuple[Tensor, Any]]:
    """The decoder as `sample_strokes` calls it, for drawings of their classes and codes."""
    labels = torch.tensor([one.label for one in group], device=device)
    codes = [one.code for one in group if one.code is not None]
    latent = torch.stack(codes).to(device) if codes else None

    def step(points: Tensor, state: Any) -> tuple[Tensor, Any]:
        return decoder(Strokes(points, torch.full((len(points),), points.shape[1]), labels), state, latent)

    return step


def read_start(fitted: FittedDrawing, path: str | Path, size: float | None, epsilon: float) -> np.ndarray:
    """The strokes (N, 3) of a drawing that was begun, in the units of the training files.

    Args:
        fitted: the model.
        path: of the file.
        size: the longer side of the start as a fraction of a usual drawing's; None: it is as in the file.
        epsilon: of the simplification, in 255ths of the longer side of a usual drawing; 0: none.

    Raises:
        DataError: the file cannot be used.
    """
    lines, side = read_lines(path), fitted.learned.side
    longer = float(np.ptp(np.concatenate(lines), axis=0).max())
    if size is not None and longer > 0:
        lines = [line * (size * side / longer) for line in lines]
    elif not _USUAL[0] * side <= longer <= _USUAL[1] * side:
        _log.warning("%s: its longer side is %.4g, and that of a usual drawing of training %.4g. If the file has other "
                     "units, say how large the start is (start_size = 0.7 is seven tenths of a usual drawing).",
                     path, longer, side)  # fmt: skip
    unit = side / BOX
    if epsilon:
        lines = [simplify(resample(line, unit), epsilon * unit) for line in lines]
    return strokes_of(lines)


def _class_index(labels: tuple[str, ...], label: str | None) -> int:
    if label is None and len(labels) == 1:
        return 0
    if label not in labels:
        raise ParameterError("label", f"one of {', '.join(labels)}", label)
    return labels.index(label)
