"""The labels that a model distinguishes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recurra.data.labelled.labels import LabelType
from recurra.data.text.vocabulary import Vocabulary
from recurra.errors import DataError, ParameterError
from recurra.text_table import one_line

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = ["LabelSet"]

_MOST_NAMED = 30


@dataclass(frozen=True)
class LabelSet:
    """The labels that a model distinguishes.

    Attributes:
        names: as text, by falling frequency in training.
        counts: items of training with each.
        multi_label: whether an item has any number of labels; else it has one.
        label_type: the type of the labels before they became text, which predictions have again.
    """

    names: Vocabulary
    counts: tuple[int, ...]
    multi_label: bool
    label_type: LabelType = "text"

    @classmethod
    def of(cls, labels: Sequence[Sequence[str]], source: str, label_type: LabelType = "text") -> "LabelSet":
        """The labels of training items, which are multi-label if any has another number of labels than one.

        Raises:
            DataError: there is nothing to tell apart.
        """
        counts = Counter(label for item in labels for label in set(item))
        multi_label = any(len(set(item)) != 1 for item in labels)
        if not counts:
            raise DataError(f"{source}: no item has a label.")
        if len(counts) == 1 and not multi_label:
            raise DataError(f"{source}: every item has the label {next(iter(counts))!r}; there is nothing to learn.")
        ordered = sorted(counts, key=lambda name: (-counts[name], name))
        label_type = "text" if label_type == "class" else label_type
        return cls(Vocabulary(ordered), tuple(counts[name] for name in ordered), multi_label, label_type)

    def __len__(self) -> int:
        return len(self.names)

    def check(self, label: str | None) -> None:
        """Refuse a label that training never saw; None passes.

        Raises:
            ParameterError: naming the labels.
        """
        if label is not None and label not in self.names:
            named = [one_line(name) for name in self.names.symbols[:_MOST_NAMED]]
            more = ", ..." if len(self) > _MOST_NAMED else ""
            raise ParameterError("label", f"one of {', '.join(named)}{more}", label)

    def restore(self, name: str) -> Any:
        """A label in its original type."""
        if self.label_type == "boolean":
            return name == "true"
        kinds: dict[str, type] = {"integer": int, "number": float, "text": str}
        return kinds[self.label_type](name)

    def encode(self, labels: Sequence[Sequence[str]]) -> "Tensor":
        """Indices (N,) int64, -100 for a label that training never saw; of multi-label items (N, K) of 0 and 1."""
        import torch

        from recurra.data.batches.ignored import IGNORED

        if not self.multi_label:
            ids = [self.names[item[0]] if len(item) and item[0] in self.names else IGNORED for item in labels]
            return torch.tensor(ids, dtype=torch.int64)
        target = torch.zeros(len(labels), len(self))
        for row, item in enumerate(labels):
            for label in item:
                if label in self.names:
                    target[row, self.names[label]] = 1
        return target

    def unseen(self, labels: Sequence[Sequence[str]]) -> dict[str, int]:
        """Labels that are none of these, most frequent first, and how many items have each."""
        return dict(Counter(label for one in labels for label in one if label not in self.names).most_common())

    def one_hot(self, target: "Tensor") -> "Tensor":
        """(N, K) of 0 and 1 from what `encode` returns, without unknown labels."""
        import torch

        return target if self.multi_label else torch.nn.functional.one_hot(target, len(self))

    def decode(self, probabilities: "np.ndarray") -> list[tuple[str, ...]]:
        """The labels of each item from their probabilities (N, K): the likeliest, or all above a half."""
        import numpy as np

        if not self.multi_label:
            return [(self.names.symbols[index],) for index in probabilities.argmax(1)]
        return [tuple(self.names.symbols[k] for k in np.flatnonzero(row > 0.5)) for row in probabilities]

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Probabilities (N, K) from logits (N, K): a softmax, or of multi-label items a sigmoid of each."""
        import numpy as np

        logits = logits.astype(np.float64)
        if self.multi_label:
            return 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return shifted / shifted.sum(1, keepdims=True)

    def confidence(self, probabilities: "np.ndarray") -> "np.ndarray":
        """The probability of each item's label (N,); of multi-label items, that of the least confident decision."""
        import numpy as np

        if self.multi_label:
            return np.maximum(probabilities, 1 - probabilities).min(1)
        return probabilities.max(1)

    def weights(self, total: int) -> "Tensor":
        """The weights of labels in the loss (K,) with which all count the same, for `total` items.

        N / (K n_k), whose mean over items is 1; for multi-label items the weight of an item that has the label relative
        to one that has not, (N - n_k) / n_k.
        """
        import torch

        counts = torch.tensor(self.counts, dtype=torch.float32)
        if self.multi_label:
            return (total - counts).clamp(min=1) / counts
        return total / (len(self) * counts)

    def to_json(self) -> dict[str, Any]:
        """The values that `from_json` reads."""
        return {
            "names": self.names.symbols,
            "counts": self.counts,
            "multi_label": self.multi_label,
            "type": self.label_type,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LabelSet":
        """The inverse of `to_json`."""
        return cls(Vocabulary(values["names"]), tuple(values["counts"]), values["multi_label"], values["type"])
