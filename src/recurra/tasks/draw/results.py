"""Predictions and evaluations of a drawing model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from recurra.data.drawings.drawings import Drawings
from recurra.data.drawings.stroke_batches import ENDED, code_noise, encode_strokes
from recurra.errors import ParameterError
from recurra.models.handwriting_decoder import HandwritingDecoder
from recurra.models.stroke_decoder import point_surprise
from recurra.task import Evaluation
from recurra.task.results import Table, TablePredictions
from recurra.tasks.draw.pictures import draw_windows
from recurra.tasks.draw.training import BASELINE, FittedDrawing, decoder_of, parts_of
from recurra.text_table import text_table

__all__ = ["SurpriseOfDrawings", "evaluate", "predict", "surprise_of", "windows_of"]

MODEL = "model"
_ROWS = 64  # drawings at once
_SHOWN, _LONGEST_SHOWN = 3, 30  # texts in the picture of the window, and characters of each at most

_SCORES = ("nats/point", "offset", "pen", "L_R")
_COLUMNS = ("drawing", "label", "points", "offset_nats", "pen_nats", "end_nats", "kl_nats", "nats_per_point")
_WITH_CODES = (*_SCORES, "KL", "L_KL")


class SurpriseOfDrawings(TablePredictions[np.ndarray]):
    """How surprising each drawing is to the model.

    Args:
        drawings: those.
        nats: see `surprise_of`.
        path: the file; None: there was none.
    """

    def __init__(self, drawings: Drawings, nats: np.ndarray, path: Path | None) -> None:
        self._drawings, self._nats = drawings, nats
        self.read_from = path

    @property
    def values(self) -> np.ndarray:
        """Nats a point of each drawing (N,)."""
        return self._nats.sum(axis=1) / self._drawings.lengths

    def text(self, color: bool = False) -> Iterator[str]:
        values, rows = self.values, [["", "drawing", "nats/point"]]
        for name, row in (("least surprising", values.argmin()), ("most surprising", values.argmax())):
            rows.append([name, f"{row + 1:,}", f"{values[row]:.4f}"])
        yield f"{len(values):,} drawings of {self._drawings.source}, on average {values.mean():.4f} nats/point\n\n"
        yield f"{text_table(rows)}\n"

    def table(self) -> Table:
        """One row for each drawing."""
        labels, lengths = self._drawings.labels, self._drawings.lengths.tolist()
        columns = zip(labels, lengths, self._nats.tolist(), self.values.tolist(), strict=True)
        rows = [(k, label, points, *nats, mean) for k, (label, points, nats, mean) in enumerate(columns, 1)]
        return Table(_COLUMNS, rows)


def predict(fitted: FittedDrawing, drawings: Drawings, path: Path | None) -> SurpriseOfDrawings:
    """How surprising each drawing is."""
    return SurpriseOfDrawings(drawings, surprise_of(fitted, drawings)[MODEL], path)


def evaluate(fitted: FittedDrawing, drawings: Drawings, part: str) -> Evaluation:
    """How well drawings are predicted, point by point; see `DrawingModel.evaluate`."""
    learned = fitted.learned
    nats = surprise_of(fitted, drawings)
    points, longest = int(drawings.lengths.sum()), learned.longest
    latent_size = fitted.options["latent_size"]
    methods = {method: _scores(one, drawings, longest) for method, one in nats.items()}
    notes = [
        "nats/point is the sum of -log p of all drawings, their ends included, divided by the number of their points. "
        "Padding does not count.",
        "L_R is that of Ha and Eck (2018) as their program evaluates it: the end of a drawing is left out, and its sum "
        f"is divided by the {longest:,} points of training's longest drawing. Padding has no loss, but counts in the "
        "divisor.",
    ]
    if latent_size:
        divergence = float(nats[MODEL][:, 3].sum())
        methods[MODEL] |= {"KL": divergence / points, "L_KL": divergence / (len(drawings) * latent_size)}
        notes.append(
            "The model reads a drawing before it writes it again. Its nats/point contain the divergence of the codes "
            "(KL, in nats a point), and are a bound: -log p is not larger. L_KL is the divergence divided by the "
            f"{latent_size} numbers of a code, a mean over drawings, as published. Codes are sampled once, from seed 0."
        )
    tables = {}
    if len(learned.labels) > 1:
        tables["by_class"] = _by_class(nats[MODEL], drawings)
    shown = _readable(fitted, drawings)
    chosen = " (these chose the weights, which flatters a little)" if part == "validation" else ""
    of_part = f", {part}" if part else ""
    return Evaluation(
        f"{drawings.source}{of_part}: {len(drawings):,} drawings, {points:,} points{chosen}",
        methods,
        "nats/point",
        formats=dict.fromkeys(_WITH_CODES, ".4f"),
        losses=frozenset(_WITH_CODES),
        tables=tables,
        notes=notes,
        pictures={"window": lambda path: draw_windows(shown, path)} if shown else {},
        facts={"drawings": len(drawings), "points": points, "longest": longest, "scale": learned.scale},
    )


@torch.no_grad()
def surprise_of(fitted: FittedDrawing, drawings: Drawings) -> dict[str, np.ndarray]:
    """How surprising each drawing is by method, in nats.

    Returns:
        The surprise of its offsets, of the pen, and that it ended, and the divergence of its code (N, 4).
    """
    network, baseline = fitted.network.eval(), fitted.learned.baseline
    latent_size = fitted.options["latent_size"]
    strokes, classes, texts = fitted.learned.encode(drawings)
    nats = {method: np.zeros((len(drawings), 4)) for method in (MODEL, BASELINE)}
    order = np.argsort(-drawings.lengths, kind="stable")
    for rows in np.array_split(order, -(-len(order) // _ROWS)):
        written = None if texts is None else [texts[row] for row in rows]
        inputs, target = encode_strokes([strokes[row] for row in rows], [classes[row] for row in rows], written)
        ends = target.pen == ENDED
        if latent_size:
            inputs = inputs._replace(noise=code_noise([(0, 0, row) for row in rows.tolist()], latent_size))
        raw, posterior = parts_of(network(inputs.to(fitted.device))[0])
        if posterior is not None:
            nats[MODEL][rows, 3] = posterior.divergence().double().cpu().numpy()
        densities = {
            MODEL: decoder_of(network).density(raw.cpu()),
            BASELINE: baseline.density(inputs.points[..., 3].long()),
        }
        for method, density in densities.items():
            offset, pen = point_surprise(density, target)
            parts = (offset, pen.masked_fill(ends, 0.0), pen.masked_fill(~ends, 0.0))
            nats[method][rows, :3] = torch.stack([part.double().sum(1) for part in parts], dim=1).numpy()
    return nats


@torch.no_grad()
def windows_of(fitted: FittedDrawing, drawings: Drawings) -> list[np.ndarray]:
    """What the window reads of each text as each point is expected (N, U + 1); see `Windowed`.

    Raises:
        ParameterError: the model writes no texts.
    """
    network = fitted.network.eval()
    if not isinstance(network, HandwritingDecoder):
        expected = "above 0, and drawings with their texts, in training"
        raise ParameterError("window", expected, fitted.options["window"])
    windows = []
    encoded = fitted.learned.encode(drawings)
    for strokes, index, text in zip(encoded.strokes, encoded.classes, encoded.texts or (), strict=True):
        inputs, _ = encode_strokes([strokes], [index], [text])
        windows.append(network.read(inputs.to(fitted.device))[1][0, :-1].cpu().numpy())
    return windows


def _readable(fitted: FittedDrawing, drawings: Drawings) -> list[tuple[np.ndarray, str, np.ndarray]]:
    """Strokes, text and windows of the first texts that are short enough to be read in a picture."""
    if not fitted.learned.characters:
        return []
    rows = [row for row, text in enumerate(drawings.texts) if len(text) <= _LONGEST_SHOWN][:_SHOWN]
    chosen = drawings.take(rows)
    return list(zip(chosen.strokes, chosen.texts, windows_of(fitted, chosen), strict=True)) if rows else []


def _scores(nats: np.ndarray, drawings: Drawings, longest: int) -> dict[str, float]:
    points = drawings.lengths.sum()
    offset, pen, end, divergence = nats.sum(axis=0)
    published = (offset + pen) / (longest * len(drawings))
    values = ((offset + pen + end + divergence) / points, offset / points, (pen + end) / points, published)
    return dict(zip(_SCORES, map(float, values), strict=True))


def _by_class(nats: np.ndarray, drawings: Drawings) -> Table:
    columns, labels = ("label", "drawings", "points", "nats_per_point"), np.array(drawings.labels)
    rows = []
    for label in sorted(set(drawings.labels)):
        chosen = labels == label
        points = int(drawings.lengths[chosen].sum())
        rows.append((label, int(chosen.sum()), points, float(nats[chosen].sum() / points)))
    shown = [[columns[0], *columns[1:]]] + [[str(a), f"{b:,}", f"{c:,}", f"{d:.4f}"] for a, b, c, d in rows]
    return Table(columns, rows, text_table(shown))
