"""Music that a model generates: what follows an opening, or the voices around a melody."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.music.midi import write_midi
from recurra.data.music.options import MusicSampling
from recurra.data.music.performance import Tracks
from recurra.data.music.pictures import PieceSurprise, plot_roll, write_page
from recurra.data.music.piece import Piece
from recurra.data.music.pitches import LOWEST, NOTES, key_classes
from recurra.data.music.sound_font import render
from recurra.data.music.synthesis import Tone, synthesize, write_wav
from recurra.errors import ParameterError
from recurra.files import prepare_folder
from recurra.models.events import Composer
from recurra.models.frames import ReadFrames, read_frames, sample_frames, search_frames
from recurra.task import Result
from recurra.tasks.music.events import FittedEvents, events_of, note_surprises
from recurra.tasks.music.training import FittedFrames, FittedMusic, frames_of
from recurra.text_table import number_of

__all__ = [
    "Gap",
    "GeneratedMusic",
    "GeneratedPiece",
    "accompany",
    "check_generation",
    "continue_piece",
    "frame_surprise",
    "free_notes",
    "infill",
    "log_odds_shift",
    "note_surprise",
    "opening_of",
]


@dataclass(frozen=True)
class GeneratedPiece:
    """A piece that a model generated, perhaps around notes that were there before.

    Attributes:
        piece: all of it.
        original: which of its notes were there before, bool (K,).
    """

    piece: Piece
    original: np.ndarray

    def after(self, before: Piece) -> "GeneratedPiece":
        """The same, with the notes that were there before as they were read: off the grid, by their instruments.

        Notes that a model of frames generates are played by the instrument of the piece, or by a piano if it has
        several.

        Args:
            before: the notes that were there before.
        """
        if before.as_read is None:
            return self
        written, as_read = self.piece, before.as_read
        tempi = tuple(one for one in written.tempi if one[0] >= before.length)
        later = replace(written, notes=written.notes[~self.original], tempi=tempi)
        if written.tracks is not None:
            later = replace(later, tracks=written.tracks.select(~self.original))
        added = later.performance.at(written.grid.steps_per_beat)  # as few ticks a beat as the grid needs
        if written.tracks is None:
            programs = as_read.tracks.programs
            programs = programs if len(programs) == 1 else (*programs, 0)
            track = np.full(len(added.notes), len(programs) - 1)
            added = replace(added, tracks=Tracks(programs, track, added.tracks.velocity))
        return replace(self, piece=replace(written, as_read=as_read.joined(added)))


@dataclass(frozen=True)
class Gap:
    """What of a piece is written anew.

    Attributes:
        voice: the track, from 1. None: all.
        bars: the first and the last bar, from 1. None: all.
    """

    voice: int | None = None
    bars: tuple[int, int] | None = None

    def check(self, piece: Piece) -> None:
        """Check that a piece has this voice and these bars. Raises ParameterError."""
        bars = -(-piece.length // piece.grid.steps_per_bar)
        if self.bars is not None and self.bars[1] > bars:
            raise ParameterError("infill_bars", f"bars from 1 to {bars}", f"{self.bars[0]}-{self.bars[1]}")
        voices = 1 if piece.tracks is None else len(piece.tracks.programs)
        if self.voice is not None and self.voice > voices:
            raise ParameterError("voice", f"1 to {voices}, one of the tracks of the piece", self.voice)

    def frames(self, piece: Piece) -> tuple[int, int]:
        """The first frame of a piece that is written anew, and the one before which that ends."""
        if self.bars is None:
            return 0, piece.length
        step = piece.grid.steps_per_bar
        return (self.bars[0] - 1) * step, min(self.bars[1] * step, piece.length)

    def without(self, piece: Piece) -> Piece:
        """A piece without the notes that are written anew: those of the voice that begin in the bars."""
        start, end = self.frames(piece)
        gone = (piece.notes[:, 0] >= start) & (piece.notes[:, 0] < end)
        if self.voice is not None and piece.tracks is not None:
            gone &= piece.tracks.track == self.voice - 1
        tracks = None if piece.tracks is None else piece.tracks.select(~gone)
        as_read = piece.as_read
        if as_read is not None:
            starts = as_read.frames(piece.grid.steps_per_beat)[:, 0]
            gone_as_read = (starts >= start) & (starts < end)
            if self.voice is not None and piece.tracks is not None:
                gone_as_read &= as_read.tracks.track == self.voice - 1
            as_read = as_read.select(~gone_as_read)
        return replace(piece, notes=piece.notes[~gone], tracks=tracks, as_read=as_read)


def continue_piece(
    fitted: FittedMusic,
    opening: Piece | None,
    length: int,
    seeds: Sequence[int],
    sampling: MusicSampling,
) -> list[GeneratedPiece]:
    """Pieces that begin with an opening, note for note.

    Args:
        fitted: the model.
        opening: what they begin with. None: silence.
        length: frames after the opening.
        seeds: one for each piece.
        sampling: how notes are sampled.
    """
    before = opening_of(fitted) if opening is None else opening
    if (model := events_of(fitted)) is not None:
        free = free_notes(model, sampling)
        return _composed(model, before, free, before.length + length, seeds, sampling, before.length, around=False)
    network = frames_of(fitted)
    free = np.full((length, NOTES), -1)
    rolls = _sample(network, before.roll, free, seeds, sampling, 1)
    rolls = np.concatenate([np.zeros((len(seeds), before.length, NOTES), np.uint8), rolls], axis=1)
    return [_joined(f"seed {seed}", before, roll) for seed, roll in zip(seeds, rolls, strict=True)]


def opening_of(fitted: FittedMusic) -> Piece:
    """What music without an opening begins with: nothing, on the usual grid, in all voices of a model of events."""
    nothing = Piece("", np.zeros((0, 3), np.int64), 0, fitted.learned.grid)
    if (model := events_of(fitted)) is None:
        return nothing
    programs = tuple(program for program, _ in model.learned.vocabulary.voices)
    return replace(nothing, tracks=Tracks(programs, np.zeros(0, np.int64), np.zeros(0, np.int64)))


def accompany(
    fitted: FittedMusic, melody: Piece, seeds: Sequence[int], sampling: MusicSampling
) -> list[GeneratedPiece]:
    """Pieces in which a melody is the highest voice, note for note, with what the model writes below it.

    Args:
        fitted: the model.
        melody: the notes that are there before. Where it rests any note may sound.
        seeds: one for each piece.
        sampling: how notes are sampled or searched.
    """
    sounding = melody.roll
    highest = np.where(sounding.any(1), NOTES - 1 - sounding[:, ::-1].argmax(1), NOTES)
    above = np.arange(NOTES) > highest[:, None]
    if (model := events_of(fitted)) is not None:
        vocabulary = model.learned.vocabulary
        free = free_notes(model, sampling)[:, :, None] & ~above.T
        used = set(vocabulary.voices_for(melody))
        if len(used) < len(vocabulary.voices):
            free[list(used)] = False
        return _composed(model, melody, free, melody.length, seeds, sampling, melody.length, around=True)
    forced = np.where(sounding > 0, 1, -1)
    forced[above] = 0
    rolls = _around(frames_of(fitted), np.zeros((0, NOTES)), forced, seeds, sampling)
    # The melody's own notes are added below: a roll does not tell a repeated note from a held one.
    return [_joined(name, melody, roll * (1 - sounding)) for name, roll in rolls]


def infill(
    fitted: FittedMusic, piece: Piece, gap: Gap, seeds: Sequence[int], sampling: MusicSampling
) -> list[GeneratedPiece]:
    """A piece whose gap is written anew. All its other notes stay as they are.

    Args:
        fitted: the model.
        piece: with the notes that are written anew, which are not looked at.
        gap: what is written anew, which the piece has; of a model of frames all voices.
        seeds: one for each piece.
        sampling: how notes are sampled or searched.
    """
    start, end = gap.frames(piece)
    rest = gap.without(piece)
    if (model := events_of(fitted)) is not None:
        free = np.repeat(free_notes(model, sampling)[:, :, None], piece.length, axis=2)
        free[:, :, :start] = free[:, :, end:] = False
        if gap.voice is not None:
            free[np.arange(len(free)) != model.learned.vocabulary.voices_for(piece)[gap.voice - 1]] = False
        return _composed(model, rest, free, piece.length, seeds, sampling, piece.length, around=True)
    forced = rest.roll.astype(np.int64)
    inside = (np.arange(piece.length) >= start) & (np.arange(piece.length) < end)
    forced[inside[:, None] & (forced == 0)] = -1
    rolls = _around(frames_of(fitted), rest.roll[:start], forced[start:], seeds, sampling)
    made = []
    for name, roll in rolls:
        whole = np.concatenate([np.zeros((start, NOTES), np.uint8), roll]) * (1 - rest.roll) * inside[:, None]
        made.append(_joined(name, rest, whole))
    return made


def check_generation(
    events: bool, count: int, sampling: MusicSampling, sources: Mapping[str, Any], gap: Mapping[str, Any]
) -> None:
    """Refuse arguments of `MusicModel.generation` that do not go together.

    Args:
        events: whether the model is one of events.
        count: pieces.
        sampling: how notes are sampled.
        sources: the values of melody, infill, primer and bars.
        gap: those of voice and infill_bars.

    Raises:
        ParameterError: a value does not go with another, or with the model.
    """
    around = next((name for name in ("melody", "infill") if sources[name] is not None), None)
    for name, value in sources.items():
        if around is not None and value is not None and name != around:
            raise ParameterError(name, f"None with {around}, which is as long as the piece", value)
    for name, value in gap.items():
        if value is not None and around != "infill":
            raise ParameterError(name, "None without infill, the piece that it is of", value)
    if around == "infill" and all(value is None for value in gap.values()):
        expected = "voice or infill_bars beside it, which say what is written anew"
        raise ParameterError("infill", expected, sources["infill"])
    if not events and gap["voice"] is not None:
        raise ParameterError("voice", "None for a model of frames, which does not tell voices apart", gap["voice"])
    usual = MusicSampling()
    for name in () if events else ("top_k", "top_p"):
        if (value := getattr(sampling, name)) != getattr(usual, name):
            expected = f"{getattr(usual, name)} for a model of frames, whose notes are sampled one by one"
            raise ParameterError(name, expected, value)
    if sampling.beam_size and around is None:
        raise ParameterError("beam_size", "0 without a melody or a piece to infill", sampling.beam_size)
    if sampling.beam_size and count > sampling.beam_size:
        raise ParameterError("count", f"at most beam_size, {sampling.beam_size}", count)


def note_surprise(fitted: FittedMusic, pieces: Sequence[Piece]) -> list[PieceSurprise]:
    """How surprising the notes of pieces are; those of a model of frames as the notes of the frames they begin in."""
    if (model := events_of(fitted)) is not None:
        return note_surprises(model, pieces)
    read = read_frames(frames_of(fitted).network, [piece.roll for piece in pieces])
    return [frame_surprise(piece, one) for piece, one in zip(pieces, read, strict=True)]


def frame_surprise(piece: Piece, read: ReadFrames) -> PieceSurprise:
    """How surprising the notes of a piece are, from what a model of frames says of it."""
    notes = read.surprise[piece.notes[:, 0], piece.notes[:, 2] - LOWEST]
    frames = read.surprise.sum(1)
    return PieceSurprise(notes, frames, float(frames.mean()) if len(frames) else 0.0)


def _composed(
    model: FittedEvents,
    before: Piece,
    free: np.ndarray,
    length: int,
    seeds: Sequence[int],
    sampling: MusicSampling,
    tempo_from: int,
    *,
    around: bool,
) -> list[GeneratedPiece]:
    """What a model of events writes where it is free to, perhaps around notes that come later."""
    composer = Composer(model.network, model.learned.vocabulary, before, length, free, tempo_from)
    if around and sampling.beam_size:
        made = composer.search(sampling.beam_size, sampling.density)[: len(seeds)]
    else:
        made = composer.sample(
            seeds,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            density=sampling.density,
            particles=sampling.particles if around else 1,
        )
    return [GeneratedPiece(one.piece, one.original).after(before) for one in made]


def free_notes(model: FittedEvents, sampling: MusicSampling) -> np.ndarray:
    """Which notes may be sampled in each voice, bool (voices, 88): those of a key."""
    return np.tile(_in_key(sampling), (len(model.learned.vocabulary.voices), 1))


def _in_key(sampling: MusicSampling) -> np.ndarray:
    """Which notes may be sampled, bool (88,)."""
    if sampling.key is None:
        return np.ones(NOTES, bool)
    return key_classes(sampling.key)[(np.arange(NOTES) + LOWEST) % 12]


def log_odds_shift(sampling: MusicSampling) -> np.ndarray:
    """What is added to the log-odds of each note of a frame (88,)."""
    return np.where(_in_key(sampling), np.log(sampling.density), -np.inf)


def _around(
    fitted: FittedFrames, opening: np.ndarray, forced: np.ndarray, seeds: Sequence[int], sampling: MusicSampling
) -> list[tuple[str, np.ndarray]]:
    """Frames around notes that are set, sampled or searched, each with its name."""
    if sampling.beam_size:
        rolls, _ = search_frames(fitted.network, opening, forced, sampling.beam_size, log_odds_shift(sampling))
        return [(f"hypothesis {rank}", roll) for rank, roll in enumerate(rolls[: len(seeds)], 1)]
    rolls = _sample(fitted, opening, forced, seeds, sampling, sampling.particles)
    return [(f"seed {seed}", roll) for seed, roll in zip(seeds, rolls, strict=True)]


def _sample(
    fitted: FittedFrames,
    opening: np.ndarray,
    forced: np.ndarray,
    seeds: Sequence[int],
    sampling: MusicSampling,
    particles: int,
) -> np.ndarray:
    return sample_frames(
        fitted.network,
        opening,
        forced,
        seeds,
        temperature=sampling.temperature,
        shift=log_odds_shift(sampling),
        particles=particles,
    )


def _joined(name: str, before: Piece, roll: np.ndarray) -> GeneratedPiece:
    """Notes that were there before, and those of a roll."""
    added = Piece.from_roll(name, roll, before.grid)
    every = np.concatenate([before.notes, added.notes])
    order = np.lexsort((every[:, 2], every[:, 0]))
    original = np.arange(len(every)) < len(before.notes)
    return GeneratedPiece(Piece(name, every[order], added.length, before.grid), original[order]).after(before)


class GeneratedMusic(Result):
    """Generated pieces, which are written as MIDI files, and perhaps as sound and as pictures.

    Args:
        fitted: the model.
        pieces: at least one.
        tone: of the sound.
        wav: the file of the sound. None: it is not written.
        picture: the PNG file of the piano roll. None: it is not written.
        page: the HTML file of a page that plays it. None: it is not written.
        sound_font: whose instruments play the sound. None: the synthesiser does.
    """

    def __init__(
        self,
        fitted: FittedMusic,
        pieces: Sequence[GeneratedPiece],
        tone: Tone = "plucked",
        wav: str | None = None,
        picture: str | None = None,
        page: str | None = None,
        sound_font: str | None = None,
    ) -> None:
        self.pieces, self._sound_font = list(pieces), sound_font
        self._wav, self._picture, self._page = wav, picture, page
        self._tone: Tone = tone
        self._surprises = note_surprise(fitted, [one.piece for one in self.pieces])

    def text(self, color: bool = False) -> Iterator[str]:
        for one, surprise in zip(self.pieces, self._surprises, strict=True):
            piece = one.piece
            bars = number_of(round(piece.length / piece.grid.steps_per_bar, 2), "bar")
            yield (
                f"{piece.name}: {bars}, {number_of(len(piece.notes), 'note')}, "
                f"{int((~one.original).sum()):,} of them generated, {piece.duration:.1f} s, "
                f"{surprise.mean:.2f} nats a {surprise.unit}\n"
            )

    def default_path(self, folder: Path) -> Path:
        return folder / "generated.mid"

    def write(self, path: str | Path) -> list[Path]:
        """Write a MIDI file, and the sound, the picture and the page if they have a path; see `Result.write`.

        Of several pieces each has its number in the name of its files.
        """
        written = []
        for number, one in enumerate(self.pieces, 1):
            target = self._numbered(path, number)
            prepare_folder(target.parent)
            write_midi(one.piece, target)
            written.append(target)
            if self._wav is not None:
                target = self._numbered(self._wav, number)
                prepare_folder(target.parent)
                write_wav(self._sound(one.piece), target)
                written.append(target)
            if self._picture is not None:
                target = self._numbered(self._picture, number)
                plot_roll(one.piece, one.original, one.piece.name, target)
                written.append(target)
            if self._page is not None:
                target = self._numbered(self._page, number)
                write_page(one.piece, self._surprises[number - 1], one.piece.name, target)
                written.append(target)
        return written

    def _sound(self, piece: Piece) -> np.ndarray:
        return synthesize(piece, self._tone) if self._sound_font is None else render(piece, self._sound_font)

    def _numbered(self, path: str | Path, number: int) -> Path:
        target = Path(path)
        return target if len(self.pieces) == 1 else target.with_stem(f"{target.stem}-{number}")
