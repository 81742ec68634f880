"""Splices: recordings made of the words of others, so that training hears the same words in other orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound
from recurra.data.audio.timed_words import Word
from recurra.data.audio.utterances import Utterance
from recurra.shapes import check_positive

__all__ = ["CutRecording", "cut_at_pauses", "cut_by_words", "spliced"]

_LEVELS = np.arange(0.15, 0.7, 0.05)  # between the softest frames of a recording and the loudest
_AGREEING = 3  # levels at which as many words are heard as the text has
_PAUSE = 0.1  # seconds; the closure of a plosive within a word is shorter
_SHORTEST_WORD = 0.06  # seconds
_LONGEST_SPAN = 4  # words that stay together
_SMOOTHED = 0.02  # seconds of which the loudness is averaged


@dataclass(frozen=True)
class CutRecording:
    """A recording of which it is known where its words are.

    Attributes:
        words: of its text (n).
        parts: the samples of each word (n), which together are the recording.
        speaker: whose voice it is; recordings of equal speakers are spliced with each other.
    """

    words: tuple[str, ...]
    parts: tuple[np.ndarray, ...]
    speaker: str


def cut_at_pauses(utterance: Utterance, speaker: str, log_mel: LogMel) -> CutRecording | None:
    """Cut a recording between its words, or None if it is not plain where they are.

    It is plain if at several levels of loudness there are as many stretches of sound, with pauses of at least 0.1 s
    between them, as there are words. Words that are spoken without a pause are therefore not cut.

    Args:
        utterance: with its text.
        speaker: of the result.
        log_mel: how loudness is measured, and the sample rate.

    Raises:
        DataError: it cannot be read.
    """
    words = tuple((utterance.text or "").split())
    samples = utterance.read(log_mel.sample_rate).samples
    features = log_mel(samples)
    if not words or not len(features):
        return None
    level = np.convolve(features.mean(axis=1), np.ones(5) / 5, mode="same")
    softest, loudest = np.percentile(level, [5, 95])
    pause, word = round(_PAUSE / log_mel.frame_seconds), round(_SHORTEST_WORD / log_mel.frame_seconds)
    agreeing = []
    for fraction in _LEVELS:
        stretches = _stretches(level > softest + fraction * (loudest - softest), pause, word)
        if len(stretches) == len(words):
            agreeing.append(stretches)
    if len(agreeing) < _AGREEING:
        return None
    stretches = agreeing[len(agreeing) // 2]
    gaps = zip(stretches[:-1, 1], stretches[1:, 0], strict=True)
    cuts = [int((begin + level[begin:end].argmin()) * log_mel.shift) for begin, end in gaps]
    return CutRecording(words, tuple(np.split(samples, cuts)), speaker)


def cut_by_words(utterance: Utterance, speaker: str, words: Sequence[Word], sample_rate: int) -> CutRecording | None:
    """Cut a recording where it is softest between words that were aligned with it.

    Args:
        utterance: with its text.
        speaker: of the result.
        words: of its text, with their times.
        sample_rate: of the samples.

    Returns:
        The recording, or None if a word would be shorter than 0.06 s: it was not aligned well.

    Raises:
        DataError: it cannot be read.
    """
    samples = utterance.read(sample_rate).samples
    size = round(_SMOOTHED * sample_rate)
    energy = np.convolve(np.square(samples), np.ones(size) / size, mode="same")
    cuts = []
    for before, after in pairwise(words):
        begin, end = round(before.end * sample_rate), round(after.begin * sample_rate)
        begin = min(begin, len(samples) - 1)
        cuts.append(begin + int(energy[begin : max(end, begin + 1)].argmin()))
    edges = np.array([0, *cuts, len(samples)])
    if not words or np.diff(edges).min() < _SHORTEST_WORD * sample_rate:
        return None
    return CutRecording(tuple(word.text for word in words), tuple(np.split(samples, cuts)), speaker)


def spliced(recordings: Sequence[CutRecording], count: int, sample_rate: int, seed: int = 0) -> list[Utterance]:
    """New recordings, each of spans of one to four words from recordings of one speaker, in memory.

    The number of words of each is that of a recording, sampled. A span may come from any recording of the speaker.

    Args:
        recordings: one or more.
        count: of new recordings.
        sample_rate: of the samples.
        seed: of what is sampled.

    Raises:
        ParameterError: `count` is negative.
    """
    check_positive("count", count, at_least=0)
    generator = np.random.default_rng(seed)
    by_speaker: dict[str, list[CutRecording]] = {}
    for one in recordings:
        by_speaker.setdefault(one.speaker, []).append(one)

    def sampled(several: Sequence[CutRecording]) -> CutRecording:
        return several[int(generator.integers(len(several)))]

    made = []
    for index in range(count):
        speaker, length = sampled(recordings).speaker, len(sampled(recordings).words)
        words: list[str] = []
        parts: list[np.ndarray] = []
        while len(words) < length:
            one = sampled(by_speaker[speaker])
            size = int(generator.integers(1, min(_LONGEST_SPAN, len(one.words), length - len(words)) + 1))
            first = int(generator.integers(len(one.words) - size + 1))
            words += one.words[first : first + size]
            parts += one.parts[first : first + size]
        samples = np.concatenate(parts)
        made.append(
            Utterance(
                f"splice {index + 1}",
                Sound(samples, sample_rate),
                " ".join(words),
                duration=len(samples) / sample_rate,
                speaker=speaker,
            )
        )
    return made


def _stretches(loud: np.ndarray, pause: int, word: int) -> np.ndarray:
    """Begin and end (n, 2) of stretches of at least `word` loud frames, with fewer than `pause` others within them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return np.zeros((0, 2), int)
    apart = begins[1:] - ends[:-1] >= pause
    stretches = np.stack([begins[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]], axis=1)
    return stretches[stretches[:, 1] - stretches[:, 0] >= word]
