"""Texts as a network reads them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.labelled.word_evidence import Evidence, WordCounts
from recurra.data.text.tokenization import Tokenization, cut
from recurra.data.text.word_encoding import UNKNOWN, EncodedSentences, Tokens, WordEncoding

__all__ = ["EncodedTexts", "TextEncoding"]

_log = logging.getLogger("recurra.classify")


@dataclass(frozen=True)
class TextEncoding:
    """How texts become tokens, and tokens ids.

    Attributes:
        words: the vocabularies.
        tokenization: how texts are cut; see `cut`.
        max_length: tokens read of a text.
    """

    words: WordEncoding
    tokenization: Tokenization
    max_length: int

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text; the unknown word if it is blank, because a sequence has at least one step."""
        return [piece.text for piece in cut(text, self.tokenization, self.max_length)] or [UNKNOWN]

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {"words": self.words.to_json(), "tokenization": self.tokenization, "max_length": self.max_length}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TextEncoding":
        """The inverse of `to_json`."""
        return cls(WordEncoding.from_json(values["words"]), values["tokenization"], values["max_length"])


class EncodedTexts:
    """Texts encoded once, of which any batch is cut quickly.

    Args:
        encoding: of texts.
        texts: at least one.
        vectors: pretrained (V, P); None: there are none.
        source: of the texts, to name in a warning.
        evidence: for labels, from counts of words; None: nothing is counted.

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

    def beginnings(self, lengths: np.ndarray) -> "EncodedTexts":
        """The first tokens of each, `lengths` (N,) of them, at least one."""
        shorter = object.__new__(EncodedTexts)
        words = [words[:length] for words, length in zip(self._words, lengths.tolist(), strict=True)]
        shorter._lay_out(self._encoding, words, self._vectors, self._evidence)
        return shorter


def _is_longer(text: str, encoding: TextEncoding) -> bool:
    return len(cut(text, encoding.tokenization, encoding.max_length + 1)) > encoding.max_length
