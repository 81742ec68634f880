"""Forced alignment: where the words and the units of known texts are in their recordings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch

from recurra.data.audio import timed_words
from recurra.data.audio.timed_words import Segment, Word
from recurra.data.audio.utterances import Utterances
from recurra.errors import DataError
from recurra.models.decoding import TimedToken, forced_align
from recurra.models.decoding.ctc_alignment import least_frames
from recurra.task.results import Predictions
from recurra.tasks.speech.transcription import AnyFitted, Spelling, Transcriber

__all__ = ["Alignments", "align_rows"]


def align_rows(fitted: AnyFitted, utterances: Utterances) -> list[Segment]:
    """The words of each recording's text with their times, and their units; see `SpeechRecognizer.align`."""
    transcriber, alphabet = Transcriber(fitted), fitted.learned.alphabet
    labels, features = [], []
    for utterance, text in zip(utterances, utterances.texts, strict=True):
        try:
            ids = alphabet.encode(text)
        except DataError as error:
            raise DataError(f"{utterance.name}: {error}. Only texts in the units of training can be aligned.") from None
        labels.append(ids)
        features.append(transcriber.features(utterance))
        _check_length(fitted, utterance.name, len(features[-1]), ids)
    spelling = Spelling.of(fitted, calibrated=False)
    segments = [Segment(())] * len(features)
    for row, log_probs in transcriber.log_probs(features):
        aligned, _ = forced_align(torch.from_numpy(log_probs), torch.tensor(labels[row], dtype=torch.int64))
        words = spelling.segment(aligned).words
        if alphabet.units != "words":
            parts = (_units(spelling, group) for group in spelling.tokens.groups(aligned))
            words = tuple(replace(word, units=units) for word, units in zip(words, parts, strict=True))
        segments[row] = Segment(words)
    return segments


def _check_length(fitted: AnyFitted, name: str, frames: int, labels: list[int]) -> None:
    """Refuse a text that has more units than the recording has steps. Raises DataError."""
    factor, frame_seconds = fitted.options["subsampling"], fitted.learned.log_mel.frame_seconds
    steps, needed = -(-frames // factor), least_frames(labels)
    if steps < needed:
        raise DataError(
            f"{name}: too short for its text: {len(labels)} {fitted.learned.alphabet.units} need "
            f"{needed * factor * frame_seconds:.2f} s at {factor} frames a step, and the recording has "
            f"{frames * frame_seconds:.2f} s. Is it the text of another recording?"
        )


def _units(spelling: Spelling, group: Sequence[TimedToken]) -> tuple[Word, ...]:
    """The units of a word, each with its own times."""
    texts, seconds = spelling.tokens.texts, spelling.step_seconds
    return tuple(
        Word(texts[one.token], one.start * seconds, one.end * seconds, min(math.exp(one.log_prob), 1.0))
        for one in group
    )


class Alignments(Predictions[list[Segment]]):
    """Where known words are, one segment for each recording.

    Args:
        fitted: the recogniser.
        utterances: recordings with their texts.
        form: "json", "ctm" or "textgrid". None: that of the file's ending, else "json".
    """

    streams = True

    def __init__(self, fitted: AnyFitted, utterances: Utterances, form: str | None) -> None:
        self._fitted, self._utterances, self._form = fitted, utterances, form

    @property
    def values(self) -> list[Segment]:
        """The words of each recording with their times and units."""
        return self._segments

    @cached_property
    def _segments(self) -> list[Segment]:
        return align_rows(self._fitted, self._utterances)

    def text(self, color: bool = False) -> Iterator[str]:
        yield from self._texts(self._form)

    def _texts(self, form: str | None) -> Iterator[str]:
        for utterance, segment in zip(self._utterances, self.values, strict=True):
            if form == "textgrid":
                yield timed_words.text_grid(segment, utterance.seconds)
            else:
                written = timed_words.ctm if form == "ctm" else timed_words.json_lines
                yield written(utterance.id, [segment])

    def write(self, path: str | Path) -> list[Path]:
        """Write all alignments into one file; as TextGrid into a folder, a file for each of several recordings."""
        form = self._form or timed_words.form_of(path, ("ctm", "textgrid"))
        texts = list(self._texts(form))
        if form == "textgrid":
            names = [utterance.id for utterance in self._utterances]
            return timed_words.write_each(Path(path), list(zip(names, texts, strict=True)), "TextGrid")
        return timed_words.write_each(Path(path), [("", "".join(texts))], "")
