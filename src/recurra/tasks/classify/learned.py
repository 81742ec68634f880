"""What a classifier learns from its training data without gradients."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.data.labelled.label_set import LabelSet
from recurra.errors import DataError, ParameterError
from recurra.task.learned import Learned
from recurra.task.series_network_options import MOST_MEMBERS
from recurra.text_table import counted

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.data.labelled.items import Items
    from recurra.data.labelled.series_encoding import EncodedSeries, SeriesEncoding
    from recurra.data.labelled.text_encoding import EncodedTexts, TextEncoding
    from recurra.data.labelled.word_evidence import Evidence
    from recurra.models.baselines.linear import LinearBaseline
    from recurra.models.baselines.nearest_neighbour import NearestNeighbour

__all__ = ["ClassifierLearned", "describe", "learn"]

_log = logging.getLogger("recurra.classify")

_LABELS_DESCRIBED = 6


@dataclass(frozen=True)
class ClassifierLearned(Learned):
    """The values that a classifier needs beside its weights.

    Attributes:
        encoding: of texts or series.
        labels: the labels that the classifier distinguishes.
        baseline: the linear rule that the classifier has to beat.
        nearest_neighbour: another one that a classifier of series has to beat; None: it reads texts.
        vectors: pretrained word vectors (V, P), row 0 for words without one. None: there are none.
        temperature: logits are divided by it.
        evidence: for labels, from counts of words; None: the network reads none.
    """

    encoding: "TextEncoding | SeriesEncoding"
    labels: LabelSet
    baseline: "LinearBaseline"
    nearest_neighbour: "NearestNeighbour | None" = None
    vectors: "Tensor | None" = None
    temperature: float = 1.0
    evidence: "Evidence | None" = None

    @property
    def reads_texts(self) -> bool:
        """Whether items are texts; else they are series."""
        from recurra.data.labelled.text_encoding import TextEncoding

        return isinstance(self.encoding, TextEncoding)

    def encode(self, items: Sequence[Any], source: str = "the data") -> "EncodedTexts | EncodedSeries":
        """Items ready to be cut into batches.

        Raises:
            DataError: series have other channels than in training.
        """
        from recurra.data.labelled.series_encoding import EncodedSeries
        from recurra.data.labelled.text_encoding import EncodedTexts, TextEncoding

        if isinstance(self.encoding, TextEncoding):
            return EncodedTexts(self.encoding, items, self.vectors, source, self.evidence)
        return EncodedSeries(self.encoding, items, source)

    def probabilities(self, logits: "np.ndarray") -> "np.ndarray":
        """Calibrated probabilities of labels (N, K)."""
        return self.labels.probabilities(logits / self.temperature)

    def baselines(self, items: Sequence[Any]) -> dict[str, list[tuple[str, ...]]]:
        """The labels that the baselines predict for items, by the name of each."""
        from recurra.data.labelled.series_encoding import SeriesEncoding

        predicted = {self.baseline.name(self.reads_texts): self.baseline.predict(self.encoding, self.labels, items)}
        if self.nearest_neighbour is not None and isinstance(self.encoding, SeriesEncoding):
            neighbour = self.nearest_neighbour
            nearest = neighbour.predict(self.encoding, items)
            predicted[neighbour.name] = self.labels.decode(self.labels.one_hot(nearest).numpy())
        return predicted

    def check_single_labels(self, items: "Items") -> None:
        """Refuse an item that has not exactly one label if training's items have one each.

        Raises:
            DataError: naming the item.
        """
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
        self.check_single_labels(validation)
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
        return self.labels.unseen(items.labels or ())

    def to_json(self) -> dict[str, Any]:
        return {
            "texts": self.reads_texts,
            "encoding": self.encoding.to_json(),
            "labels": self.labels.to_json(),
            "temperature": self.temperature,
            "evidence": None if self.evidence is None else self.evidence.to_json(),
            "window": None if self.nearest_neighbour is None else self.nearest_neighbour.window,
        }

    def tensors(self) -> "dict[str, Tensor]":
        tensors = {"baseline.weight": self.baseline.weight, "baseline.bias": self.baseline.bias}
        neighbour = self.nearest_neighbour
        if neighbour is not None:
            tensors |= {"nearest_neighbour.values": neighbour.values, "nearest_neighbour.target": neighbour.target}
        if self.vectors is not None:
            tensors["vectors"] = self.vectors
        if self.evidence is not None:
            tensors.update(self.evidence.tensors())
        return tensors

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.labelled.series_encoding import SeriesEncoding
        from recurra.data.labelled.text_encoding import TextEncoding
        from recurra.data.labelled.word_evidence import Evidence
        from recurra.models.baselines.linear import LinearBaseline
        from recurra.models.baselines.nearest_neighbour import NearestNeighbour

        evidence, neighbour = values["evidence"], None
        if not values["texts"]:
            series, target = tensors["nearest_neighbour.values"], tensors["nearest_neighbour.target"]
            neighbour = NearestNeighbour(series, target, values["window"])
        return cls(
            (TextEncoding if values["texts"] else SeriesEncoding).from_json(values["encoding"]),
            LabelSet.from_json(values["labels"]),
            LinearBaseline(tensors["baseline.weight"], tensors["baseline.bias"]),
            neighbour,
            tensors.get("vectors"),
            float(values["temperature"]),
            None if evidence is None else Evidence.from_json(evidence, tensors),
        )

    def rows(self) -> dict[str, list[Any]]:
        from recurra.data.labelled.text_encoding import TextEncoding

        labels = list(self.labels.names.symbols)
        networks = ["classifier", *(f"classifier.networks.{k}" for k in range(MOST_MEMBERS))]
        rows: dict[str, list[Any]] = {f"{one}.scores.{kind}": labels for one in networks for kind in ("weight", "bias")}
        if isinstance(self.encoding, TextEncoding):
            words = self.encoding.words
            rows["embedding.words.weight"] = list(words.words.symbols)
            rows["embedding.characters.embedding.weight"] = list(words.characters.symbols)
        return rows


def describe(training: "Items", validation: "Items | None") -> str:
    """One line about the items; see `Classifier.describe`."""
    from recurra.data.labelled.texts import LabelledTexts

    labels = _label_set(training)
    if isinstance(training, LabelledTexts):
        kind = "texts"
    else:
        lengths = [len(one) for one in training.series]
        steps = f"{min(lengths):,}" if min(lengths) == max(lengths) else f"{min(lengths):,} to {max(lengths):,}"
        channels = "1 channel" if len(training.channels) == 1 else f"{len(training.channels):,} channels"
        timed = f", the last the time {training.channels[-1]!r} since the step before" if training.timed else ""
        kind = f"series of {channels}{timed}, and {steps} steps" if timed else f"series of {channels} and {steps} steps"
    shown = counted(dict(zip(labels.names.symbols, labels.counts, strict=True)), _LABELS_DESCRIBED)
    multi_label = ", several an item" if labels.multi_label else ""
    validated = "no validation" if validation is None else f"validated on {len(validation):,}"
    what = f"{len(training):,} {kind} of {training.source}"
    return f"{what}, {len(labels):,} labels{multi_label}: {shown}; {validated}"


def learn(options: Mapping[str, Any], training: "Items", validation: "Items | None") -> ClassifierLearned:
    """Learn from training items.

    Args:
        options: of the classifier, by name.
        training: items with labels.
        validation: items that are checked against those of training; None: there are none.

    Raises:
        DataError: there is nothing to learn, or validation data are of another kind.
        ParameterError: series have no words, but there are word vectors.
    """
    from recurra.data.labelled.items import values_of
    from recurra.data.labelled.series_encoding import SeriesEncoding
    from recurra.data.labelled.text_encoding import TextEncoding
    from recurra.data.labelled.texts import LabelledTexts
    from recurra.data.labelled.word_evidence import MOST_LABELS, Evidence
    from recurra.data.text.tokenization import cut
    from recurra.data.text.word_encoding import WordEncoding, vector_table
    from recurra.data.text.word_vectors import read_word_vectors
    from recurra.models.baselines.linear import fit_linear_baseline
    from recurra.models.baselines.nearest_neighbour import fit_nearest_neighbour

    assert training.labels is not None
    labels, table, evidence, neighbour = _label_set(training), None, None, None
    target, path = labels.encode(training.labels), options["vectors"]
    encoding: TextEncoding | SeriesEncoding
    if isinstance(training, LabelledTexts):
        vectors = None if path is None else read_word_vectors(path, options["max_vectors"])
        texts = (cut(text, options["tokenization"], options["max_length"]) for text in training.texts)
        tokens = [[piece.text for piece in pieces] for pieces in texts]
        words = WordEncoding.of(tokens, options["lowercase"], options["min_count"], vectors)
        table = None if vectors is None else vector_table(vectors)
        encoding = TextEncoding(words, options["tokenization"], options["max_length"])
        if options["evidence"] and len(labels) <= MOST_LABELS:
            evidence = Evidence.of(tokens, words, target, len(labels))
    else:
        if path is not None:
            raise ParameterError("vectors", "None with series, which have no words", path)
        encoding = SeriesEncoding.of(training.series, training.channels, options["normalization"], training.timed)
        neighbour = fit_nearest_neighbour(encoding, training.series, target, _errors)
    baseline = fit_linear_baseline(encoding, labels, values_of(training), target)
    learned = ClassifierLearned(encoding, labels, baseline, neighbour, table, evidence=evidence)
    if validation is not None:
        learned.check_validation(validation)
    return learned


def _errors(predicted: "Tensor", target: "Tensor") -> float:
    """How many items have another label, or other labels, than predicted."""
    return float((predicted != target).reshape(len(target), -1).any(1).sum())


def _label_set(items: "Items") -> LabelSet:
    assert items.labels is not None
    return LabelSet.of(items.labels, items.source, items.label_type)
