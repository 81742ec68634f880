"""Checks of what every metric takes: labels, alarms and scores of one series."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.errors import ParameterError, ShapeError

__all__ = ["check_alarms", "check_both_labels", "check_flags", "check_scores", "check_values"]


def check_flags(name: str, flags: ArrayLike) -> NDArray[np.bool_]:
    """Flags of a series as a bool array (T,).

    Args:
        name: what the message calls them.
        flags: (T,), booleans or numbers that are all 0 or 1.

    Raises:
        ShapeError: the flags are not one-dimensional, or there are none.
        ParameterError: a flag is neither 0 nor 1.
    """
    array = np.asarray(flags)
    if array.ndim != 1 or not array.size:
        raise ShapeError(name, "shape (T,) with at least one step", array.shape, "Pass the flags of one series.")
    if array.dtype != np.bool_:
        other = array[(array != 0) & (array != 1)]
        if other.size:
            raise ParameterError(name, "a boolean, 0 or 1 at each step", other[0].item())
    return array.astype(np.bool_)


def check_alarms(labels: ArrayLike, alarms: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Labels and alarms of one series as bool arrays (T,).

    Raises:
        ShapeError: one of them is not one-dimensional, or their lengths differ.
        ParameterError: one of them has a value that is neither 0 nor 1.
    """
    true, raised = check_flags("labels", labels), check_flags("alarms", alarms)
    if len(true) != len(raised):
        raise ShapeError("alarms", f"shape (T,) = ({len(true)},), as the labels have", raised.shape)
    return true, raised


def check_values(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The scores of a series as a float64 array (T,). A score may be infinite, and is never NaN.

    Args:
        name: what the message calls them.
        values: (T,) float.

    Raises:
        ShapeError: the scores are not one-dimensional, or there are none.
        ParameterError: a score is NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ShapeError(name, "shape (T,) with at least one step", array.shape, "Pass the scores of one series.")
    missing = np.isnan(array)
    if missing.any():
        hint = "Leave out steps without a score, in the labels too."
        raise ParameterError(name, "a number at each step", f"NaN at step {int(missing.argmax())}", hint)
    return array


def check_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Labels as a bool array (T,), with an anomalous step, and scores as a float64 array (T,).

    Raises:
        ShapeError: one of them is not one-dimensional, or their lengths differ.
        ParameterError: a label is neither 0 nor 1, no label is 1, or a score is NaN.
    """
    true, values = check_flags("labels", labels), check_values("scores", scores)
    if len(true) != len(values):
        raise ShapeError("scores", f"shape (T,) = ({len(true)},), as the labels have", values.shape)
    if not true.any():
        raise ParameterError("labels", "at least one anomalous step", "none", "Score labelled series only.")
    return true, values


def check_both_labels(labels: NDArray[np.bool_]) -> None:
    """Refuse labels that are all anomalous: a rate of false alarms needs normal steps.

    Raises:
        ParameterError: no label is 0.
    """
    if labels.all():
        raise ParameterError("labels", "at least one normal step", "anomalous steps only", "Use the AUC-PR instead.")
