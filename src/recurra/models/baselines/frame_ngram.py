"""N-grams of whole frames: each set of notes is a symbol, and its probability follows from those before."""

from collections.abc import Sequence

import numpy as np

__all__ = ["ORDER", "frame_ngram_surprise"]

ORDER = 3


def frame_ngram_surprise(
    training: Sequence[np.ndarray], rolls: Sequence[np.ndarray], base: Sequence[np.ndarray], order: int = ORDER
) -> list[np.ndarray]:
    """The surprise, -log p in nats, of each frame of some rolls, (T,) each.

    Frames are counted with the smoothing of Witten and Bell (1991), in its interpolated form:

        p(f | h) = (c(h f) + d(h) p(f | h')) / (c(h) + d(h))

    c counts in training, d(h) is the number of different frames that followed h, and h' is h without its earliest
    frame. After the shortest history comes a distribution over all frames, so that a frame that was never seen has a
    probability too. Before the first frame of a piece there is silence.

    Args:
        training: the rolls (T, N) of 0 and 1 that are counted.
        rolls: those whose frames are predicted.
        base: the surprise (T,) of each of their frames by the distribution over all frames.
        order: n, the frames of the longest n-gram.
    """
    notes = rolls[0].shape[1]
    silence = np.zeros((order - 1, notes), np.uint8)
    padded = [np.concatenate([silence, roll > 0]) for roll in (*training, *rolls)]
    frames = _numbered(np.concatenate(padded))
    inside = np.concatenate([np.arange(len(one)) >= order - 1 for one in padded])
    counted = inside & (np.arange(len(frames)) < sum(map(len, padded[: len(training)])))
    predicted = inside & ~counted
    probability = np.exp(-np.concatenate(list(base)))
    history = np.zeros_like(frames)  # the ids of what lies before each frame, of which there is more and more
    for length in range(order):
        if length:
            history = _pairs(history, np.roll(frames, length))
        gram = _pairs(history, frames)
        times = np.bincount(gram[counted], minlength=gram.max() + 1)
        before = np.bincount(history[counted], minlength=history.max() + 1)
        _, first = np.unique(gram[counted], return_index=True)
        kinds = np.bincount(history[counted][first], minlength=len(before))
        total, different = before[history[predicted]], kinds[history[predicted]]
        smoothed = (times[gram[predicted]] + different * probability) / np.maximum(total + different, 1)
        probability = np.where(total > 0, smoothed, probability)
    return np.split(-np.log(probability), np.cumsum([len(roll) for roll in rolls])[:-1])


def _numbered(frames: np.ndarray) -> np.ndarray:
    """An id (M,) of each of the frames (M, N); equal ones have equal ids."""
    packed = np.packbits(frames.astype(bool), axis=1)
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)
    ids = np.zeros(len(frames), np.int64)
    for word in words.T:
        ids = _pairs(ids, np.unique(word, return_inverse=True)[1])
    return ids


def _pairs(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """An id of each pair of ids (M,)."""
    return np.unique(one * (other.max() + 1) + other, return_inverse=True)[1]
