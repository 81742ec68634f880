"""Isolation over windows: how few random cuts part a window from the others (Liu, Ting and Zhou 2008)."""

import numpy as np
from numpy.typing import NDArray

from recurra.detection.subsequences import flat, spread, window_length, windows_of
from recurra.errors import MissingExtraError

__all__ = ["isolation_scores"]

_MOST_WINDOWS = 20_000  # that the forest is grown from, spread over all
_CHUNK = 4096


def isolation_scores(
    series: list[NDArray[np.float64]], length: int, seed: int, hindsight: bool = False
) -> list[NDArray[np.float64]]:
    """Scores (T,) of each series by a forest that is grown from the windows of these series themselves.

    It is scikit-learn's, with 100 trees of 256 windows. The step's score is that of the window that ends with it, or,
    in hindsight, the mean over all windows that hold it.

    Args:
        series: (T, C) each, standardised, without missing values.
        length: steps of a window at most; a shorter one is taken for short series and for many channels.
        seed: of the forest.
        hindsight: whether scores use windows that end later.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "anomaly", "isolation over windows") from error
    length = window_length(series, length)
    views = [windows_of(one, length) for one in series if len(one) >= length]
    every = max(1, -(-sum(map(len, views)) // _MOST_WINDOWS))
    forest = IsolationForest(random_state=seed).fit(np.concatenate([flat(view[::every]) for view in views]))
    scores = []
    for one in series:
        if len(one) < length:
            scores.append(np.zeros(len(one)))
            continue
        windows = windows_of(one, length)
        unusual = [-forest.score_samples(flat(windows[at : at + _CHUNK])) for at in range(0, len(windows), _CHUNK)]
        scores.append(spread(np.concatenate(unusual), length, hindsight))
    return scores
