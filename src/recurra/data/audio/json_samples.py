"""Samples of sound as JSON holds them: a list of numbers, or 16-bit samples in base64."""

import base64
import binascii
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["SAMPLES", "read_json_samples"]

SAMPLES = "a list of numbers from -1 to 1, or a text: 16-bit samples, little-endian, in base64"
_FULL_SCALE = 32768.0


def read_json_samples(value: Any, name: str = "item") -> np.ndarray:
    """The samples (N,) float32 of a value of JSON, with full scale at -1 and 1.

    Args:
        value: a list of numbers; or signed 16-bit samples in base64, which are a third as long.
        name: of the value, for messages.

    Raises:
        DataError: it is neither, holds no sample, or a number is not finite or far beyond full scale.
    """
    if isinstance(value, str):
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise DataError(f"{name}: expected {SAMPLES}; this text is not base64") from None
        if len(content) % 2:
            raise DataError(f"{name}: expected 2 bytes for each sample, got {len(content)} bytes")
        samples = (np.frombuffer(content, "<i2") / _FULL_SCALE).astype(np.float32)
    elif isinstance(value, list):
        if not all(type(one) in (int, float) for one in value):
            raise DataError(f"{name}: expected {SAMPLES}")
        try:
            exact = np.array(value, np.float64)
        except OverflowError:
            raise DataError(f"{name}: expected finite numbers") from None
        if not (np.abs(exact) <= _FULL_SCALE).all():
            raise DataError(f"{name}: expected finite numbers, with full scale at -1 and 1")
        samples = exact.astype(np.float32)
    else:
        raise DataError(f"{name}: expected {SAMPLES}")
    if not len(samples):
        raise DataError(f"{name}: expected at least one sample")
    return samples
