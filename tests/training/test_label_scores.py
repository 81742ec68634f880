from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, multilabel_confusion_matrix
from sklearn.metrics import precision_recall_fscore_support as per_label

from recurra.training.counts import Counts
from recurra.training.label_scores import score_labels

NAMES = ("a", "b", "c")
ZERO: dict[str, Any] = {"zero_division": 0}


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcxy"), st.sampled_from("abc")), min_size=1, max_size=12))
def test_one_label_an_item_is_as_in_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """x and y are in the test alone."""
    true, predicted = zip(*pairs, strict=True)
    found = score_labels([(label,) for label in true], [(label,) for label in predicted], NAMES, multi_label=False)
    used = sorted({*true, *predicted})
    assert found.items == len(pairs)
    assert found.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert found.overall.f1 == pytest.approx(found.accuracy)
    assert found.macro_f1 == pytest.approx(f1_score(true, predicted, labels=used, average="macro", **ZERO))
    assert found.labels == (*NAMES, *sorted({*true} & {*"xy"}))
    assert found.confusion is not None
    assert np.array_equal(found.confusion, confusion_matrix(true, predicted, labels=list(found.labels)))
    expected: Any = per_label(true, predicted, labels=list(found.labels), **ZERO)
    counts = [found.by_label[label] for label in found.labels]
    for values, name in zip(expected[:3], ("precision", "recall", "f1"), strict=True):
        assert [getattr(one, name) for one in counts] == pytest.approx(values.tolist())
    assert [one.true for one in counts] == expected[3].tolist()


SOME = st.sets(st.sampled_from("abc")).map(lambda labels: tuple(sorted(labels)))


@settings(max_examples=25)
@given(st.lists(st.tuples(SOME, SOME), min_size=1, max_size=10))
def test_several_labels_an_item_are_as_in_scikit_learn(pairs) -> None:
    true, predicted = zip(*pairs, strict=True)
    found = score_labels(true, predicted, NAMES, multi_label=True)
    one, other = (np.array([[name in labels for name in NAMES] for labels in side], int) for side in (true, predicted))
    used = np.flatnonzero(one.any(0) | other.any(0))
    assert found.accuracy == pytest.approx(accuracy_score(one, other))
    assert found.overall.f1 == pytest.approx(f1_score(one, other, average="micro", **ZERO))
    macro = f1_score(one, other, labels=list(used), average="macro", **ZERO) if len(used) else 0.0
    assert found.macro_f1 == pytest.approx(macro)
    assert found.confusion is None
    for name, matrix in zip(NAMES, multilabel_confusion_matrix(one, other), strict=True):
        counts = found.by_label[name]
        assert counts.right == matrix[1, 1]
        assert (counts.true - counts.right, counts.predicted - counts.right) == (matrix[1, 0], matrix[0, 1])


def test_a_label_only_in_the_test_is_never_right() -> None:
    found = score_labels([("a",), ("z",)], [("a",), ("a",)], ("a", "b"), multi_label=False)
    assert found.labels == ("a", "b", "z")
    assert found.by_label["z"] == Counts(1, 0, 0)
    assert found.confusion is not None
    assert found.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert found.accuracy == 0.5
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    unseen = score_labels([("z",), ()], [("a",), ()], ("a",), multi_label=True)
    assert (unseen.accuracy, unseen.overall.f1) == (0.5, 0.0)


def test_counts_of_nothing() -> None:
    assert (Counts(0, 0, 0).precision, Counts(0, 0, 0).recall, Counts(0, 0, 0).f1) == (0, 0, 0)
    assert Counts(4, 2, 1).f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)
