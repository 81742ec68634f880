"""Sentence pairs, and the vocabularies learned from them."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from recurra.data.text.parallel import ParallelText, read_parallel
from recurra.errors import DataError, ParameterError
from recurra.task.learned import Learned

if TYPE_CHECKING:
    from torch import Tensor

    from recurra.data.text.subwords import Subwords

__all__ = ["SentencePairs", "Vocabularies", "read_pairs"]

_log = logging.getLogger("recurra.translate")


@dataclass(frozen=True)
class SentencePairs:
    """Sentence pairs, and where they come from.

    Attributes:
        text: the pairs.
        files: the files they come from; None for pairs of no file.
    """

    text: ParallelText
    files: list[str] | None = None

    @property
    def source(self) -> str:
        return self.text.name

    def digest(self) -> str:
        return self.text.digest()

    def filled(self, warn: bool = False) -> ParallelText:
        """The pairs with text on both sides.

        Args:
            warn: whether the log says how many are left out.

        Raises:
            DataError: there is none.
        """
        filled = self.text.filled()
        if warn and len(filled) < len(self.text):
            _log.warning("%s: %d pairs with a blank side are left out", self.source, len(self.text) - len(filled))
        if not len(filled):
            raise DataError(f"{self.source}: every pair has a blank side; there is nothing to learn from")
        return filled


def read_pairs(data: Any) -> SentencePairs:
    """Sentence pairs from two files, a table, two lists, or a `ParallelText`.

    Raises:
        DataError: they cannot be used.
        ParameterError: `data` is none of these.
    """
    if isinstance(data, SentencePairs):
        return data
    if isinstance(data, ParallelText):
        return SentencePairs(data)
    if isinstance(data, str | Path):
        return SentencePairs(read_parallel([data]), [str(data)])
    if isinstance(data, tuple | list) and data and all(isinstance(part, str | Path) for part in data):
        return SentencePairs(read_parallel(data), [str(part) for part in data])
    if isinstance(data, tuple | list) and len(data) == 2:
        return SentencePairs(ParallelText(tuple(data[0]), tuple(data[1])))
    raise ParameterError("data", "two files, a table, or two lists of sentences", type(data).__name__)


@dataclass(frozen=True)
class Vocabularies(Learned):
    """The subwords of both languages.

    Attributes:
        source: those of the source language.
        target: those of the target language; the same object if the vocabulary is joint.
    """

    source: "Subwords"
    target: "Subwords"

    @property
    def is_joint(self) -> bool:
        """Whether both languages have one vocabulary."""
        return self.source is self.target

    def to_json(self) -> dict[str, Any]:
        return {"joint": self.is_joint}

    def tensors(self) -> "dict[str, Tensor]":
        import torch

        models = {"source": self.source} if self.is_joint else {"source": self.source, "target": self.target}
        return {name: torch.frombuffer(bytearray(one.to_bytes()), dtype=torch.uint8) for name, one in models.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.text.subwords import Subwords

        source = Subwords(tensors["source"].numpy().tobytes())
        return cls(source, source if values["joint"] else Subwords(tensors["target"].numpy().tobytes()))

    def rows(self) -> dict[str, list[Any]]:
        source, target = (one.pieces(range(len(one))) for one in (self.source, self.target))
        return {
            "source_embedding.weight": source,
            "target_embedding.weight": target,
            "readout.weight": target,
            "readout.bias": target,
        }
