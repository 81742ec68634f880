"""The classifier among scikit-learn's tools."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from made_classes import texts
from recurra.tasks.classify import Classifier

SMALL: dict[str, Any] = {
    "hidden_size": 6, "word_size": 6, "max_steps": 24, "batch_size": 12, "validate_every": 12, "learning_rate": 0.05,
    "dropout": 0.1, "averaging": 0.8, "validation_fraction": 0.0, "members": 1, "device": "cpu",
}  # fmt: skip


def rising(count: int = 36) -> tuple[np.ndarray, np.ndarray]:
    """Series (N, 6) that rise, with the label 5, or fall, with the label 3."""
    generator = np.random.default_rng(0)
    signs = np.where(np.arange(count) % 2, 1, -1)
    values = signs[:, None] * np.linspace(-1, 1, 6) + 0.1 * generator.normal(size=(count, 6))
    return values, np.where(signs > 0, 5, 3)


@pytest.mark.slow
def test_cross_validation_and_a_grid_search_over_two_hidden_sizes() -> None:
    values, labels = rising()
    assert is_classifier(Classifier())
    scores = cross_val_score(Classifier(**SMALL), values, labels, cv=2)
    assert scores.shape == (2,)
    assert scores.min() > 0.9
    search = GridSearchCV(Classifier(**SMALL), {"hidden_size": [1, 8]}, cv=2).fit(values, labels)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.hidden_size == search.best_params_["hidden_size"]
    assert search.best_estimator_.predict(values).dtype.kind == "i"
    sentences, names = texts(30)
    by_word = cross_val_score(Classifier(**SMALL), sentences, names, cv=2, scoring="neg_log_loss")
    assert np.isfinite(by_word).all()


def test_a_pipeline() -> None:
    values, labels = rising()
    pipeline = make_pipeline(FunctionTransformer(lambda given: given - 7), Classifier(**SMALL)).fit(values + 7, labels)
    assert pipeline.score(values + 7, labels) > 0.9
    assert pipeline.classes_.tolist() == [3, 5]
    pipeline.set_params(classifier__hidden_size=3)
    assert pipeline.get_params()["classifier__hidden_size"] == 3


@pytest.mark.parametrize(
    ("made", "expected", "kind"),
    [
        (np.asarray, (3, 5), "i"),
        (torch.tensor, (3, 5), "i"),
        (pd.Series, (3, 5), "i"),
        (pl.Series, (3, 5), "i"),
        (lambda labels: labels / 2, (1.5, 2.5), "f"),
        (lambda labels: labels == 5, (False, True), "b"),
        (lambda labels: [str(label) for label in labels], ("3", "5"), "U"),
    ],
    ids=["array", "tensor", "pandas", "polars", "float", "bool", "text"],
)
def test_labels_come_back_as_they_came(made: Any, expected: tuple[Any, ...], kind: str, tmp_path: Path) -> None:
    values, labels = rising(12)
    classifier = Classifier(**{**SMALL, "max_steps": 1}).fit(values, made(labels), progress=False)
    classifier.save(tmp_path / "run")
    for one in (classifier, Classifier.load(tmp_path / "run")):
        assert tuple(one.classes_.tolist()) == expected
        predicted = one.predict(values)
        assert predicted.dtype.kind == one.classes_.dtype.kind == kind
        assert predicted.shape == (12,)
        assert set(predicted.tolist()) <= set(expected)
        found = one.predictions(values)[0]
        assert type(found.labels[0]) is type(expected[0])
        # Of two labels the confidence may be 1 less the other's probability, which rounds differently.
        assert found.probabilities[found.labels[0]] == pytest.approx(found.confidence)


def test_the_score_is_the_accuracy_and_probabilities_are_in_the_order_of_the_labels() -> None:
    values, labels = rising()
    # The label 3 is rarer than 5, so that the order by frequency is another.
    values, labels = values[2::2].tolist() + values[1::2].tolist(), [*labels[2::2], *labels[1::2]]
    classifier = Classifier(**SMALL).fit(values, labels, progress=False)
    assert classifier.classes_.tolist() == [3, 5]
    probabilities = classifier.predict_proba(values)
    assert probabilities.sum(1) == pytest.approx(1)
    predicted = classifier.predict(values)
    assert np.array_equal(classifier.classes_[probabilities.argmax(1)], predicted)
    assert classifier.score(values, labels) == accuracy_score(labels, predicted) > 0.9


def test_a_clone_is_unfitted_and_has_the_same_options() -> None:
    classifier = Classifier(**SMALL, pooling=("last", "max")).fit(*rising(12), progress=False)
    copy: Any = clone(classifier)
    assert copy == classifier
    assert not copy.__sklearn_is_fitted__()
