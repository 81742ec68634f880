"""The classifier: texts or series in, one label or several labels out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from recurra.data.files.standard_input import is_standard_input, standard_input_lines
from recurra.data.labelled.reading import ItemReading
from recurra.errors import ParameterError
from recurra.options import Option, Range, option
from recurra.task import task, verb
from recurra.task.checks import check_one_of
from recurra.task.label_estimator import LabelEstimator
from recurra.task.row_predictors import SeriesPredictor, TextPredictor, TextRows
from recurra.task.series_network_options import FEWEST_TO_SPLIT, SeriesNetworkOptions
from recurra.tasks.classify.learned import ClassifierLearned, describe, learn

# Modules that need torch are imported inside the hooks: the command line's help does without.
if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import polars as pl
    from torch import nn

    from recurra.data.labelled.items import Items
    from recurra.streaming import ItemStream
    from recurra.task import Evaluation, Fitted, Objective, View
    from recurra.task.classes import Classes
    from recurra.tasks.classify.explanation import Explanation
    from recurra.tasks.classify.network import ClassifierNetwork

__all__ = ["Classifier"]

_DATA = Option(help="file to read; - is standard input, each line a text", group="data")
_LABEL = Option(help="label whose log-odds are attributed; by default the likeliest")


@task("classify")
class Classifier(
    SeriesNetworkOptions,
    TextPredictor,
    SeriesPredictor,
    LabelEstimator["Items", ClassifierLearned, "ClassifierNetwork"],
):
    """A recurrent classifier of texts or of series: one label or several labels an item, with calibrated probabilities.

    Data are a file of labelled items; or texts, each a string or a list of words, an array (N, T) or (N, T, C), a list
    of arrays (T, C) or (T,), or a frame or Series of pandas or polars, with labels as `y`. Predicted labels
    have the type of those in `y`. It follows scikit-learn's conventions: cross-validation, grid searches and pipelines
    take it.

    Example:
        >>> classifier = Classifier(max_steps=2000).fit("train.tsv", validation="dev.tsv")
        >>> classifier.predict(["a film to remember"])
        >>> Classifier().fit([[0.1, 0.2, 0.4], [0.9, 0.3]], ["up", "down"])
        >>> classifier.save("runs/sentiment")
    """

    noun = "classifier"
    Reading = ItemReading
    learned_class = ClassifierLearned
    reads_texts = True

    hidden_size: int | None = option(
        default=None,
        help="units of each direction of a layer; by default 128 for texts, 32 for series, 300 in a reservoir",
        search=Range(32, 256, step=32),
    )
    filters: int | None = option(
        default=None,
        help="filters of the convolutions before the recurrence; 0: no convolution; by default 32 for series and 0 for "
        "texts",
    )
    stride: int | None = option(
        default=None,
        help="steps that the convolutions make one step of: 4 makes a long series four times as short; by default such "
        "that the longest series of training has at most 64 steps then, and 1 for texts",
    )
    members: int | None = option(
        default=None,
        help="networks whose scores are averaged, and which share out each training batch among them; by default 4 for "
        "fewer than 1,000 series, else 1",
    )
    dropout: float | None = option(
        default=None,
        help="dropout of features, on what the network reads, between its layers and on the pooled vector; by default "
        "0.5 for texts, 0.4 for series",
    )
    label_smoothing: float = option(
        default=0.0,
        at_least=0,
        at_most=1,
        help="fraction of each item's probability that is spread over all labels in training",
        group="regularization",
    )
    unknown_rate: float = option(
        default=0.25,
        at_least=0,
        help="a word that occurs n times is read in training as an unknown one with probability "
        "unknown-rate / (unknown-rate + n)",
        group="regularization",
    )
    tokenization: Literal["words", "spaces", "characters"] = option(
        default="words", help="texts are split into words and marks, at spaces, or into characters", group="texts"
    )
    lowercase: bool = option(
        default=True, help="whether words that differ by case share an embedding; spellings keep it", group="texts"
    )
    min_count: int = option(
        default=1, at_least=1, help="occurrences in training below which a word is an unknown one", group="texts"
    )
    max_length: int = option(
        default=1000, at_least=1, help="tokens that are read; the rest of a longer text is left out", group="texts"
    )
    word_size: int = option(default=100, at_least=1, help="features of a word's embedding", group="texts")
    characters: Literal["recurrent", "convolution", "none"] = option(
        default="none", help="how spellings are read", group="texts"
    )
    character_size: int = option(default=32, at_least=1, help="features of a character", group="texts")
    character_hidden_size: int = option(
        default=32, at_least=1, help="units of each direction over characters, or half of the filters", group="texts"
    )
    evidence: bool = option(
        default=True,
        help="whether the network also reads how many training items of each label have a word, a pair of words and "
        "parts of its spelling, as naive Bayes does; of at most 32 labels",
        group="texts",
    )
    vectors: str | None = option(
        default=None, help="file of pretrained word vectors, in the formats of word2vec or GloVe", group="texts"
    )
    max_vectors: int = option(default=200_000, at_least=1, help="words that are taken from it at most", group="texts")
    class_weights: Literal["balanced", "none"] = option(
        default="none", help="balanced: labels count the same in the loss however rare they are", group="training"
    )
    batch_size: int = option(
        default=32, at_least=1, help="items a step", group="training", main=True, search=(16, 32, 64)
    )
    validation_fraction: float | None = option(
        default=None,
        at_least=0,
        at_most=0.5,
        help="fraction of each label's items held out to choose the best weights and to calibrate by, if there are no "
        "validation data; 0: none; by default 0.1, but none of fewer than 300 series, which cannot be spared",
        group="validation",
    )
    choose_by: Literal["accuracy", "macro_f1", "loss"] = option(
        default="accuracy",
        help="what the best weights are chosen by; accuracy of multi-label items is micro F1",
        group="validation",
    )

    def read(self, source: Any, y: Any, reading: ItemReading, labelled: bool) -> "Items":
        from recurra.data.labelled.items import as_items

        return as_items(source, y, reading, needs_labels=labelled)

    def split(self, data: "Items") -> "tuple[Items, Items | None]":
        from recurra.data.labelled.items import split
        from recurra.data.labelled.series import LabelledSeries

        fraction = self.validation_fraction
        if fraction is None:
            fraction = 0.0 if isinstance(data, LabelledSeries) and len(data) < FEWEST_TO_SPLIT else 0.1
        return split(data, fraction, self.seed)

    def describe(self, training: "Items", validation: "Items | None") -> str:
        return describe(training, validation)

    def learn(self, training: "Items", validation: "Items | None") -> ClassifierLearned:
        return learn(self.get_params(), training, validation)

    def network(self, learned: ClassifierLearned) -> "ClassifierNetwork":
        from recurra.tasks.classify.network import make_network

        return make_network(self.get_params(), learned)

    def objective(
        self, fitted: "Fitted[ClassifierLearned, ClassifierNetwork]", training: "Items", validation: "Items | None"
    ) -> "Objective":
        from recurra.tasks.classify.training import make_objective

        return make_objective(self.get_params(), fitted, training, validation)

    def finish(
        self, fitted: "Fitted[ClassifierLearned, ClassifierNetwork]", training: "Items", validation: "Items | None"
    ) -> ClassifierLearned:
        """Fit the temperature to validation data, or of a reservoir to training items left out."""
        from recurra.tasks.classify.training import calibrated

        return calibrated(fitted, training, validation)

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """See `Estimator.open_stream`: an item is a word, or a step of a series; the labels are those of all so far."""
        from recurra.tasks.classify.network import open_stream

        return open_stream(self.fitted, weights, look_ahead)

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """See `Estimator.export_network`. The outputs are scores.

        Divided by `temperature`, they give probabilities by a softmax, or of `multi_label` by a sigmoid of each.
        """
        learned = self.fitted.learned
        labels = learned.labels
        facts = {
            "labels": list(labels.names.symbols),
            "multi_label": labels.multi_label,
            "temperature": learned.temperature,
        }
        if not learned.reads_texts:
            facts["encoding"] = learned.encoding.to_json()
        return self.fitted.network.classifier, facts

    @verb("classify texts or series: a table of labels and their confidence", endings=(".csv", ".txt"))
    def predictions(
        self,
        data: Annotated[Any, _DATA] = None,
        *,
        text: Annotated[str | None, Option(help="text to classify at once", group="data")] = None,
        probabilities: Annotated[bool, Option(help="also write the probability of every label")] = False,
        reading: ItemReading | None = None,
    ) -> "Classes":
        """Labels of items, with their probabilities and the confidence in them.

        Args:
            data: items as for `fit`, with labels or without; "-": the lines of standard input, each a text.
            text: a single text instead.
            probabilities: whether the table has the probability of every label.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is neither data nor a text, or there are both.
        """
        from recurra.tasks.classify.results import predict

        return predict(
            self.fitted,
            self._items(self._one_of(data, text), None, reading, False),
            (reading or self.fitted.reading or ItemReading()).label_separator,  # type: ignore[attr-defined]
            path=Path(data) if isinstance(data, str | Path) and not is_standard_input(data) else None,
            with_probabilities=probabilities,
            shown="ranking" if text is not None else "table" if is_standard_input(data) else "count",
        )

    def text_rows(self, reading: ItemReading | None) -> TextRows | None:
        return TextRows(self._read_as(reading).text_column) if self.fitted.learned.reads_texts else None

    def predict_texts(self, texts: "Sequence[str]", reading: ItemReading | None, **options: Any) -> "pl.DataFrame":
        return self.predictions(texts, reading=reading, **options).frame

    def series_id(self, reading: ItemReading | None) -> str:
        return self._read_as(reading).id_column

    def predict_series(self, path: Path, reading: ItemReading | None, as_text: bool, **options: Any) -> "pl.DataFrame":
        return self.predictions(path, reading=self._read_as(reading).replaced(format="series"), **options).frame

    def predict_proba(self, data: Any, *, reading: ItemReading | None = None) -> "np.ndarray":
        """Calibrated probabilities of labels (N, K), in the order of `classes_`.

        Args:
            data: items as for `fit`.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        return self.predictions(data, reading=reading).probabilities[:, self._order()]

    @property
    def classes_(self) -> "np.ndarray":
        """The labels that training had (K,), sorted; of the type that they came with."""
        import numpy as np

        return np.array(self._restored())[self._order()]

    def score(self, data: Any, y: Any = None) -> float:
        """The accuracy: the fraction of items whose labels are all right. `evaluate` has more.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.classify.results import predict

        items = self._items(data, y, None, True)
        self.fitted.learned.check_single_labels(items)
        predicted = predict(self.fitted, items, None).names()
        right = [set(one) == set(other) for one, other in zip(predicted, items.labels or (), strict=True)]
        return sum(right) / len(right)

    @verb("test a trained run beside a simple baseline: accuracy, F1, confusion, calibration, early decision")
    def evaluate(self, data: Any, y: Any = None, *, reading: ItemReading | None = None) -> "Evaluation":
        """Compare with known labels, beside naive Bayes (texts), or the nearest mean and nearest neighbour (series).

        Args:
            data: items as for `fit`.
            y: their labels, as for `fit`.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
        """
        from recurra.tasks.classify.results import evaluate

        return evaluate(self.fitted, self._items(data, y, reading, True))

    @verb("see what each token of a text, or step of a series, adds to a classification", endings=(".html", ".png"))
    def explain(
        self,
        data: Annotated[Any, _DATA] = None,
        *,
        text: Annotated[str | None, Option(help="text to explain", group="data")] = None,
        row: Annotated[int, Option(help="item of the data, from 1", at_least=1, group="data")] = 1,
        label: Annotated[Any, _LABEL] = None,
        reading: ItemReading | None = None,
    ) -> "Explanation":
        """Explain what each token of a text, or step of a series, adds to the log-odds of a label.

        Args:
            data: items as for `fit`, one of which is explained; "-": the lines of standard input, each a text.
            text: a single text instead.
            row: which of the items, from 1.
            label: the label; None: the likeliest.
            reading: how a file is read; None: as in training.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such item or label, there is neither data nor a text, or there are both.
        """
        from recurra.data.labelled.items import label_name, values_of
        from recurra.tasks.classify.explanation import explain_series, explain_text

        name = None if label is None else label_name(label)
        self.fitted.learned.labels.check(name)
        items = self._items(self._one_of(data, text), None, reading, False)
        if row > len(items):
            raise ParameterError("row", f"1 to {len(items):,}, the items of {items.source}", row)
        explain = explain_text if self.fitted.learned.reads_texts else explain_series
        return explain(self.fitted, values_of(items)[row - 1], name)

    @verb("see inside a trained run: gradients through time, gates, memory, as one page")
    def view(
        self,
        data: Any,
        y: Any = None,
        *,
        row: Annotated[
            int | None, Option(help="item to show, from 1; by default a text of about 15 tokens, or the first series")
        ] = None,
        label: Annotated[Any, _LABEL] = None,
        reading: ItemReading | None = None,
        name: str = "",
    ) -> "View":
        """Inspect how one text or series is read, and some others spread over the data.

        The layers that read tokens or steps are shown, in all their directions. The loss is -log p of the true label,
        or of the one predicted if the true one is not known or training never saw it; of multi-label items it is the
        mean binary cross-entropy of all labels. The output attributed is the log-odds of a label, as in `explain`; it
        is attributed to the embeddings of tokens, or to the normalised values of steps. Both are of calibrated
        probabilities.

        Args:
            data: items as for `fit`, with labels or without.
            y: their labels, as for `fit`; None: they are not known.
            row: which item to show, from 1; None: a text of about 15 tokens, or the first series.
            label: the label whose log-odds are attributed; None: the likeliest of each item.
            reading: how a file is read; None: as in training.
            name: of the run, for the page.

        Raises:
            DataError: the data cannot be used.
            ParameterError: there is no such item or label.
        """
        from recurra.data.labelled.items import label_name
        from recurra.tasks.classify.view import view

        items = self._items(data, y, reading, False)
        return view(self.fitted, items, row, None if label is None else label_name(label), name)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.three_d_array = tags.input_tags.allow_nan = True
        return tags

    def _items(self, data: Any, y: Any, reading: ItemReading | None, labelled: bool) -> "Items":
        from recurra.data.labelled.items import as_items

        fitted = self.fitted
        training_reading: Any = fitted.reading
        return as_items(data, y, reading or training_reading, fitted.learned.reads_texts, labelled)

    def _read_as(self, reading: ItemReading | None) -> ItemReading:
        return reading or cast("ItemReading | None", self.later_reading()) or ItemReading()

    def _one_of(self, data: Any, text: str | None) -> Any:
        check_one_of(data, text)
        if not self.fitted.learned.reads_texts and (text is not None or is_standard_input(data)):
            name, value = ("data", data) if text is None else ("text", text)
            raise ParameterError(name, "a file (--data FILE) for a classifier of series", value)
        if text is not None and not text.strip():
            raise ParameterError("text", "one or more words", text)
        if is_standard_input(data):
            return list(standard_input_lines())
        return data if text is None else [text]

    def _restored(self) -> list[Any]:
        labels = self.fitted.learned.labels
        return [labels.restore(name) for name in labels.names.symbols]

    def _order(self) -> list[int]:
        """The indices of the labels, sorted by label."""
        labels = self._restored()
        return sorted(range(len(labels)), key=labels.__getitem__)
