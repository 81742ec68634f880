"""Interpolated Kneser-Ney n-grams of tokens: what a neural language model has to beat."""

import numpy as np
from numpy.typing import ArrayLike

from recurra.data.text.kneser_ney import absolute_discount

__all__ = ["ORDER", "ngram_surprise"]

ORDER = 6


def ngram_surprise(train: ArrayLike, text: ArrayLike, vocabulary_size: int, order: int = ORDER) -> np.ndarray:
    """The surprise, -log p in nats, of each token of a text but the first, (M - 1,).

    Interpolated Kneser-Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7) with one discount an
    order, n1 / (n1 + 2 n2), interpolated at the end with the uniform distribution.

    Args:
        train: ids to count, (N,).
        text: ids to predict, (M,), each from up to `order` - 1 before it in the text.
        vocabulary_size: V.
        order: n, tokens of the longest n-gram.
    """
    train, text = np.asarray(train, np.int64), np.asarray(text, np.int64)
    both = np.concatenate([train, text])
    learned = len(train)
    # The id of the k-gram that ends at each token: equal k-grams have equal ids. A k-gram that begins before the text
    # (or before the training text) is not valid.
    grams = [np.zeros(len(both), np.int64)]
    valid = [np.ones(len(both), bool)]
    for length in range(1, order + 1):
        shorter = np.concatenate([[0], grams[-1][:-1]])
        _, gram = np.unique(shorter * vocabulary_size + both, return_inverse=True)
        inside = np.arange(len(both)) >= length - 1
        inside[learned : learned + length - 1] = False
        grams.append(gram)
        valid.append(inside)
    probability = np.full(len(both), 1 / vocabulary_size)
    for length in range(1, order + 1):
        probability = _interpolate(grams, valid, length, order, learned, probability)
    return -np.log(probability[learned + 1 :])


def _interpolate(
    grams: list[np.ndarray], valid: list[np.ndarray], length: int, order: int, learned: int, shorter: np.ndarray
) -> np.ndarray:
    """The probabilities by n-grams of a length, from those of the length below, at every token."""
    seen = valid[length][:learned]
    ends = np.flatnonzero(seen)
    distinct, first = np.unique(grams[length][:learned][seen], return_index=True)
    first = ends[first]  # a token at which each distinct n-gram ends
    size = int(grams[length].max()) + 1
    if length == order:
        counts = np.bincount(grams[length][:learned][seen], minlength=size)
    else:
        # A shorter n-gram counts once for each different token that precedes it.
        longer = valid[length + 1][:learned]
        tokens = np.flatnonzero(longer)
        _, at = np.unique(grams[length + 1][:learned][longer], return_index=True)
        counts = np.bincount(grams[length][tokens[at]], minlength=size)
    context = np.concatenate([[0], grams[length - 1][:-1]])
    contexts = int(context.max()) + 1
    # No token precedes an n-gram at the beginning: it may count zero.
    held = distinct[counts[distinct] > 0]
    held_context = context[first[counts[distinct] > 0]]
    total = np.bincount(held_context, counts[held], minlength=contexts)
    kinds = np.bincount(held_context, minlength=contexts)
    discount = absolute_discount(counts[held])
    known = valid[length] & (total[context] > 0)
    divisor = np.where(known, total[context], 1)
    discounted = np.maximum(counts[grams[length]] - discount, 0) / divisor
    return np.where(known, discounted + discount * kinds[context] / divisor * shorter, shorter)
