"""Labels as numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.batches.ignored import IGNORED
from recurra.data.text.vocabulary import Vocabulary
from recurra.errors import DataError, ParameterError
from recurra.text_table import one_line

__all__ = ["LabelSet"]

_MOST_NAMED = 30


@dataclass(frozen=True)
class LabelSet:
    """The labels a model tells apart.

    Attributes:
        names: by falling frequency in training.
        counts: items of training with each.
        several: whether an item has any number of labels; else it has one.
    """

    names: Vocabulary
    counts: tuple[int, ...]
    several: bool

    @classmethod
    def of(cls, labels: Sequence[Sequence[str]], source: str) -> "LabelSet":
        """The labels of training items; several an item where any has another number than one.

        Raises:
            DataError: where there is nothing to tell apart.
        """
        counts = Counter(label for given in labels for label in set(given))
        several = any(len(set(given)) != 1 for given in labels)
        if not counts:
            raise DataError(f"{source}: no item has a label.")
        if len(counts) == 1 and not several:
            raise DataError(f"{source}: every item has the label {next(iter(counts))!r}; there is nothing to learn.")
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        return cls(Vocabulary(ordered), tuple(counts[name] for name in ordered), several)

    def __len__(self) -> int:
        return len(self.names)

    def check(self, label: str | None) -> None:
        """Refuse a label that training never saw; None is none.

        Raises:
            ParameterError: naming those there are.
        """
        if label is not None and label not in self.names:
            named = [one_line(name) for name in self.names.symbols[:_MOST_NAMED]]
            more = ", ..." if len(self) > _MOST_NAMED else ""
            raise ParameterError("label", f"one of {', '.join(named)}{more}", label)

    def encode(self, labels: Sequence[Sequence[str]]) -> Tensor:
        """Numbers (N,) int64, -100 for a label that training never saw; with several labels, 0 or 1 for each (N, K)."""
        if not self.several:
            numbers = [self.names[given[0]] if len(given) and given[0] in self.names else IGNORED for given in labels]
            return torch.tensor(numbers, dtype=torch.int64)
        found = torch.zeros(len(labels), len(self))
        for row, given in enumerate(labels):
            for label in given:
                if label in self.names:
                    found[row, self.names[label]] = 1
        return found

    def decode(self, probabilities: np.ndarray) -> list[tuple[str, ...]]:
        """The labels of each item from their probabilities (N, K): the likeliest, or all above a half."""
        if not self.several:
            return [(self.names.symbols[number],) for number in probabilities.argmax(1)]
        return [tuple(self.names.symbols[k] for k in np.flatnonzero(row > 0.5)) for row in probabilities]

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities (N, K) from logits (N, K): a softmax, or with several labels a sigmoid of each."""
        logits = logits.astype(np.float64)
        if self.several:
            return 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return shifted / shifted.sum(1, keepdims=True)

    def weights(self, total: int) -> Tensor:
        """What each label counts in the loss for all to count the same, of `total` items.

        N / (K n_k), the mean over items being 1; with several labels what an item that has the label counts as against
        one that does not, (N - n_k) / n_k.
        """
        counts = torch.tensor(self.counts, dtype=torch.float32)
        if self.several:
            return (total - counts).clamp(min=1) / counts
        return total / (len(self) * counts)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"names": self.names.symbols, "counts": self.counts, "several": self.several}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LabelSet":
        """From what `to_json` gave."""
        return cls(Vocabulary(values["names"]), tuple(values["counts"]), values["several"])
