"""Music as events: how a language model of them is trained, what it writes, and how surprising notes are to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.music.event_lanes import EventLanes
from recurra.data.music.event_repetition import repeated_events
from recurra.data.music.events import KINDS, EventVocabulary
from recurra.data.music.pictures import PieceSurprise, write_page
from recurra.data.music.piece import Music, Piece
from recurra.data.music.pitches import pitch_name
from recurra.errors import ParameterError
from recurra.layers import initialize
from recurra.models import RecurrentLanguageModel
from recurra.models.baselines.conditional import conditional_surprise
from recurra.models.baselines.ngram import ORDER, ngram_surprise
from recurra.models.events import read_events
from recurra.task import Fitted, Objective
from recurra.task.architecture import trunk_of
from recurra.task.results import Table, TablePredictions
from recurra.tasks.music.learned import LAST_BAR, MusicLearned
from recurra.text_table import one_line, text_table
from recurra.training import Mean, Truncation, evaluate, processes

__all__ = [
    "MAIN",
    "FittedEvents",
    "NoteSurprises",
    "check_page",
    "event_averages",
    "event_surprises",
    "events_of",
    "make_event_network",
    "make_event_objective",
    "note_surprises",
]

FittedEvents = Fitted[MusicLearned, RecurrentLanguageModel]

MAIN = "nats/note"
_EMBEDDING = 128  # features of an event, at most
_FEW_NOTES = 100_000
_READ_TOGETHER = 32  # pieces, where nothing is trained
_MOST_COUNTED = 300_000  # events of the n-grams: a second or two
_SHOWN = 20


def events_of(fitted: "Fitted[MusicLearned, Any]") -> FittedEvents | None:
    """A model, if it is one of events."""
    return None if fitted.learned.events is None else fitted


def make_event_network(options: Mapping[str, Any], learned: MusicLearned) -> RecurrentLanguageModel:
    """The network, its weights sampled from torch's generator."""
    few = sum(len(piece.notes) for piece in learned.pieces) < _FEW_NOTES
    network = RecurrentLanguageModel(
        trunk_of(options["cell"], options["architecture"]),
        len(learned.vocabulary),
        min(options["hidden_size"], _EMBEDDING),
        options["hidden_size"],
        options["num_layers"],
        (0.5 if few else 0.3) if options["dropout"] is None else options["dropout"],
        options["input_dropout"],
        recurrent_dropout=options["recurrent_dropout"],
    )
    initialize(network, "orthogonal", forget_bias=1.0)
    return network


def make_event_objective(
    options: Mapping[str, Any], fitted: FittedEvents, pieces: Sequence[Piece], validation: Music | None
) -> Objective:
    """Batches of the events of pieces, loss and validation; see `Estimator.objective`."""
    vocabulary = fitted.learned.vocabulary
    lanes = EventLanes(
        vocabulary,
        _encoded(vocabulary, pieces),
        options["truncation_length"],
        options["batch_size"],
        transposition=options["transposition"],
        seed=options["seed"],
        device=fitted.device,
        partition=processes().partition,
    )
    validate, baselines = None, {}
    if validation is not None:
        held = _encoded(vocabulary, validation.part("validation"))
        validate = _validation(fitted, held)
        baselines = {
            name: float(np.concatenate(surprises).mean())
            for name, surprises in _baselines(fitted.learned, held).items()
        }
    return Objective(
        lanes,
        lambda features, target: fitted.network.loss(features, target),
        validate,
        Truncation(options["truncation_length"]),
        steps_per_epoch=lanes.steps_per_epoch,
        unit="nats an event",
        baselines=baselines,
    )


def event_surprises(fitted: FittedEvents, pieces: Sequence[Piece]) -> dict[str, list[np.ndarray]]:
    """The surprise of the events of each piece (N,) in nats, by the model and by the baselines."""
    encoded = _encoded(fitted.learned.vocabulary, pieces)
    read = _read(fitted, encoded)
    return {"model": [one.surprise for one in read], **_baselines(fitted.learned, encoded)}


def event_averages(surprises: Sequence[np.ndarray], notes: int) -> dict[str, float]:
    """The surprise of all events over the number of notes, and over the number of events."""
    every = np.concatenate(list(surprises))
    return {MAIN: float(every.sum() / max(notes, 1)), "nats/event": float(every.mean())}


def note_surprises(fitted: FittedEvents, pieces: Sequence[Piece]) -> list[PieceSurprise]:
    """How surprising notes are, each with all the events that lead to it, and frames, the sum of what begins there."""
    vocabulary = fitted.learned.vocabulary
    moved = [vocabulary.fit(piece) for piece in pieces]
    read = _read(fitted, [vocabulary.encode(piece).tokens for piece in moved])
    surprises = []
    for piece, own, one in zip(pieces, moved, read, strict=True):
        owner = vocabulary.encode(own).note
        summed = np.bincount(owner[owner >= 0], one.surprise[owner >= 0], len(own.notes))
        # Tracks may share a voice of the vocabulary: notes are matched by their voice and by where they begin.
        by_onset = dict(zip(_onsets(own, range(len(vocabulary.voices))), summed.tolist(), strict=True))
        notes = np.array([by_onset[onset] for onset in _onsets(piece, vocabulary.voices_for(piece))])
        frames = np.bincount(own.notes[:, 0], summed, piece.length)
        surprises.append(PieceSurprise(notes, frames, float(one.surprise.sum() / max(len(summed), 1)), "note"))
    return surprises


class NoteSurprises(TablePredictions[list[np.ndarray]]):
    """How surprising each note of some pieces is.

    Args:
        fitted: the model.
        pieces: that were read.
        path: of the file that was read. None: there was none, or a folder.
    """

    def __init__(self, fitted: FittedEvents, pieces: Sequence[Piece], path: Path | None = None) -> None:
        self._fitted, self.read_from = fitted, path
        self._pieces = [fitted.learned.vocabulary.fit(piece) for piece in pieces]

    @cached_property
    def _surprises(self) -> list[PieceSurprise]:
        return note_surprises(self._fitted, self._pieces)

    @property
    def values(self) -> list[np.ndarray]:
        """The surprise of each note in nats, (K,) for each piece."""
        return [one.notes for one in self._surprises]

    def text(self, color: bool = False) -> Iterator[str]:
        lines = [["piece", "notes", MAIN, "most surprising note"]]
        for piece, one in list(zip(self._pieces, self._surprises, strict=True))[:_SHOWN]:
            most = ""
            if len(one.notes):
                index = int(one.notes.argmax())
                start, _, pitch = piece.notes[index].tolist()
                most = f"{pitch_name(pitch)}, bar {start // piece.grid.steps_per_bar + 1} ({one.notes[index]:.1f})"
            lines.append([one_line(piece.name), f"{len(one.notes):,}", f"{one.mean:.3f}", most])
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
        write_page(self._pieces[0], self._surprises[0], self._pieces[0].name, target)
        return [target]

    def table(self) -> Table:
        """One row for each note: where it is, what was expected instead of its pitch, and the surprise in nats."""
        vocabulary = self._fitted.learned.vocabulary
        encoded = [vocabulary.encode(piece) for piece in self._pieces]
        read = _read(self._fitted, [one.tokens for one in encoded])
        rows = []
        pitches = vocabulary.tokens_of["pitch"]
        for piece, events, likeliest, nats in zip(self._pieces, encoded, read, self._surprises, strict=True):
            sung = (events.tokens >= pitches.start) & (events.tokens < pitches.stop)
            expected = dict(zip(events.note[sung].tolist(), likeliest.expected[sung].tolist(), strict=True))
            grid, tracks = piece.grid, piece.tracks
            assert tracks is not None
            for index, (start, end, pitch) in enumerate(piece.notes.tolist()):
                bar, position = divmod(start, grid.steps_per_bar)
                program, which = vocabulary.voices[int(tracks.track[index])]
                rows.append((
                    piece.name, index + 1, bar + 1, 1 + position / grid.steps_per_beat, f"{program}.{which + 1}",
                    pitch_name(pitch), (end - start) / grid.steps_per_beat, int(tracks.velocity[index]),
                    vocabulary.name(expected[index]), float(nats.notes[index]),
                ))  # fmt: skip
        columns = ("piece", "note", "bar", "beat", "voice", "pitch", "beats", "velocity", "expected", "surprise")
        return Table(columns, rows)


def check_page(pieces: Sequence[Piece], path: str | Path) -> None:
    """Refuse a page of several pieces. Raises ParameterError."""
    if Path(path).suffix.lower() == ".html" and len(pieces) > 1:
        expected = f"a file ending in .csv for {len(pieces):,} pieces: a page shows one"
        raise ParameterError("out", expected, str(path))


def _onsets(piece: Piece, voices: Sequence[int]) -> list[tuple[int, int, int]]:
    """The start, pitch and voice of each note, by the voices of its tracks."""
    track = [0] * len(piece.notes) if piece.tracks is None else piece.tracks.track.tolist()
    return [(start, pitch, voices[of]) for (start, _, pitch), of in zip(piece.notes.tolist(), track, strict=True)]


def _encoded(vocabulary: EventVocabulary, pieces: Sequence[Piece]) -> list[np.ndarray]:
    return [vocabulary.encode(vocabulary.fit(piece)).tokens for piece in pieces]


def _read(fitted: FittedEvents, encoded: Sequence[np.ndarray]) -> list[Any]:
    vocabulary = fitted.learned.vocabulary
    kinds = [vocabulary.tokens_of[kind] for kind in KINDS]
    return read_events(fitted.network, encoded, vocabulary.token("end"), kinds)


def _baselines(learned: MusicLearned, encoded: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The surprise of events by counting: how often each is, by that of the last bar in its place, by those before."""
    vocabulary = learned.vocabulary
    trained = _encoded(vocabulary, learned.pieces)
    counted = np.concatenate(trained)[-_MOST_COUNTED:]
    read = np.concatenate([[vocabulary.token("end")], *encoded])
    ends = np.cumsum([len(one) for one in encoded])[:-1]
    before, here = (np.concatenate([repeated_events(vocabulary, one) for one in these]) for these in (trained, encoded))
    surprises = {
        "event frequencies": ngram_surprise(counted, read, len(vocabulary), 1),
        LAST_BAR: conditional_surprise(counted, before[-_MOST_COUNTED:], read[1:], here, len(vocabulary)),
        f"{ORDER}-gram, Kneser-Ney": ngram_surprise(counted, read, len(vocabulary), ORDER),
    }
    return {name: np.split(one, ends) for name, one in surprises.items()}


def _validation(fitted: FittedEvents, encoded: Sequence[np.ndarray]) -> Callable[[Any], Mean]:
    """The validation loss of a network, over all events alike."""
    lanes = EventLanes(
        fitted.learned.vocabulary,
        encoded,
        fitted.options["truncation_length"],
        min(_READ_TOGETHER, len(encoded)),
        shuffle=False,
        device=fitted.device,
    )

    def validate(network: Any) -> Mean:
        batches = (lanes(step + 1) for step in range(lanes.steps_per_epoch))
        return evaluate(network, network.loss, batches, carry=True)

    return validate
