"""Predicted labels as results, alike in every task that classifies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from recurra.data.labelled.label_set import LabelSet
from recurra.task.results import Table, TablePredictions
from recurra.text_table import one_line

__all__ = ["Classes", "Prediction"]

_LABELS_OF_AN_ITEM = 10


@dataclass(frozen=True)
class Prediction:
    """The prediction for an item.

    Attributes:
        labels: one, or any number of a multi-label item; of the type that training's labels had.
        probabilities: of every label, calibrated.
        confidence: see `LabelSet.confidence`.
    """

    labels: tuple[Any, ...]
    probabilities: Mapping[Any, float]
    confidence: float


class Classes(TablePredictions[Any], Sequence[Prediction]):
    """Predicted labels: a sequence with a `Prediction` for each item.

    Args:
        names: of the items: texts, or ids.
        label_set: of the classifier.
        probabilities: calibrated (N, K), in the order of the label set.
        kind: what an item is: a text, a series, a recording or a clip.
        separator: text between several labels in a table.
        path: of the file that was read. None: there was none.
        with_probabilities: whether the table has the probability of every label.
        shown: what the terminal shows: how many items there are, the likeliest labels of a single item, or the table.

    Attributes:
        probabilities: calibrated (N, K), in the order of the label set.
        confidence: in the labels of each item (N,); see `LabelSet.confidence`.
    """

    def __init__(
        self,
        names: Sequence[str],
        label_set: LabelSet,
        probabilities: np.ndarray,
        *,
        kind: Literal["text", "series", "recording", "clip"] = "text",
        separator: str = "|",
        path: Path | None = None,
        with_probabilities: bool = False,
        shown: Literal["count", "ranking", "table"] = "count",
    ) -> None:
        self._names, self._label_set, self._kind = names, label_set, kind
        self._separator, self.read_from = separator, path
        self._with_probabilities, self._shown = with_probabilities, shown
        self.streams = shown == "table"
        self._values = [label_set.restore(name) for name in label_set.names.symbols]
        self.probabilities, self.confidence = probabilities, label_set.confidence(probabilities)

    @property
    def labels(self) -> list[tuple[Any, ...]]:
        """The labels of each item."""
        return [tuple(map(self._label_set.restore, names)) for names in self.names()]

    @property
    def values(self) -> Any:
        """The label of each item as an array (N,); of multi-label items a list of tuples."""
        return self.labels if self._label_set.multi_label else np.array([label for (label,) in self.labels])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        labels = map(self._label_set.restore, self._label_set.decode(self.probabilities[index][np.newaxis])[0])
        probabilities = dict(zip(self._values, self.probabilities[index].tolist(), strict=True))
        return Prediction(tuple(labels), probabilities, float(self.confidence[index]))

    def text(self, color: bool = False) -> Iterator[str]:
        if self._shown == "table":
            yield self.table().csv()
            return
        if self._shown == "count":
            kind = self._kind if len(self) == 1 or self._kind == "series" else f"{self._kind}s"
            yield f"{len(self):,} {kind}, mean confidence {self.confidence.mean():.3f}\n"
            return
        (labels,) = self.names()
        symbols = self._label_set.names.symbols
        order = np.argsort(-self.probabilities[0], kind="stable")[:_LABELS_OF_AN_ITEM]
        shown = [one_line(symbols[k]) for k in order]
        width = max(map(len, shown))
        for k, name in zip(order, shown, strict=True):
            mark = "*" if symbols[k] in labels else " "
            yield f"{mark} {name.ljust(width)}  {100 * self.probabilities[0, k]:5.1f} %\n"

    def table(self) -> Table:
        """One row for each item: its text or id, its labels, the confidence and perhaps each label's probability."""
        symbols = self._label_set.names.symbols if self._with_probabilities else ()
        columns = ("text" if self._kind == "text" else "id", "label", "confidence", *(f"p({name})" for name in symbols))
        rows = [
            [name, self._separator.join(labels), f"{confidence:.6f}", *(f"{p:.6f}" for p in row[: len(symbols)])]
            for name, labels, confidence, row in zip(
                self._names, self.names(), self.confidence, self.probabilities, strict=True
            )
        ]
        return Table(columns, rows)

    @property
    def frame(self) -> pl.DataFrame:
        """The table, without texts: the id of a series, label, confidence and perhaps each label's probability.

        Numbers have six digits after the point.
        """
        table = self.table()
        columns = [pl.Series(name, [row[k] for row in table.rows], pl.String) for k, name in enumerate(table.columns)]
        numbers = [one.cast(pl.Float64) for one in columns[2:]]
        return pl.DataFrame([*columns[self._kind == "text" : 2], *numbers])

    def names(self) -> list[tuple[str, ...]]:
        """The labels of each item as text."""
        return self._label_set.decode(self.probabilities)
