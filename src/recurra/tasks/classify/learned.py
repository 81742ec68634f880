"""What a classifier learns from its training data without gradients."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.data.labelled.labels import LabelType
from recurra.data.text.vocabulary import Vocabulary
from recurra.errors import DataError, ParameterError
from recurra.task.learned import Learned
from recurra.text_table import one_line

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.data.labelled.items import Items
    from recurra.tasks.classify.encoding import EncodedSeries, EncodedTexts, SeriesEncoding, TextEncoding
    from recurra.tasks.classify.evidence import Evidence
    from recurra.tasks.classify.neighbours import Neighbours
    from recurra.tasks.classify.scores import Baseline

__all__ = ["MOST_MEMBERS", "ClassifierLearned", "LabelSet"]

MOST_MEMBERS = 16
"""Networks of an ensemble at most."""

_log = logging.getLogger("recurra.classify")

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
        return {"integer": int, "number": float, "text": str}[self.label_type](name)

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


@dataclass(frozen=True)
class ClassifierLearned(Learned):
    """The values that a classifier needs beside its weights.

    Attributes:
        encoding: of texts or series.
        labels: the labels that the classifier distinguishes.
        baseline: the rule that the classifier has to beat.
        neighbours: what a classifier of series has to beat, too. None: it reads texts.
        vectors: pretrained word vectors (V, P), row 0 for words without one. None: there are none.
        temperature: logits are divided by it.
        evidence: what words say of labels by counting; None: the network reads none.
    """

    encoding: "TextEncoding | SeriesEncoding"
    labels: LabelSet
    baseline: "Baseline"
    neighbours: "Neighbours | None" = None
    vectors: "Tensor | None" = None
    temperature: float = 1.0
    evidence: "Evidence | None" = None

    @property
    def reads_texts(self) -> bool:
        """Whether items are texts; else they are series."""
        from recurra.tasks.classify.encoding import TextEncoding

        return isinstance(self.encoding, TextEncoding)

    def encode(self, items: Sequence[Any], source: str = "the data") -> "EncodedTexts | EncodedSeries":
        """Items ready to be cut into batches.

        Raises:
            DataError: series have other channels than in training.
        """
        from recurra.tasks.classify.encoding import EncodedSeries, EncodedTexts, TextEncoding

        if isinstance(self.encoding, TextEncoding):
            return EncodedTexts(self.encoding, items, self.vectors, source, self.evidence)
        return EncodedSeries(self.encoding, items, source)

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)

    def baselines(self, items: Sequence[Any]) -> dict[str, list[tuple[str, ...]]]:
        """The labels that each method which the classifier has to beat gives to items, by its name."""
        from recurra.tasks.classify.encoding import SeriesEncoding

        predicted = {self.baseline.name(self.reads_texts): self.baseline.predict(self.encoding, self.labels, items)}
        if self.neighbours is not None and isinstance(self.encoding, SeriesEncoding):
            predicted[self.neighbours.name] = self.neighbours.predict(self.encoding, self.labels, items)
        return predicted

    def check_number(self, items: "Items") -> None:
        """Check that each item has one label if each had in training. Raises DataError."""
        wrong = next((k for k, item in enumerate(items.labels or (), start=1) if len(item) != 1), None)
        if wrong is not None and not self.labels.multi_label:
            raise DataError(f"{items.source}: item {wrong} has not exactly one label, but all items of training had.")

    def check_validation(self, validation: "Items") -> None:
        """Warn of labels that training never sees.

        Raises:
            DataError: validation data are series for a classifier of texts, or texts for one of series, or no label is
                one of training.
        """
        from recurra.data.labelled.texts import LabelledTexts

        if isinstance(validation, LabelledTexts) != self.reads_texts:
            expected, got = ("texts", "series") if self.reads_texts else ("series", "texts")
            raise DataError(f"{validation.source}: expected {expected}, which the classifier is trained on, got {got}")
        self.check_number(validation)
        unseen = self.unseen(validation)
        if unseen and not any(name in self.labels.names for one in validation.labels or () for name in one):
            raise DataError(
                f"{validation.source}: no item has a label that training has; give validation data of its kind."
            )
        if unseen:
            shown = ", ".join(f"{label!r} ({count:,})" for label, count in list(unseen.items())[:5])
            more = ", ..." if len(unseen) > 5 else ""
            _log.warning(
                "%s: labels that training never sees, which count as wrong: %s%s", validation.source, shown, more
            )

    def unseen(self, items: "Items") -> dict[str, int]:
        """Labels that training never saw, most frequent first, and how many items have each."""
        labels = items.labels or ()
        return dict(Counter(label for one in labels for label in one if label not in self.labels.names).most_common())

    def to_json(self) -> dict[str, Any]:
        return {
            "texts": self.reads_texts,
            "encoding": self.encoding.to_json(),
            "labels": self.labels.to_json(),
            "temperature": self.temperature,
            "evidence": None if self.evidence is None else self.evidence.to_json(),
            "window": None if self.neighbours is None else self.neighbours.window,
        }

    def tensors(self) -> "dict[str, Tensor]":
        tensors = {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}
        if self.neighbours is not None:
            tensors |= {"neighbours.values": self.neighbours.values, "neighbours.target": self.neighbours.target}
        if self.vectors is not None:
            tensors["vectors"] = self.vectors
        if self.evidence is not None:
            tensors.update(self.evidence.tensors())
        return tensors

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.tasks.classify.encoding import SeriesEncoding, TextEncoding
        from recurra.tasks.classify.evidence import Evidence
        from recurra.tasks.classify.neighbours import Neighbours
        from recurra.tasks.classify.scores import Baseline

        evidence, neighbours = values["evidence"], None
        if not values["texts"]:
            neighbours = Neighbours(tensors["neighbours.values"], tensors["neighbours.target"], values["window"])
        return cls(
            (TextEncoding if values["texts"] else SeriesEncoding).from_json(values["encoding"]),
            LabelSet.from_json(values["labels"]),
            Baseline(tensors["baseline.weight"], tensors["baseline.bias"]),
            neighbours,
            tensors.get("vectors"),
            float(values["temperature"]),
            None if evidence is None else Evidence.from_json(evidence, tensors),
        )

    def rows(self) -> dict[str, list[Any]]:
        from recurra.tasks.classify.encoding import TextEncoding

        labels = list(self.labels.names.symbols)
        networks = ["classifier", *(f"classifier.networks.{k}" for k in range(MOST_MEMBERS))]
        rows: dict[str, list[Any]] = {f"{one}.scores.{kind}": labels for one in networks for kind in ("weight", "bias")}
        if isinstance(self.encoding, TextEncoding):
            words = self.encoding.words
            rows["embedding.words.weight"] = list(words.words.symbols)
            rows["embedding.characters.embedding.weight"] = list(words.characters.symbols)
        return rows
