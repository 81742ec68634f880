"""Segments of labels beside the true ones: F1 at an overlap."""

from collections.abc import Sequence

import numpy as np

from recurra.detection.label_events import Segment

__all__ = ["segment_f1"]


def segment_f1(true: Sequence[Sequence[Segment]], predicted: Sequence[Sequence[Segment]], overlap: float) -> float:
    """F1 of segments over all recordings (Lea et al. 2017, section 4).

    A predicted segment is right if it overlaps a true one of its label, of the same recording, by at least `overlap`:
    the frames that both have, divided by those that either has. Of several that overlap one true segment only the first
    is right. It is 1 if there are no segments at all.

    Args:
        true: the segments of each recording.
        predicted: likewise.
        overlap: a fraction above 0.
    """
    right = 0
    for references, guesses in zip(true, predicted, strict=True):
        free = [True] * len(references)
        for guess in guesses:
            overlaps = [_overlap(guess, one) if one.label == guess.label else 0.0 for one in references]
            if overlaps and free[best := int(np.argmax(overlaps))] and overlaps[best] >= overlap:
                free[best] = False
                right += 1
    count = sum(map(len, true)) + sum(map(len, predicted))
    return 2 * right / count if count else 1.0


def _overlap(one: Segment, other: Segment) -> float:
    both = min(one.end, other.end) - max(one.start, other.start)
    return max(both, 0) / (max(one.end, other.end) - min(one.start, other.start))
