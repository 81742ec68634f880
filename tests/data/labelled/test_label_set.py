import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

from recurra.data.labelled.label_set import LabelSet
from recurra.errors import DataError

ONE = LabelSet.of([("b",), ("a",), ("c",), ("b",)], "here")
SEVERAL = LabelSet.of([("b", "a"), (), ("b",), ("c", "b")], "here")


def test_one_label_an_item() -> None:
    assert (ONE.names.symbols, ONE.counts, ONE.multi_label, len(ONE)) == (("b", "a", "c"), (2, 1, 1), False, 3)
    assert ONE.encode([("c",), ("b",), ("z",)]).tolist() == [2, 0, -100]
    assert ONE.decode(np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]])) == [("a",), ("b",)]


def test_several_labels_an_item() -> None:
    assert (SEVERAL.names.symbols, SEVERAL.counts, SEVERAL.multi_label) == (("b", "a", "c"), (3, 1, 1), True)
    assert SEVERAL.encode([("c", "b"), (), ("z", "a")]).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert SEVERAL.decode(np.array([[0.6, 0.5, 0.51], [0.1, 0.2, 0.3]])) == [("b", "c"), ()]


def test_labels_become_what_they_were() -> None:
    for label_type, names, values in (
        ("integer", ("2", "10"), [2, 10]),
        ("number", ("1", "0.5"), [1.0, 0.5]),
        ("boolean", ("true", "false"), [True, False]),
        ("text", ("2", "true"), ["2", "true"]),
    ):
        labels = LabelSet.of([(name,) for name in names], "here", label_type)  # type: ignore[arg-type]
        read = LabelSet.from_json(json.loads(json.dumps(labels.to_json())))
        restored = [read.restore(name) for name in names]
        assert restored == values
        assert [type(one) for one in restored] == [type(one) for one in values]


def test_a_label_twice_is_once() -> None:
    found = LabelSet.of([("a", "a"), ("b",)], "here")
    assert (found.counts, found.multi_label) == ((1, 1), False)


@pytest.mark.parametrize("labels", [ONE, SEVERAL], ids=["one", "several"])
def test_probabilities(labels: LabelSet) -> None:
    logits = np.array([[1, 2, -1], [300, -300, 0], [-2000, 2000, 1000]], np.float32)
    expected = expit(logits.astype(float)) if labels.multi_label else softmax(logits.astype(float), axis=1)
    assert_allclose(labels.probabilities(logits), expected, atol=1e-12)


def test_weights_make_labels_count_the_same() -> None:
    target = ONE.encode([("b",), ("a",), ("c",), ("b",)])
    weights = ONE.weights(4)
    assert weights[target].mean() == pytest.approx(1)
    sums = torch.zeros(3).index_add(0, target, weights[target])
    torch.testing.assert_close(sums, sums[:1].expand(3))
    positive = SEVERAL.encode([("b", "a"), (), ("b",), ("c", "b")])
    torch.testing.assert_close((positive * SEVERAL.weights(4)).sum(0), (1 - positive).sum(0))
    everywhere = LabelSet.of([("a", "b"), ("a",)], "here").weights(2)
    assert everywhere.tolist() == [0.5, 1.0]


def test_json() -> None:
    for labels in (ONE, SEVERAL):
        found = LabelSet.from_json(json.loads(json.dumps(labels.to_json())))
        assert (found.names.symbols, found.counts, found.multi_label) == (
            labels.names.symbols,
            labels.counts,
            labels.multi_label,
        )


def test_refusals() -> None:
    with pytest.raises(DataError, match="here: every item has the label 'a'; there is nothing to learn"):
        LabelSet.of([("a",), ("a",)], "here")
    with pytest.raises(DataError, match="here: no item has a label"):
        LabelSet.of([(), ()], "here")
    assert len(LabelSet.of([("a",), ()], "here")) == 1


def test_confidence_is_that_of_the_least_confident_decision() -> None:
    assert_allclose(ONE.confidence(np.array([[0.25, 0.7, 0.05], [0.3, 0.4, 0.3]])), [0.7, 0.4])
    probabilities = np.array([[0.9, 0.6, 0.1], [0.1, 0.3, 0.0], [0.9, 0.4, 0.0]])
    assert_allclose(SEVERAL.confidence(probabilities), [0.6, 0.7, 0.6])
