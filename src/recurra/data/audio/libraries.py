"""The libraries of the extra `audio`, imported on first use."""

from importlib import import_module
from typing import Any

from recurra.errors import MissingExtraError

__all__ = ["kaldi_native_fbank", "soundfile", "soxr"]


def soundfile() -> Any:
    """The module that reads and writes recordings. Raises MissingExtraError."""
    return _imported("soundfile", "soundfile", "reading recordings")


def soxr() -> Any:
    """The module that resamples. Raises MissingExtraError."""
    return _imported("soxr", "soxr", "resampling recordings")


def kaldi_native_fbank() -> Any:
    """The module that computes log-mel features. Raises MissingExtraError."""
    return _imported("kaldi_native_fbank", "kaldi-native-fbank", "computing features of recordings")


def _imported(module: str, package: str, purpose: str) -> Any:
    try:
        return import_module(module)
    except (ImportError, OSError):  # soundfile raises OSError if its library of C is missing
        raise MissingExtraError(package, "audio", purpose) from None
