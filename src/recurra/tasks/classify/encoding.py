"""Texts and series as the network reads them."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.buckets import collate
from recurra.data.text.word_encoding import UNKNOWN, EncodedSentences, Tokens, WordEncoding
from recurra.data.text.words import word_pattern
from recurra.errors import DataError
from recurra.tasks.classify.evidence import Evidence, WordCounts

__all__ = ["EncodedSeries", "EncodedTexts", "Piece", "SeriesEncoding", "Steps", "TextEncoding", "cut"]

_log = logging.getLogger("recurra.classify")

_SPACES = re.compile(r"\S+")
_CHARACTERS = re.compile(r"\S")


class Piece(NamedTuple):
    """A token of a text.

    Attributes:
        text: the token.
        start: its first character in the text.
        end: the character after it.
    """

    text: str
    start: int
    end: int


def cut(text: str, split: Literal["words", "spaces", "characters"], most: int | None = None) -> list[Piece]:
    """The tokens of a text, the first `most` of them; none of a blank text.

    Words keep inner apostrophes and hyphens, numbers their points and commas; any other mark is a token by itself.
    """
    pattern = {"spaces": _SPACES, "characters": _CHARACTERS}.get(split) or word_pattern()
    pieces: list[Piece] = []
    for match in pattern.finditer(text):
        if most is not None and len(pieces) == most:
            break
        pieces.append(Piece(match[0], match.start(), match.end()))
    return pieces


@dataclass(frozen=True)
class Steps:
    """A batch of series.

    Attributes:
        values: (B, T, I).
        lengths: true lengths (B,), int64 on the CPU.
    """

    values: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> "Steps":
        """The same on a device; lengths stay on the CPU, where the layers read them."""
        return Steps(self.values.to(device), self.lengths)

    def varied(self, jitter: float, scaling: float, generator: np.random.Generator) -> "Steps":
        """The same with noise, as training sees it.

        Args:
            jitter: deviation of what is added to each value.
            scaling: deviation of the factor about 1 of each feature of a series.
            generator: the noise is sampled from.
        """
        batch, _, size = self.values.shape
        factors = 1 + scaling * generator.standard_normal((batch, 1, size), np.float32)
        noise = jitter * generator.standard_normal(self.values.shape, np.float32)
        return Steps(self.values * torch.from_numpy(factors) + torch.from_numpy(noise), self.lengths)


@dataclass(frozen=True)
class TextEncoding:
    """How texts become tokens, and tokens ids.

    Attributes:
        words: the vocabularies.
        split: see `Classifier`.
        max_length: tokens read of a text.
    """

    words: WordEncoding
    split: Literal["words", "spaces", "characters"]
    max_length: int

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text; the unknown word if it is blank, because a sequence has at least one step."""
        return [piece.text for piece in cut(text, self.split, self.max_length)] or [UNKNOWN]

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"words": self.words.to_json(), "split": self.split, "max_length": self.max_length}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TextEncoding":
        """The inverse of `to_json`."""
        return cls(WordEncoding.from_json(values["words"]), values["split"], values["max_length"])


@dataclass(frozen=True)
class SeriesEncoding:
    """How series become features of similar size.

    A missing value is read as 0, which is the mean if series are normalised. If training has missing values, the
    channels are followed by as many that mark them (1: missing).

    Attributes:
        channels: their names.
        normalization: see `Classifier`.
        mean: of each channel in training.
        deviation: standard deviation of each, 1 if it never changes.
        missing: whether training has missing values.
        longest: steps of the longest series of training.
        count: series of training.
    """

    channels: tuple[str, ...]
    normalization: Literal["channel", "series", "none"]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    missing: bool
    longest: int
    count: int

    @classmethod
    def of(
        cls,
        series: Sequence[np.ndarray],
        channels: tuple[str, ...],
        normalization: Literal["channel", "series", "none"] = "channel",
    ) -> "SeriesEncoding":
        """From training series, each (T, C)."""
        values = np.concatenate(series).astype(np.float64)
        mean, deviation = _mean_and_deviation(values)
        missing = bool(np.isnan(values).any())
        scale = tuple(mean.tolist()), tuple(deviation.tolist())
        return cls(channels, normalization, *scale, missing, max(map(len, series)), len(series))

    @property
    def size(self) -> int:
        """Features of a step, I."""
        return len(self.channels) * (2 if self.missing else 1)

    def encode(self, series: np.ndarray) -> Tensor:
        """The features (T, I) of a series (T, C)."""
        mean, deviation = np.array(self.mean), np.array(self.deviation)
        if self.normalization == "series":
            mean, deviation = _mean_and_deviation(series.astype(np.float64))
        values = series if self.normalization == "none" else (series - mean) / deviation
        absent = np.isnan(values)
        parts = [np.where(absent, 0, values)] + ([absent] if self.missing else [])
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SeriesEncoding":
        """The inverse of `to_json`."""
        read: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**read)


class EncodedTexts:
    """Texts encoded once, of which any batch is cut quickly.

    Args:
        encoding: of texts.
        texts: at least one.
        vectors: pretrained (V, P); None: there are none.
        source: of the texts, to name in a warning.
        evidence: what words say of labels by counting; None: nothing is counted.

    Attributes:
        lengths: in tokens (N,).
        evidence_ids: of each text, see `Evidence.ids`; None: nothing is counted.
    """

    def __init__(
        self,
        encoding: TextEncoding,
        texts: Sequence[str],
        vectors: Tensor | None,
        source: str = "the texts",
        evidence: Evidence | None = None,
    ) -> None:
        words = [encoding.tokens(text) for text in texts]
        most = encoding.max_length
        longer = sum(len(own) == most and _is_longer(text, encoding) for own, text in zip(words, texts, strict=True))
        if longer:
            _log.warning(
                "%s: %d of %d texts %s more than max_length = %d tokens; the rest is not read",
                *(source, longer, len(texts), "has" if longer == 1 else "have", most),
            )
        self._lay_out(encoding, words, vectors, evidence)

    def _lay_out(
        self, encoding: TextEncoding, words: list[list[str]], vectors: Tensor | None, evidence: Evidence | None
    ) -> None:
        self._encoding, self._words, self._vectors, self._evidence = encoding, words, vectors, evidence
        self._encoded = EncodedSentences(encoding.words, words, vectors)
        self.lengths = self._encoded.lengths
        self.evidence_ids: list[np.ndarray] | None = None
        if evidence is not None:
            self.evidence_ids = evidence.ids(words, encoding.words)
            self._flat_ids = torch.from_numpy(np.concatenate(self.evidence_ids))

    def batch(self, indices: np.ndarray, counts: WordCounts | None = None) -> Tokens:
        """The batch of some texts.

        Args:
            indices: of the texts (B,).
            counts: what gives their evidence; None: that of all training items.
        """
        tokens = self._encoded.tokens(indices)
        if self._evidence is None:
            return tokens
        ids = [self._encoded.padded(self._flat_ids[:, kind], indices)[0] for kind in range(self._flat_ids.shape[1])]
        return replace(tokens, evidence=(counts or self._evidence).values(torch.stack(ids, dim=2).long()))

    def beginnings(self, fraction: float) -> "EncodedTexts":
        """The first `fraction` of the tokens of each, at least one."""
        shorter = object.__new__(EncodedTexts)
        words = [words[: _part(len(words), fraction)] for words in self._words]
        shorter._lay_out(self._encoding, words, self._vectors, self._evidence)
        return shorter


class EncodedSeries:
    """Series laid out for batches.

    Args:
        encoding: of series.
        series: each (T, C), at least one.
        source: of the series, for messages.

    Raises:
        DataError: for another number of channels than in training.
    """

    def __init__(self, encoding: SeriesEncoding, series: Sequence[np.ndarray], source: str = "the series") -> None:
        for number, one in enumerate(series, start=1):
            if one.ndim != 2 or one.shape[1] != len(encoding.channels) or not len(one):
                expected = f"(T, {len(encoding.channels)}) with T at least 1, the channels trained on"
                raise DataError(f"{source}: series {number} has the shape {one.shape}, expected {expected}")
        self._encoding, self._series, self._source = encoding, series, source
        self._steps = [encoding.encode(one) for one in series]
        self.lengths = np.array([len(steps) for steps in self._steps], dtype=np.int64)

    def batch(self, indices: np.ndarray) -> Steps:
        """The batch of some series."""
        return Steps(*collate([self._steps[index] for index in indices]))

    def beginnings(self, fraction: float) -> "EncodedSeries":
        """The first `fraction` of the steps of each, at least one, encoded without the others."""
        beginnings = [one[: _part(len(one), fraction)] for one in self._series]
        return EncodedSeries(self._encoding, beginnings, self._source)


def _mean_and_deviation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and deviation of each channel's observed values (T, C); 0 and 1 if there is no value."""
    seen = ~np.isnan(values)
    count = np.maximum(seen.sum(0), 1)
    mean = np.where(seen, values, 0).sum(0) / count
    deviation = np.sqrt((np.where(seen, values - mean, 0) ** 2).sum(0) / count)
    return mean, np.where(deviation > 1e-12 * np.maximum(np.abs(mean), 1e-30), deviation, 1.0)


def _part(length: int, fraction: float) -> int:
    # A rounding error is subtracted: a tenth of ten is one.
    return min(length, max(1, int(np.ceil(fraction * length - 1e-9))))


def _is_longer(text: str, encoding: TextEncoding) -> bool:
    return len(cut(text, encoding.split, encoding.max_length + 1)) > encoding.max_length
