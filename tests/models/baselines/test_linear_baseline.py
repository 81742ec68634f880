import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import NearestCentroid

from made_classes import series, several, texts
from recurra.data.labelled.label_set import LabelSet
from recurra.data.labelled.series_encoding import SeriesEncoding
from recurra.data.labelled.text_encoding import TextEncoding
from recurra.data.text.word_encoding import WordEncoding
from recurra.models.baselines.linear import LinearBaseline, fit_linear_baseline


def text_encoding(given: list[str]) -> TextEncoding:
    return TextEncoding(WordEncoding.of([text.split() for text in given], True, 1), "words", 100)


def occurrences(encoding: TextEncoding, given: list[str]) -> np.ndarray:
    """Which words are in each text, (N, V)."""
    found = np.zeros((len(given), len(encoding.words.words)))
    for row, text in enumerate(given):
        found[row, [encoding.words.word(word) for word in text.split()]] = 1
    found[:, 0] = 0
    return found


def test_naive_bayes_is_that_of_scikit_learn_on_binary_counts() -> None:
    given, names = texts(30)
    given[3] += " the the the great great"
    labels = LabelSet.of([(name,) for name in names], "here")
    target = labels.encode([(name,) for name in names])
    encoding = text_encoding(given)
    found = fit_linear_baseline(encoding, labels, given, target)
    expected = MultinomialNB(alpha=1).fit(occurrences(encoding, given), target.numpy())
    assert_allclose(found.weight[1:], expected.feature_log_prob_.T[1:], rtol=1e-5)
    assert_allclose(found.bias, expected.class_log_prior_, rtol=1e-5)
    others = [*texts(20, 1)[0], "the great dull of nowhere nowhere", "", "nowhere"]
    predicted = [labels.names[label] for (label,) in found.predict(encoding, labels, others)]
    assert predicted == expected.predict(occurrences(encoding, others)).tolist()
    assert found.predict(encoding, labels, [""]) == [("bad",)]


def test_naive_bayes_of_several_labels_is_one_for_each() -> None:
    given, names = several(40)
    labels = LabelSet.of(names, "here")
    target = labels.encode(names)
    encoding = text_encoding(given)
    found = fit_linear_baseline(encoding, labels, given, target)
    others = several(20, 1)[0]
    predicted = found.predict(encoding, labels, others)
    for k, label in enumerate(labels.names.symbols):
        one = MultinomialNB(alpha=1).fit(occurrences(encoding, given), target[:, k].numpy())
        expected = one.predict(occurrences(encoding, others))
        assert [label in labels_of for labels_of in predicted] == expected.astype(bool).tolist()
    assert len(set(predicted)) > 2


def summary(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values.mean(0), values.std(0), np.abs(np.diff(values, axis=0)).mean(0)])


def test_the_nearest_mean_by_hand() -> None:
    given, names = series(20)
    labels = LabelSet.of([(name,) for name in names], "here")
    target = labels.encode([(name,) for name in names])
    encoding = SeriesEncoding.of(given, ("x", "y"))
    found = fit_linear_baseline(encoding, labels, given, target)
    mean, deviation = np.array(encoding.mean), np.array(encoding.deviation)
    features = np.stack([summary((one - mean) / deviation) for one in given])
    others = [values * 1.5 - 2 for values in series(12, 1)[0]]
    expected = (
        NearestCentroid().fit(features, target).predict(np.stack([summary((one - mean) / deviation) for one in others]))
    )
    assert [labels.names[label] for (label,) in found.predict(encoding, labels, others)] == expected.tolist()


def test_the_nearest_mean_of_several_labels_is_with_or_without_each() -> None:
    levels = {("a",): 0.0, ("a", "b"): 1.0, (): 2.0}
    given = [level + np.array([[0.0], [0.1], [0.0]]) for level in levels.values()]
    labels = LabelSet.of(list(levels), "here")
    encoding = SeriesEncoding.of(given, ("x",), "none")
    found = fit_linear_baseline(encoding, labels, given, labels.encode(list(levels)))
    # a has the mean 1/2, else 2; b has the mean 1, else 1.
    assert [set(one) - {"b"} for one in found.predict(encoding, labels, [given[0] + x for x in (0.9, 1.2, 1.4)])] == [
        {"a"},
        {"a"},
        set(),
    ]


def test_a_series_of_one_step_and_missing_values() -> None:
    given = [np.array([[0.0]]), np.array([[3.0]]), np.array([[np.nan], [3.2]])]
    labels = LabelSet.of([("low",), ("high",), ("high",)], "here")
    encoding = SeriesEncoding.of(given, ("x",))
    found = fit_linear_baseline(encoding, labels, given, labels.encode([("low",), ("high",), ("high",)]))
    assert found.weight.isfinite().all()
    assert found.predict(encoding, labels, [np.array([[-1.0]]), np.array([[4.0]])]) == [("low",), ("high",)]


@pytest.mark.parametrize("many", [False, True])
def test_its_name_and_blank_texts_in_training(many: bool) -> None:
    assert (LinearBaseline.name(True), LinearBaseline.name(False)) == ("naive Bayes", "nearest mean")
    names = [("a",), ("b",)] if not many else [("a", "b"), ("a",)]
    labels = LabelSet.of(names, "here")
    encoding = text_encoding(["one", ""])
    found = fit_linear_baseline(encoding, labels, ["one", ""], labels.encode(names))
    assert torch.isfinite(found.weight).all()
    assert torch.isfinite(found.bias).all()
