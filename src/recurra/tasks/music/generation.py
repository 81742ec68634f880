"""Music that a model generates: what follows an opening, or the voices around a melody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.music.midi import write_midi
from recurra.data.music.piece import Grid, Piece
from recurra.data.music.pitches import LOWEST, NOTES, key_classes
from recurra.data.music.sound_font import render
from recurra.data.music.synthesis import Tone, synthesize, write_wav
from recurra.files import prepare_folder
from recurra.models.frames import read_frames, sample_frames
from recurra.task import Result
from recurra.tasks.music.options import MusicSampling
from recurra.tasks.music.pictures import plot_roll, write_page
from recurra.tasks.music.training import FittedMusic

__all__ = ["GeneratedMusic", "GeneratedPiece", "accompany", "continue_piece"]


@dataclass(frozen=True)
class GeneratedPiece:
    """A piece that a model generated, perhaps around notes that were there before.

    Attributes:
        piece: all of it.
        original: which of its notes were there before, bool (K,).
    """

    piece: Piece
    original: np.ndarray


def continue_piece(
    fitted: FittedMusic, opening: Piece | None, length: int, seeds: Sequence[int], sampling: MusicSampling
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
    free = np.full((length, NOTES), -1)
    rolls = _sample(fitted, before.roll, free, seeds, sampling, 1)
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
        sampling: how notes are sampled.
    """
    sounding = melody.roll
    forced = np.where(sounding > 0, 1, -1)
    highest = np.where(sounding.any(1), NOTES - 1 - sounding[:, ::-1].argmax(1), NOTES)
    forced[np.arange(NOTES) > highest[:, None]] = 0
    rolls = _sample(fitted, np.zeros((0, NOTES)), forced, seeds, sampling, sampling.particles)
    # The melody's own notes are added below: a roll does not tell a repeated note from a held one.
    return [
        _joined(f"seed {seed}", melody.notes, roll * (1 - sounding), melody.grid)
        for seed, roll in zip(seeds, rolls, strict=True)
    ]


def _sample(
    fitted: FittedMusic,
    opening: np.ndarray,
    forced: np.ndarray,
    seeds: Sequence[int],
    sampling: MusicSampling,
    particles: int,
) -> np.ndarray:
    shift = np.full(NOTES, np.log(sampling.density))
    if sampling.key is not None:
        shift[~key_classes(sampling.key)[(np.arange(NOTES) + LOWEST) % 12]] = -np.inf
    temperature = sampling.temperature
    return sample_frames(
        fitted.network, opening, forced, seeds, temperature=temperature, shift=shift, particles=particles
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
        self._surprises = [one.surprise for one in read_frames(fitted.network, [one.piece.roll for one in self.pieces])]

    def text(self, color: bool = False) -> Iterator[str]:
        for one, surprise in zip(self.pieces, self._surprises, strict=True):
            piece, grid = one.piece, one.piece.grid
            yield (
                f"{piece.name}: {piece.length / grid.steps_per_bar:g} bars, {len(piece.notes):,} notes, "
                f"{int((~one.original).sum()):,} of them generated, {piece.length * grid.seconds_per_step:.1f} s, "
                f"{surprise.sum(1).mean():.2f} nats a frame\n"
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
