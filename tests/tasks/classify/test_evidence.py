from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from recurra.data.text.vocabulary import Vocabulary
from recurra.data.text.word_encoding import WordEncoding
from recurra.tasks.classify import Classifier
from recurra.tasks.classify.evidence import MOST_LABELS, Evidence, SampledEvidence

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 6, "max_steps": 60, "batch_size": 16, "validate_every": 30, "learning_rate": 0.02,
    "averaging": 0.9, "dropout": 0.1, "device": "cpu",
}  # fmt: skip
TEXTS = [["a", "film", "a"], ["a", "film"], ["the", "film", "filmed"], ["the", "filmed", "x", "filmed"]]
LABELS = torch.tensor([0, 0, 1, 0])
# By falling frequency: film 1, a 2, filmed 3, the 4, with x unknown.
ENCODING = WordEncoding.of([["film"] * 5, ["a"] * 4, ["filmed"] * 3, ["the"] * 2], lowercase=True, min_count=1)


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of a quality, perhaps denied: the label is the quality's, or the other if "not" comes before it."""
    generator = np.random.default_rng(seed)
    given, labels = [], []
    for _ in range(count):
        good, denied = generator.random(2) < 0.5
        quality = f"{'good' if good else 'bad'}{generator.integers(4)}"
        filling = [f"w{k}" for k in generator.integers(20, size=4)]
        given.append(" ".join([*filling[:2], *(["not"] if denied else []), quality, *filling[2:]]))
        labels.append("+" if good != denied else "-")
    return given, labels


def test_counts_by_hand() -> None:
    evidence = Evidence.of(TEXTS, ENCODING, LABELS, 2)
    assert evidence.pairs.tolist() == [2 * 5 + 1]  # only "a film" is in two items
    assert evidence.grams.symbols == ("<film", "<the>", "film>", "filme", "ilmed", "lmed>")
    # With label 0, with label 1, in all: of the unknown word, the words, the pair and the grams. An item counts once.
    words = [[0, 0, 0], [2, 1, 3], [2, 0, 2], [1, 1, 2], [1, 1, 2]]
    grams = [[3, 1, 4], [1, 1, 2], [2, 1, 3], [1, 1, 2], [1, 1, 2], [1, 1, 2]]
    assert evidence.counts.tolist() == [*words, [2, 0, 2], *grams]
    assert evidence.items.tolist() == [3, 1, 4]
    assert evidence.size == 6
    (ids,) = evidence.ids([["A", "Film", "filmic", "film"]], ENCODING)
    assert ids[:, :4].tolist() == [[2, 0, 0, 0], [1, 5, 6, 8], [0, 0, 6, 0], [1, 0, 6, 8]]
    assert not ids[:, 4:].any()


def test_a_pair_needs_both_words_known() -> None:
    evidence = Evidence.of([["x", "a"], ["x", "a"], ["a", "x"]], ENCODING, torch.tensor([0, 1, 1]), 2)
    assert len(evidence.pairs) == 0
    assert not evidence.ids([["x", "a", "x"]], ENCODING)[0][:, 1:].any()


def test_evidence_by_hand() -> None:
    evidence = Evidence.of(TEXTS, ENCODING, LABELS, 2)
    (ids,) = evidence.ids([["a", "film", "films"]], ENCODING)
    values = evidence.values(torch.from_numpy(ids).long().unsqueeze(0))
    prior = 4 / 6  # of label 0

    def half(with_label: int, without: int) -> float:
        odds = (with_label + 2 * prior) / (without + 2 * (1 - prior))
        return 0.5 * np.log(odds * (1 - prior) / prior)

    rows = [
        [half(2, 0), 0, 0],
        [half(2, 1), half(2, 0), (half(3, 1) + half(2, 1)) / 4],
        [0, 0, half(3, 1) / 4],
    ]
    expected = [[value for one in row for value in (one, -one)] for row in rows]
    assert_allclose(values[0], expected, rtol=1e-4, atol=1e-6)


def test_what_no_item_has_says_nothing_whatever_the_labels_frequencies() -> None:
    items = torch.tensor([90.0, 10.0, 100.0])
    evidence = Evidence(torch.empty(0, dtype=torch.int64), Vocabulary([]), torch.zeros(3, 3), items)
    ids = torch.zeros(1, 2, 14, dtype=torch.int64)
    ids[0, :, 0] = torch.tensor([1, 2])
    assert_allclose(evidence.values(ids), torch.zeros(1, 2, 6), atol=1e-6)


def test_an_item_is_not_evidence_for_itself() -> None:
    evidence = Evidence.of(TEXTS, ENCODING, LABELS, 2)
    ids = evidence.ids(TEXTS, ENCODING)
    sampled = SampledEvidence(evidence, ids, LABELS, seed=0)
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(one).long() for one in ids], batch_first=True)
    counted = set()
    for epoch in range(20):
        values = sampled.of(np.arange(4), epoch).values(padded)
        assert values.isfinite().all()
        for item in range(4):
            # Its own label changes nothing of its evidence.
            other = LABELS.clone()
            other[item] = 1 - other[item]
            changed = SampledEvidence(evidence, ids, other, seed=0).of(np.array([item]), epoch)
            assert_allclose(changed.values(padded[item : item + 1])[0], values[item], atol=1e-6)
        counted.add(tuple(values.flatten().tolist()))
    assert len(counted) > 3  # epochs differ


def test_multi_label_counts() -> None:
    target = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    evidence = Evidence.of(TEXTS, ENCODING, target, 2)
    assert evidence.items.tolist() == [2, 2, 4]
    assert evidence.counts[2].tolist() == [2, 1, 2]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(**{**SMALL, "max_steps": 240}).fit(*texts(400, 0), validation=texts(100, 1), progress=False)


def test_order_corrects_what_counting_says(classifier: Classifier) -> None:
    """Half of all qualities are denied: a word alone says nothing, a pair of words says all."""
    evaluation = classifier.evaluate(*texts(200, 2))
    assert evaluation.scores["accuracy"] > 0.97 > 0.7 > evaluation.baselines["naive Bayes"]["accuracy"]
    assert classifier.predict(["w1 w2 not bad0 w3 w4", "w1 w2 bad0 w3 w4"]).tolist() == ["+", "-"]


def test_a_saved_run_reads_the_same_evidence(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "run")
    given, _ = texts(20, 3)
    assert_allclose(Classifier.load(tmp_path / "run").predict_proba(given), classifier.predict_proba(given))


def test_an_explanation_counts_evidence_in(classifier: Classifier) -> None:
    explanation = classifier.explain(text="w1 w2 not good1 w3 w4", label="-")
    largest = np.argsort(-np.abs(explanation.contributions))[:2]
    assert set(largest.tolist()) & {2, 3}
    assert abs(explanation.residual) < 0.05 * abs(explanation.log_odds - explanation.baseline_log_odds) + 0.05


def test_it_can_be_left_out() -> None:
    given, labels = texts(40, 0)
    options = {**SMALL, "max_steps": 1}
    assert Classifier(**options, evidence=False).fit(given, labels, progress=False).fitted.learned.evidence is None
    many = [f"label {k}" for k in range(MOST_LABELS + 1)]
    one = Classifier(**options).fit([f"a b {name}" for name in many], many, validation=None, progress=False)
    assert one.fitted.learned.evidence is None


def test_a_resumed_training_sees_the_same_evidence(tmp_path: Path) -> None:
    data, held = texts(80, 0), texts(20, 1)
    options = {**SMALL, "schedule": "constant"}
    whole = Classifier(**{**options, "max_steps": 12}).fit(*data, validation=held, progress=False)
    Classifier(**{**options, "max_steps": 7}).fit(*data, validation=held, folder=tmp_path / "run", progress=False)
    resumed = Classifier(**{**options, "max_steps": 12})
    resumed.fit(*data, validation=held, folder=tmp_path / "run", resume=True, progress=False)
    given, _ = texts(9, 2)
    assert_allclose(resumed.predict_proba(given), whole.predict_proba(given), atol=1e-6)
