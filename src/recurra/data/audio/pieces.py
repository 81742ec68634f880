"""Pieces of recordings, cut at the pauses between their words: more of them, which begin and end with other words."""

from dataclasses import replace

import numpy as np

from recurra.data.audio.log_mel import LogMel
from recurra.data.audio.sound import Sound
from recurra.data.audio.utterances import Utterance, Utterances
from recurra.shapes import check_positive

__all__ = ["pauses_between", "with_pieces"]

_LEVELS = np.arange(0.15, 0.7, 0.05)  # between the softest frames of a recording and the loudest
_AGREEING = 3  # levels at which as many words are heard as the text has
_PAUSE = 0.1  # seconds; the closure of a plosive within a word is shorter
_WORD = 0.06  # seconds


def pauses_between(features: np.ndarray, words: int, frame_seconds: float = 0.01) -> list[int] | None:
    """The frames at which a recording can be cut between its words, or None if it is not plain where they are.

    It is plain if at several levels of loudness there are as many stretches of sound, with pauses of at least 0.1 s
    between them, as there are words. Words that are spoken without a pause are therefore not cut.

    Args:
        features: log-mel (T, F), not normalised.
        words: how many are spoken.
        frame_seconds: from one frame to the next.

    Returns:
        The softest frame of each pause, words - 1 of them.
    """
    if words < 2 or not len(features):
        return None
    level = np.convolve(features.mean(axis=1), np.ones(5) / 5, mode="same")
    softest, loudest = np.percentile(level, [5, 95])
    pause, word = round(_PAUSE / frame_seconds), round(_WORD / frame_seconds)
    agreeing = []
    for fraction in _LEVELS:
        stretches = _stretches(level > softest + fraction * (loudest - softest), pause, word)
        if len(stretches) == words:
            agreeing.append(stretches)
    if len(agreeing) < _AGREEING:
        return None
    stretches = agreeing[len(agreeing) // 2]
    gaps = zip(stretches[:-1, 1], stretches[1:, 0], strict=True)
    return [int(begin + level[begin:end].argmin()) for begin, end in gaps]


def with_pieces(utterances: Utterances, log_mel: LogMel, count: int, seed: int = 0) -> Utterances:
    """The utterances, and after them pieces of those that can be cut, with their texts.

    Args:
        utterances: with texts.
        log_mel: how loudness is measured.
        count: pieces of a recording at most, each of one or more consecutive words, but not of all.
        seed: of their choice.

    Raises:
        DataError: a recording cannot be read.
        ParameterError: `count` is negative.
    """
    check_positive("count", count, at_least=0)
    generator = np.random.default_rng(seed)
    made: list[Utterance] = []
    for utterance, text in zip(utterances, utterances.texts, strict=True):
        words = text.split()
        if not count or len(words) < 2:
            continue
        cuts = pauses_between(log_mel(utterance.read(log_mel.sample_rate).samples), len(words), log_mel.frame_seconds)
        if cuts is None:
            continue
        edges = [0.0, *(cut * log_mel.frame_seconds for cut in cuts), utterance.seconds]
        spans = [(a, b) for a in range(len(words)) for b in range(a + 1, len(words) + 1) if b - a < len(words)]
        for index in sorted(generator.permutation(len(spans))[:count]):
            first, behind = spans[index]
            piece = replace(utterance, id=f"{utterance.id}:{first + 1}-{behind}", text=" ".join(words[first:behind]))
            made.append(_cut(piece, edges[first], edges[behind]))
    return replace(utterances, items=(*utterances.items, *made))


def _cut(utterance: Utterance, begin: float, end: float) -> Utterance:
    if isinstance(utterance.audio, Sound):
        rate = utterance.audio.sample_rate
        samples = utterance.audio.samples[round(begin * rate) : round(end * rate)]
        return replace(utterance, audio=Sound(samples, rate), duration=len(samples) / rate)
    return replace(utterance, offset=(utterance.offset or 0.0) + begin, duration=end - begin)


def _stretches(loud: np.ndarray, pause: int, word: int) -> np.ndarray:
    """Begin and end (n, 2) of stretches of at least `word` loud frames, with fewer than `pause` others within them."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return np.zeros((0, 2), int)
    apart = begins[1:] - ends[:-1] >= pause
    stretches = np.stack([begins[np.concatenate([[True], apart])], ends[np.concatenate([apart, [True]])]], axis=1)
    return stretches[stretches[:, 1] - stretches[:, 0] >= word]
