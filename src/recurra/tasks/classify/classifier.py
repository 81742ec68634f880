"""The classifier as an estimator: fit, predict, evaluate, explain, save, load."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from recurra.data.labelled.texts import LabelledTexts
from recurra.data.text.word_vectors import WordVectors, read_word_vectors
from recurra.errors import DataError
from recurra.tasks.classify.baseline import Baseline, fit_baseline
from recurra.tasks.classify.calibration import Reliability, reliability
from recurra.tasks.classify.explain import Explanation, explain_series, explain_text
from recurra.tasks.classify.fit import calibrate, make_trainer, prepare
from recurra.tasks.classify.fitted import FittedClassifier
from recurra.tasks.classify.given import Items, Reading, as_items, split, values_of
from recurra.tasks.classify.metrics import Scores, score
from recurra.tasks.classify.run import ClassifyRun
from recurra.tasks.classify.settings import ClassifySettings
from recurra.training import Estimator

__all__ = ["Classifier", "Evaluation", "Prediction"]

_log = logging.getLogger("recurra.classify")
_SHARES = tuple(k / 10 for k in range(1, 11))


class _Shares(Mapping[str, float]):
    """Probabilities by name: those of many items share the names."""

    def __init__(self, names: tuple[str, ...], values: np.ndarray) -> None:
        self._names = names
        self._values = values

    def __getitem__(self, name: str) -> float:
        try:
            return float(self._values[self._names.index(name)])
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


@dataclass(frozen=True)
class Prediction:
    """What an item is said to be.

    Attributes:
        labels: one, or with several labels any number.
        probabilities: of every label, calibrated.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """The probability of the label; with several, the least sure decision's."""
        # Where labels exclude each other none is less sure than that of the label: the others' shares are in its rest.
        return min(p if name in self.labels else 1 - p for name, p in self.probabilities.items())


@dataclass(frozen=True)
class Evaluation:
    """How a classifier does on items whose labels are known.

    Attributes:
        source: of the items.
        several: whether an item has any number of labels.
        model: its scores.
        baseline: those of `baseline_name`.
        baseline_name: "naive Bayes" or "nearest mean".
        loss: the mean -log p of the true label in nats, calibrated (with several labels, the mean over labels);
            items of labels that training never saw are left out.
        before: reliability without the temperature.
        after: and with it.
        temperature: which that is.
        early: accuracy (with several labels micro F1) by the share of each item that was read.
        unseen_labels: that training never saw, by their number of items, all counted as wrong.
    """

    source: str
    several: bool
    model: Scores
    baseline: Scores
    baseline_name: str
    loss: float
    before: Reliability
    after: Reliability
    temperature: float
    early: dict[float, float]
    unseen_labels: dict[str, int]


class Classifier(Estimator[ClassifySettings, ClassifyRun]):
    """A classifier of texts or of series: one label an item, or several.

    Args:
        **options: any field of `ClassifySettings`, by name.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.

    Example:
        >>> classifier = Classifier(max_steps=2000).fit("train.tsv", valid="dev.tsv")
        >>> classifier.predict(["a film to remember"])[0].labels
        >>> classifier.evaluate("test.tsv").model.accuracy
        >>> Classifier().fit([[0.1, 0.2, 0.4], [0.9, 0.3]], ["up", "down"])
        >>> classifier.save("runs/sentiment")
    """

    noun = "classifier"
    settings_class = ClassifySettings
    run_class = ClassifyRun

    @property
    def model(self) -> FittedClassifier:
        """The trained model. Raises RunError where the classifier is not fitted."""
        return self._fitted().model

    @property
    def reading(self) -> Reading:
        """How the training file was read; raises as `model`."""
        return self._fitted().reading

    def fit(
        self,
        data: Any,
        labels: Any = None,
        valid: Any = None,
        reading: Reading | None = None,
        vectors: str | Path | WordVectors | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        tensorboard: bool = False,
        progress: bool | None = None,
    ) -> Self:
        """Train on labelled texts or series.

        Args:
            data: the path of a file; a list of texts; a list of series, each (T, C) or (T,); or an array (N, T, C).
            labels: of the items of a list: a label each, or a list of labels.
            valid: to choose the best weights and to calibrate by: a file, or a pair of items and labels. Where None,
                `validation_share` of the items of each label.
            reading: how files are read.
            vectors: pretrained word vectors, or the path of a file in the formats of word2vec or GloVe.
            folder: where the run is kept while it trains, so that it can be resumed; None to keep it in memory.
            resume: go on with the run in `folder`.
            tensorboard: also log to TensorBoard.
            progress: show a bar; None shows one only in a terminal.

        Returns:
            The classifier itself.

        Raises:
            DataError: where the data cannot be used; the message names file, line and the way out.
            RunError: where the folder already holds a run, or has none to resume.
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved. Such a run can be
                loaded, but is not calibrated before it is resumed and ends.
        """
        path = None if folder is None else Path(folder)
        reading = reading or Reading()
        training, held_out = self._parts(as_items(data, labels, reading), valid, reading)
        if isinstance(vectors, str | Path):
            vectors = read_word_vectors(vectors, self.settings.max_vectors)
        model = prepare(training, self.settings, vectors)
        if held_out is not None:
            _check_number(model, held_out)
            _check_seen(model, held_out)
        assert training.labels is not None
        facts = _facts(training, held_out, vectors)
        kept = self._kept_run(path, resume, (facts, model.vectors))
        if kept is None:
            target = model.labels.encode(training.labels)
            baseline = fit_baseline(model.encoding, model.labels, values_of(training), target)
        else:
            baseline = kept.baseline
        run, resume = ClassifyRun(model, baseline, reading, facts), kept is not None
        trainer = make_trainer(model, training, held_out, path, tensorboard, progress)
        return self._train(run, trainer, path, resume, lambda: calibrate(model, held_out))

    def predict(self, data: Any, reading: Reading | None = None) -> list[Prediction]:
        """Labels and their probabilities.

        Args:
            data: items as for `fit`, without labels; a file may have them or not.
            reading: how a file is read; as in training where None.

        Raises:
            DataError: where the data cannot be used.
        """
        run = self._fitted()
        items = self._items(data, None, reading, needs_labels=False)
        model = run.model
        shares = model.probabilities(model.logits(model.encode(values_of(items), items.source)))
        names = model.labels.names.symbols
        return [
            Prediction(labels, _Shares(names, row))
            for labels, row in zip(model.labels.decode(shares), shares, strict=True)
        ]

    def evaluate(self, data: Any, labels: Any = None, reading: Reading | None = None) -> Evaluation:
        """Compare with known labels, beside a baseline.

        Args:
            data: items as for `fit`.
            labels: as for `fit`.
            reading: how a file is read; as in training where None.

        Raises:
            DataError: where the data cannot be used.
        """
        run = self._fitted()
        model = run.model
        items = self._items(data, labels, reading, needs_labels=True)
        assert items.labels is not None
        names, several = model.labels.names.symbols, model.labels.several
        _check_number(model, items)
        encoded = model.encode(values_of(items), items.source)
        logits = model.logits(encoded)
        shares = model.probabilities(logits)
        found = model.labels.decode(shares)
        target = model.labels.encode(items.labels).numpy()
        return Evaluation(
            items.source,
            several,
            score(items.labels, found, names, several),
            score(items.labels, run.baseline.predict(model.encoding, model.labels, values_of(items)), names, several),
            Baseline.name(model.reads_texts),
            _mean_loss(shares, target),
            _reliability(model.labels.probabilities(logits), target),
            _reliability(shares, target),
            model.temperature,
            self._early(items, encoded),
            dict(_unseen(model, items)),
        )

    def explain(self, item: Any, label: str | None = None) -> Explanation:
        """What each token of a text, or step of a series, adds to a label's log-odds.

        Args:
            item: a text, or a series (T, C) or (T,).
            label: which; the likeliest where None.

        Raises:
            DataError: where the item is not of the kind trained on.
            ParameterError: for a label that training never saw.
        """
        model = self.model
        model.labels.check(label)
        items = as_items([item], texts=model.reads_texts, needs_labels=False)
        if isinstance(items, LabelledTexts):
            return explain_text(model, items.texts[0], label)
        return explain_series(model, items.series[0], label)

    def _parts(self, given: Items, valid: Any, reading: Reading) -> tuple[Items, Items | None]:
        """The items to train on, and those to validate with."""
        if valid is None:
            return split(given, self.settings.validation_share, self.settings.seed)
        items, labels = valid if isinstance(valid, tuple) and len(valid) == 2 else (valid, None)
        return given, as_items(items, labels, reading, isinstance(given, LabelledTexts))

    def _items(self, data: Any, labels: Any, reading: Reading | None, needs_labels: bool) -> Items:
        run = self._fitted()
        return as_items(data, labels, reading or run.reading, run.model.reads_texts, needs_labels)

    def _early(self, items: Items, encoded: Any) -> dict[float, float]:
        model = self.model
        assert items.labels is not None
        found = {}
        for share in _SHARES:
            shares = model.labels.probabilities(model.logits(encoded.beginnings(share)))
            scores = score(items.labels, model.labels.decode(shares), model.labels.names.symbols, model.labels.several)
            found[share] = scores.overall.f1
        return found


def _mean_loss(shares: np.ndarray, target: np.ndarray) -> float:
    shares = np.clip(shares.astype(np.float64), 1e-12, 1)
    if target.ndim == 2:
        return float(-np.log(np.where(target > 0, shares, np.clip(1 - shares, 1e-12, 1))).mean())
    known = np.flatnonzero(target >= 0)
    return float(-np.log(shares[known, target[known]]).mean()) if len(known) else float("nan")


def _reliability(shares: np.ndarray, target: np.ndarray) -> Reliability:
    """Of the label said; with several labels of every label's probability."""
    if target.ndim == 2:
        return reliability(shares.ravel(), target.ravel() > 0)
    return reliability(shares.max(1), shares.argmax(1) == target)


def _facts(training: Items, valid: Items | None, vectors: WordVectors | None) -> dict[str, Any]:
    return {
        "source": training.source,
        "items": len(training),
        "digest": training.digest(),
        "validation": None if valid is None else valid.source,
        "validation_items": 0 if valid is None else len(valid),
        "validation_digest": None if valid is None else valid.digest(),
        "vectors": None if vectors is None else vectors.source,
    }


def _unseen(model: FittedClassifier, items: Items) -> Sequence[tuple[str, int]]:
    """Labels that training never saw, and how many items have each."""
    counts = Counter(label for labels in items.labels or () for label in labels if label not in model.labels.names)
    return counts.most_common()


def _check_number(model: FittedClassifier, items: Items) -> None:
    """See that each item has one label where each had in training.

    Raises:
        DataError: where one has another number.
    """
    wrong = next((k for k, given in enumerate(items.labels or (), start=1) if len(given) != 1), None)
    if wrong is not None and not model.labels.several:
        raise DataError(f"{items.source}: item {wrong} has another number of labels than one, as all had in training.")


def _check_seen(model: FittedClassifier, valid: Items) -> None:
    """Warn of labels that training never sees.

    Raises:
        DataError: where validation data have no others.
    """
    unseen = _unseen(model, valid)
    if unseen and not any(label in model.labels.names for labels in valid.labels or () for label in labels):
        raise DataError(f"{valid.source}: no item has a label that training has; give validation data of its kind.")
    if unseen:
        shown = ", ".join(f"{label!r} ({count})" for label, count in unseen[:5])
        more = ", ..." if len(unseen) > 5 else ""
        _log.warning("%s: labels that training never sees, which count as wrong: %s%s", valid.source, shown, more)
