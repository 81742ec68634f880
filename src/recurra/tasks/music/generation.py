"""Music that a model generates: what follows an opening, or the voices around a melody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from recurra.data.music.live import LiveMusic, open_port
from recurra.data.music.midi import write_midi
from recurra.data.music.pictures import PieceSurprise, plot_roll, write_page
from recurra.data.music.piece import Grid, Piece, Tracks
from recurra.data.music.pitches import LOWEST, NOTES, key_classes
from recurra.data.music.sound_font import render
from recurra.data.music.synthesis import Tone, synthesize, write_wav
from recurra.errors import ParameterError
from recurra.files import prepare_folder
from recurra.models.events import Composer
from recurra.models.frames import ReadFrames, read_frames, sample_frames, search_frames, stream_frames
from recurra.task import Result
from recurra.tasks.music.events import FittedEvents, events_of, note_surprises
from recurra.tasks.music.options import MusicSampling
from recurra.tasks.music.training import FittedFrames, FittedMusic, frames_of

__all__ = [
    "EndlessMusic",
    "Gap",
    "GeneratedMusic",
    "GeneratedPiece",
    "accompany",
    "continue_piece",
    "frame_surprise",
    "infill",
    "note_surprise",
    "play",
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
        return replace(piece, notes=piece.notes[~gone], tracks=tracks)


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
    before = Piece("", np.zeros((0, 3), np.int64), 0, fitted.learned.grid) if opening is None else opening
    if (model := events_of(fitted)) is not None:
        if opening is None:
            programs = tuple(program for program, _ in model.learned.vocabulary.voices)
            nothing = np.zeros(0, np.int64)
            before = replace(before, tracks=Tracks(programs, nothing, nothing))
        free = _free(model, before.length + length, sampling)
        free[:, :, : before.length] = False
        return _composed(model, before, free, seeds, sampling, before.length, around=False)
    network = frames_of(fitted)
    free = np.full((length, NOTES), -1)
    rolls = _sample(network, before.roll, free, seeds, sampling, 1)
    rolls = np.concatenate([np.zeros((len(seeds), before.length, NOTES), np.uint8), rolls], axis=1)
    return [_joined(f"seed {seed}", before.notes, roll, before.grid) for seed, roll in zip(seeds, rolls, strict=True)]


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
        free = _free(model, melody.length, sampling) & ~above.T
        used = set(vocabulary.voices_for(melody))
        if len(used) < len(vocabulary.voices):
            free[list(used)] = False
        return _composed(model, melody, free, seeds, sampling, melody.length, around=True)
    forced = np.where(sounding > 0, 1, -1)
    forced[above] = 0
    rolls = _around(frames_of(fitted), np.zeros((0, NOTES)), forced, seeds, sampling)
    # The melody's own notes are added below: a roll does not tell a repeated note from a held one.
    return [_joined(name, melody.notes, roll * (1 - sounding), melody.grid) for name, roll in rolls]


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
        free = _free(model, piece.length, sampling)
        free[:, :, :start] = free[:, :, end:] = False
        if gap.voice is not None:
            free[np.arange(len(free)) != model.learned.vocabulary.voices_for(piece)[gap.voice - 1]] = False
        return _composed(model, rest, free, seeds, sampling, piece.length, around=True)
    forced = rest.roll.astype(np.int64)
    inside = (np.arange(piece.length) >= start) & (np.arange(piece.length) < end)
    forced[inside[:, None] & (forced == 0)] = -1
    rolls = _around(frames_of(fitted), rest.roll[:start], forced[start:], seeds, sampling)
    made = []
    for name, roll in rolls:
        whole = np.concatenate([np.zeros((start, NOTES), np.uint8), roll]) * (1 - rest.roll) * inside[:, None]
        made.append(_joined(name, rest.notes, whole, rest.grid))
    return made


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
    seeds: Sequence[int],
    sampling: MusicSampling,
    tempo_from: int,
    *,
    around: bool,
) -> list[GeneratedPiece]:
    """What a model of events writes where it is free to, perhaps around notes that come later."""
    composer = Composer(model.network, model.learned.vocabulary, before, free.shape[2], free, tempo_from)
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
    return [GeneratedPiece(one.piece, one.original) for one in made]


def _free(model: FittedEvents, length: int, sampling: MusicSampling) -> np.ndarray:
    """Where notes of a key may sound, bool (voices, 88, T)."""
    free = np.ones((len(model.learned.vocabulary.voices), NOTES, length), bool)
    free[:, ~_in_key(sampling)] = False
    return free


def _in_key(sampling: MusicSampling) -> np.ndarray:
    """Which notes may be sampled, bool (88,)."""
    if sampling.key is None:
        return np.ones(NOTES, bool)
    return key_classes(sampling.key)[(np.arange(NOTES) + LOWEST) % 12]


def _shift(sampling: MusicSampling) -> np.ndarray:
    """What is added to the log-odds of each note of a frame (88,)."""
    return np.where(_in_key(sampling), np.log(sampling.density), -np.inf)


def _around(
    fitted: FittedFrames, opening: np.ndarray, forced: np.ndarray, seeds: Sequence[int], sampling: MusicSampling
) -> list[tuple[str, np.ndarray]]:
    """Frames around notes that are set, sampled or searched, each with its name."""
    if sampling.beam_size:
        rolls, _ = search_frames(fitted.network, opening, forced, sampling.beam_size, _shift(sampling))
        return [(f"hypothesis {rank}", roll) for rank, roll in enumerate(rolls[: len(seeds)], 1)]
    rolls = _sample(fitted, opening, forced, seeds, sampling, sampling.particles)
    return [(f"seed {seed}", roll) for seed, roll in zip(seeds, rolls, strict=True)]


def play(
    fitted: FittedMusic, opening: Piece | None, length: int | None, seed: int, sampling: MusicSampling, port: str | None
) -> "EndlessMusic":
    """Music in time, which follows an opening that is not played itself.

    Args:
        fitted: the model.
        opening: what the model reads before. None: silence.
        length: frames. None: it never ends.
        seed: of the random generator.
        sampling: how notes are sampled.
        port: part of the name of the MIDI port that plays it. None: there is none.

    Raises:
        ParameterError: it is a model of events; or there is no such port.
        MissingExtraError: python-rtmidi is not installed.
    """
    if events_of(fitted) is not None:
        raise ParameterError("endless", "a model of frames: events are not sampled in time", "a model of events")
    output = None if port is None else open_port(port)
    roll = np.zeros((0, NOTES)) if opening is None else opening.roll
    frames = stream_frames(
        frames_of(fitted).network, roll, seed, temperature=sampling.temperature, shift=_shift(sampling)
    )
    grid = fitted.learned.grid if opening is None else opening.grid
    return EndlessMusic(LiveMusic(islice(frames, length), grid, None if output is None else output.send_message))


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
        shift=_shift(sampling),
        particles=particles,
    )


def _joined(name: str, notes: np.ndarray, roll: np.ndarray, grid: Grid) -> GeneratedPiece:
    """Notes that were there before, and those of a roll."""
    added = Piece.from_roll(name, roll, grid)
    every = np.concatenate([notes, added.notes])
    order = np.lexsort((every[:, 2], every[:, 0]))
    original = np.arange(len(every)) < len(notes)
    return GeneratedPiece(Piece(name, every[order], added.length, grid), original[order])


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
            piece, grid = one.piece, one.piece.grid
            yield (
                f"{piece.name}: {piece.length / grid.steps_per_bar:g} bars, {len(piece.notes):,} notes, "
                f"{int((~one.original).sum()):,} of them generated, {piece.seconds[-1]:.1f} s, "
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


class EndlessMusic(Result):
    """Music that is sampled while it sounds: the text is a line of JSON for each event, half a second before its time.

    Args:
        live: what plays it.

    Attributes:
        pieces: none, as the music has no end.
    """

    streams = True

    def __init__(self, live: LiveMusic) -> None:
        self.live = live
        self.pieces: list[GeneratedPiece] = []

    def text(self, color: bool = False) -> Iterator[str]:
        yield from self.live

    def remarks(self, color: bool = False) -> Iterator[str]:
        live = self.live
        late = f"; {live.late:,} frames came too late, as sampling takes longer than they last" if live.late else ""
        yield f"{live.frames_played:,} frames, {live.notes_played:,} notes{late}"

    def write(self, path: str | Path) -> list[Path]:
        """Refuse to: music without end has no file. Raises ParameterError."""
        raise ParameterError("out", "None with endless, which writes lines to standard output", str(path))
