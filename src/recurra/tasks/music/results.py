"""What a model of music says of pieces, and how it does beside simple baselines."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from recurra.data.music.options import MusicSampling
from recurra.data.music.pictures import write_page
from recurra.data.music.piece import Piece
from recurra.data.music.pitches import LOWEST, pitch_name
from recurra.data.music.read import duplicates
from recurra.data.music.statistics import LONGEST_LAG, Character, character, most_copied, overlap, similarity_error
from recurra.models.frames import ReadFrames, read_frames
from recurra.task import Evaluation
from recurra.task.results import Table, TablePredictions
from recurra.tasks.music.events import MAIN, check_page, event_averages, event_surprises, events_of
from recurra.tasks.music.generation import continue_piece, frame_surprise
from recurra.tasks.music.training import FittedFrames, FittedMusic, frames_of
from recurra.text_table import one_line, text_table

__all__ = ["Surprises", "evaluate", "frame_averages"]

_SHOWN = 20
_MAIN = "nats/frame"
_LONGEST = 256  # frames of a sampled piece
_THESE = "these pieces"
_COPIED = 0.9  # of the notes of a sampled piece


class Surprises(TablePredictions[list[np.ndarray]]):
    """How surprising each frame of some pieces is.

    Args:
        fitted: the model.
        pieces: that were read.
        path: of the file that was read. None: there was none, or a folder.
    """

    def __init__(self, fitted: FittedFrames, pieces: Sequence[Piece], path: Path | None = None) -> None:
        self._network, self._pieces, self.read_from = fitted.network, pieces, path

    @cached_property
    def read(self) -> list[ReadFrames]:
        """What the model says of each piece."""
        return read_frames(self._network, [piece.roll for piece in self._pieces])

    @property
    def values(self) -> list[np.ndarray]:
        """The surprise of each frame in nats, (T,) for each piece."""
        return [one.surprise.sum(1) for one in self.read]

    def text(self, color: bool = False) -> Iterator[str]:
        lines = [["piece", "frames", "nats/frame", "most surprising frame"]]
        for piece, nats in list(zip(self._pieces, self.values, strict=True))[:_SHOWN]:
            most = int(nats.argmax())
            lines.append(
                [one_line(piece.name), f"{len(nats):,}", f"{nats.mean():.3f}", f"{most + 1} ({nats[most]:.1f})"]
            )
        yield text_table(lines) + "\n"
        if len(self._pieces) > _SHOWN:
            yield f"... and {len(self._pieces) - _SHOWN:,} more\n"

    def check_path(self, path: str | Path) -> None:
        check_page(self._pieces, path)

    def write(self, path: str | Path) -> list[Path]:
        """Write the table as CSV or, if the name ends in .html, a page that plays the piece; see `Result.write`.

        Raises:
            ParameterError: a page is asked for, and there are several pieces.
        """
        target = Path(path)
        if target.suffix.lower() != ".html":
            return super().write(path)
        self.check_path(path)
        write_page(self._pieces[0], frame_surprise(self._pieces[0], self.read[0]), self._pieces[0].name, target)
        return [target]

    def table(self) -> Table:
        """One row for each frame: what sounds, what was expected, and the surprise in nats."""
        rows = []
        for piece, one in zip(self._pieces, self.read, strict=True):
            roll = piece.roll
            for frame, (notes, expected, nats) in enumerate(zip(roll, one.expected, one.surprise, strict=True), 1):
                rows.append((piece.name, frame, _names(notes), _names(expected), float(nats.sum())))
        return Table(("piece", "frame", "notes", "expected", "surprise"), rows)


def frame_averages(surprises: Sequence[np.ndarray]) -> dict[str, float]:
    """Averages of the surprise of frames, (T,) in nats for each piece, over pieces, in the ways that papers average.

    Returns:
        "nats/frame": all frames but the first of each piece, each counting alike (Bai et al. 2018); "with first": all
        frames alike; "by piece": the mean over pieces of the mean over all frames of each.
    """
    rest = np.concatenate([one[1:] for one in surprises])
    return {
        _MAIN: float(rest.mean()) if len(rest) else 0.0,
        "with first": float(np.concatenate(list(surprises)).mean()),
        "by piece": float(np.mean([one.mean() for one in surprises])),
    }


def evaluate(fitted: FittedMusic, source: str, pieces: Sequence[Piece], samples: int) -> Evaluation:
    """Predict each frame or event of pieces, and compare sampled pieces with them; see `MusicModel.evaluate`."""
    methods, main = _scores(fitted, pieces)
    warnings = _warnings(pieces, fitted.learned.pieces)
    tables, notes = {}, []
    if samples:
        tables, notes = _compare(fitted, pieces, samples)
    frames, count = sum(piece.length for piece in pieces), sum(len(piece.notes) for piece in pieces)
    return Evaluation(
        f"{source}: {len(pieces):,} pieces, {frames:,} frames, {count:,} notes",
        methods,
        main,
        formats=dict.fromkeys(methods["model"], ".4f"),
        losses=frozenset(methods["model"]),
        tables=tables,
        notes=notes,
        warnings=warnings,
        facts={"pieces": len(pieces), "frames": frames, "notes": count},
    )


def _scores(fitted: FittedMusic, pieces: Sequence[Piece]) -> tuple[dict[str, dict[str, float]], str]:
    """The averages of the model and of the baselines, and which of them counts."""
    if (model := events_of(fitted)) is not None:
        vocabulary = model.learned.vocabulary
        notes = sum(len(vocabulary.fit(piece).notes) for piece in pieces)
        return {name: event_averages(by_name, notes) for name, by_name in event_surprises(model, pieces).items()}, MAIN
    read = read_frames(frames_of(fitted).network, [piece.roll for piece in pieces])
    by_name = {"model": [one.surprise.sum(1) for one in read], **fitted.learned.surprise_of_baselines(pieces)}
    return {name: frame_averages(surprises) for name, surprises in by_name.items()}, _MAIN


def _warnings(pieces: Sequence[Piece], training: Sequence[Piece]) -> list[str]:
    seen = {piece.shape for piece in training}
    known = [piece.name for piece in pieces if piece.shape in seen]
    warnings = []
    if known:
        named = ", ".join(map(one_line, known[:3])) + (", ..." if len(known) > 3 else "")
        warnings.append(f"{len(known):,} of these pieces are also in the training data, which flatters: {named}")
    if groups := duplicates(pieces):
        first = " = ".join(one_line(pieces[index].name) for index in groups[0])
        warnings.append(f"{sum(map(len, groups)) - len(groups):,} of these pieces repeat others, such as {first}")
    return warnings


def _compare(fitted: FittedMusic, pieces: Sequence[Piece], samples: int) -> tuple[dict[str, Table], list[str]]:
    """The character of the pieces, of sampled ones and of training's, and what is copied."""
    learned = fitted.learned
    length = min(int(np.median([piece.length for piece in pieces])), _LONGEST)
    sampled = [one.piece for one in continue_piece(fitted, None, length, range(samples), MusicSampling())]
    # The same number of real pieces, of the same length: a longer one has a shorter common subsequence.
    chosen = np.unique(np.linspace(0, len(pieces) - 1, min(samples, len(pieces))).round().astype(int))
    real = [pieces[k].beginning(length) for k in chosen.tolist()]
    copied = [most_copied(piece, learned.pieces) for piece in sampled]
    copied_real = [most_copied(piece, learned.pieces)[0] for piece in real]
    reference = character(pieces)
    characters = {_THESE: reference, "sampled": character(sampled), "training": character(learned.pieces)}
    copies = (float(np.mean(copied_real)), float(np.mean([one for one, _ in copied])), 1.0)
    columns = (
        "music", "density", "duration", "outside key", "pitch classes", "intervals", "repetition", "similarity error",
        "copied",
    )  # fmt: skip
    rows = [
        (name, *_figures(one, reference), copy) for (name, one), copy in zip(characters.items(), copies, strict=True)
    ]
    shown = [["", *columns[1:]], *([row[0], *(f"{value:.3f}" for value in row[1:])] for row in rows)]
    notes = [
        "density: notes a frame; duration: beats a note; outside key: fraction of sounding notes; pitch classes, "
        "intervals: overlap with these pieces; repetition: how similar a bar is to those up to "
        f"{LONGEST_LAG} before it, from 0 to 1, on average, and similarity error: how far that differs from these "
        "pieces, by distance; copied: largest fraction of a piece's notes that are, in order, in one "
        "training piece."
    ]
    most, name = max(copied)
    if most >= _COPIED:
        notes.append(f"A sampled piece copies: {100 * most:.0f} % of its notes are, in order, in {one_line(name)}.")
    return {"character": Table(columns, rows, text_table(shown)), **_histograms(characters)}, notes


def _histograms(characters: dict[str, Character]) -> dict[str, Table]:
    """What the overlaps and the repetition are computed from, a column for each kind of music."""
    shown = {
        "pitch_classes": ("pitch class", [pitch_name(one)[:-2] for one in range(12)], "pitch_classes"),
        "intervals": ("semitones", range(-12, 13), "intervals"),
        "repetition": ("bars apart", range(1, LONGEST_LAG + 1), "similarity"),
    }
    return {
        file: Table(
            (label, *characters),
            [
                (own, *row)
                for own, row in zip(
                    names, np.stack([getattr(one, name) for one in characters.values()], 1).tolist(), strict=True
                )
            ],
        )
        for file, (label, names, name) in shown.items()
    }


def _figures(one: Character, reference: Character) -> tuple[float, ...]:
    return (
        one.density,
        one.duration,
        one.outside_key,
        overlap(one.pitch_classes, reference.pitch_classes),
        overlap(one.intervals, reference.intervals),
        float(np.nanmean(one.similarity)) if not np.isnan(one.similarity).all() else 0.0,
        similarity_error(one, reference),
    )


def _names(notes: np.ndarray) -> str:
    return " ".join(pitch_name(LOWEST + note) for note in np.flatnonzero(notes).tolist())
