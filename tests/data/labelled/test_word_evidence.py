from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from recurra.data.labelled.word_evidence import Evidence, SampledEvidence
from recurra.data.text.vocabulary import Vocabulary
from recurra.data.text.word_encoding import WordEncoding

TEXTS = [["a", "film", "a"], ["a", "film"], ["the", "film", "filmed"], ["the", "filmed", "x", "filmed"]]
LABELS = torch.tensor([0, 0, 1, 0])
# By falling frequency: film 1, a 2, filmed 3, the 4, with x unknown.
ENCODING = WordEncoding.of([["film"] * 5, ["a"] * 4, ["filmed"] * 3, ["the"] * 2], lowercase=True, min_count=1)


def test_counts_by_hand() -> None:
    evidence = Evidence.of(TEXTS, ENCODING, LABELS, 2)
    assert evidence.pairs.tolist() == [2 * 5 + 1]  # only "a film" is in two items
    assert evidence.grams.symbols == ("<film", "<the>", "film>", "filme", "ilmed", "lmed>")
    # With label 0, with label 1, in all: of the unknown word, the words, the pair and the grams. An item counts once.
    words = [[0, 0, 0], [2, 1, 3], [2, 0, 2], [1, 1, 2], [1, 1, 2]]
    grams = [[3, 1, 4], [1, 1, 2], [2, 1, 3], [1, 1, 2], [1, 1, 2], [1, 1, 2]]
    assert evidence.counts.tolist() == [*words, [2, 0, 2], *grams]
    assert evidence.items.tolist() == [3, 1, 4]
    assert evidence.size == 8
    assert not evidence.shifts.any()  # every word is rare
    (ids,) = evidence.ids([["A", "Film", "filmic", "film"]], ENCODING)
    assert ids[:, :4].tolist() == [[2, 0, 0, 0], [1, 5, 6, 8], [0, 0, 6, 0], [1, 0, 6, 8]]
    assert not ids[:, 4:].any()


def test_a_pair_needs_both_words_known() -> None:
    evidence = Evidence.of([["x", "a"], ["x", "a"], ["a", "x"]], ENCODING, torch.tensor([0, 1, 1]), 2)
    assert len(evidence.pairs) == 0
    assert not evidence.ids([["x", "a", "x"]], ENCODING)[0][:, 1:].any()


def test_evidence_by_hand() -> None:
    shifts = torch.tensor([0.0, 0.5, -1.5, 0.0, 0.0])  # of film and of a
    evidence = replace(Evidence.of(TEXTS, ENCODING, LABELS, 2), shifts=shifts)
    (ids,) = evidence.ids([["a", "film", "films"]], ENCODING)
    values = evidence.values(torch.from_numpy(ids).long().unsqueeze(0))
    prior = 4 / 6  # of label 0

    def half(with_label: int, without: int) -> float:
        odds = (with_label + 2 * prior) / (without + 2 * (1 - prior))
        return 0.5 * np.log(odds * (1 - prior) / prior)

    rows = [
        [half(2, 0), 0, 0, 0],
        [half(2, 1), half(2, 0), (half(3, 1) + half(2, 1)) / 4, -1.5 * half(2, 1)],
        [0, 0, half(3, 1) / 4, 0],
    ]
    expected = [[value for one in row for value in (one, -one)] for row in rows]
    assert_allclose(values[0], expected, rtol=1e-4, atol=1e-6)


def test_what_no_item_has_says_nothing_whatever_the_labels_frequencies() -> None:
    items = torch.tensor([90.0, 10.0, 100.0])
    evidence = Evidence(torch.empty(0, dtype=torch.int64), Vocabulary([]), torch.zeros(3, 3), items, torch.ones(3))
    ids = torch.zeros(1, 2, 14, dtype=torch.int64)
    ids[0, :, 0] = torch.tensor([1, 2])
    assert_allclose(evidence.values(ids), torch.zeros(1, 2, 8), atol=1e-6)


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


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_word_that_inverts_others_inverts_one_that_never_came_after_it(multi_label: bool) -> None:
    generator = np.random.default_rng(0)
    # Short words have no grams in common, which would say what words say.
    good, bad, others = (tuple(f"{kind}{k}" for k in range(6)) for kind in ("g", "b", "o"))
    texts, labels = [], []
    for _ in range(500):
        is_good, inverted = generator.random() < 0.5, generator.random() < 0.25
        word = str(generator.choice(good if is_good else bad))
        # No item inverts the last word of each kind.
        inverted = inverted and word not in ("g5", "b5")
        before, between = generator.choice(others, 3), generator.choice(others, generator.integers(3))
        texts.append([*before, *["not"] * inverted, *between, word])
        labels.append(int(is_good != inverted))
    encoding = WordEncoding.of(texts, lowercase=True, min_count=1)
    target = torch.tensor(labels)
    evidence = Evidence.of(texts, encoding, torch.nn.functional.one_hot(target).float() if multi_label else target, 2)
    shifts = {word: float(evidence.shifts[encoding.word(word)]) for word in ("not", *others)}
    assert shifts.pop("not") < -1.2
    assert min(shifts.values()) > -0.3
    again = Evidence.from_json(evidence.to_json(), evidence.tensors())
    ids = again.ids([["not", "b5"], ["not", "g5"], ["b5", "x"]], encoding)
    sums = again.values(torch.from_numpy(np.stack(ids)).long()).unflatten(2, (4, 2)).sum(1)
    positive = sums[:, 0, 1] + sums[:, 3, 1]  # of words, and what is before them
    assert positive[0] > 0.1
    assert positive[1] < -0.1
    assert positive[2] < -0.1
