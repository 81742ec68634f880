import numpy as np
import pytest

from recurra.models.baselines.ngram import ngram_surprise


def test_a_bigram_by_hand():
    # a b a c a b: of the bigrams ab (2), ba, ac, ca (1 each) n1 = 3 and n2 = 1, so that the discount is 3 / 5.
    train = np.array([0, 1, 0, 2, 0, 1])
    # Unigrams count after how many others they stand: a after 2, b and c after 1. n1 = 2, n2 = 1: 2 / 4.
    discount = 2 / 4
    unigram = (np.array([2, 1, 1]) - discount) / 4 + discount * 3 / 4 / 3
    after_a = np.array([0, 2 - 3 / 5, 1 - 3 / 5]) / 3 + 3 / 5 * 2 / 3 * unigram
    found = [np.exp(-ngram_surprise(train, [0, next_one], 3, order=2)[0]) for next_one in range(3)]
    np.testing.assert_allclose(found, after_a)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one_after_any_context(order: int):
    train = np.random.default_rng(0).integers(0, 4, 60)
    for context in ([1, 2, 0], [4, 4], [3, 1, 3, 1, 3]):  # 4 was never seen
        total = sum(np.exp(-ngram_surprise(train, [*context, token_id], 5, order)[-1]) for token_id in range(5))
        assert total == pytest.approx(1)


def test_what_repeats_is_no_surprise():
    train = np.tile(np.arange(7), 200)
    assert ngram_surprise(train, train[:50], 7).mean() < 0.05
    assert len(ngram_surprise(train, train[:50], 7)) == 49
    assert len(ngram_surprise(train, train[:1], 7)) == 0
