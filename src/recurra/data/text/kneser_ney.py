"""Estimation of n-gram models from text."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from recurra.data.text.ngram_model import BEGIN, END, UNKNOWN_WORDS, NgramModel, NgramTable
from recurra.errors import DataError
from recurra.shapes import check_positive

__all__ = ["absolute_discount", "estimate_ngrams"]

_NEVER = -99.0  # log10 of a probability of zero, by custom


def absolute_discount(counts: np.ndarray) -> float:
    """What each count is lessened by, n1 / (n1 + 2 n2) of counts that are 1 and 2 (Ney et al. 1994); 0.5 without those.

    Args:
        counts: of distinct n-grams (M,).
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / (once + 2 * twice) if once and twice else 0.5


def estimate_ngrams(
    sentences: Iterable[Sequence[str]], order: int = 3, vocabulary: Iterable[str] | None = None
) -> NgramModel:
    """An n-gram model with interpolated Kneser-Ney smoothing (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7).

    One discount an order, interpolated at the end with the uniform distribution over the vocabulary, the end of a
    sentence and the unknown word. N-grams that begin a sentence are counted as often as they are there, others below
    the order once for each word that precedes them.

    Args:
        sentences: words of each, to count.
        order: words of the longest n-gram; shorter sentences may leave the model with a lower one.
        vocabulary: words that have a probability though none may be there; those of the sentences are added.

    Returns:
        The model, with `<unk>` for other words.

    Raises:
        ParameterError: if the order is below 1.
        DataError: if there is no sentence, or one holds `<s>`, `</s>` or `<unk>`.
    """
    check_positive("order", order)
    texts = [tuple(sentence) for sentence in sentences]
    if not texts:
        raise DataError("an n-gram model cannot be estimated from no sentences")
    words = dict.fromkeys([BEGIN, END, UNKNOWN_WORDS[0], *(vocabulary or ()), *(word for one in texts for word in one)])
    for text in texts:
        reserved = {BEGIN, END, *UNKNOWN_WORDS}.intersection(text)
        if reserved:
            raise DataError(f"a sentence holds {min(reserved)}, which has another meaning: {' '.join(text)[:80]!r}")
    ids = {word: index for index, word in enumerate(words)}
    encoded = [(ids[BEGIN], *(ids[word] for word in text), ids[END]) for text in texts]
    order = min(order, max(map(len, encoded)))
    counts = _counts(encoded, order, ids[BEGIN])
    return NgramModel(tuple(words), tuple(_interpolate(counts, len(words), ids[BEGIN])))


def _counts(texts: list[tuple[int, ...]], order: int, begin: int) -> list[Counter[tuple[int, ...]]]:
    """Of each length the counts by n-gram."""
    counts = [Counter(text[i : i + order] for text in texts for i in range(len(text) - order + 1))]
    raw = [
        Counter(text[:length] for text in texts if len(text) >= length) for length in range(1, order)
    ]  # those that begin a sentence
    for length in range(order - 1, 0, -1):
        # Each distinct longer n-gram is one word that precedes its end.
        lower = Counter(gram[1:] for gram in counts[0])
        lower.update(raw[length - 1])
        counts.insert(0, lower)
    counts[0].pop((begin,), None)
    return counts


def _interpolate(counts: list[Counter[tuple[int, ...]]], vocabulary: int, begin: int) -> Iterable[NgramTable]:
    probabilities: dict[tuple[int, ...], float] = {}
    backoffs: dict[tuple[int, ...], float] = {}
    for length, grams in enumerate(counts, 1):
        discount = absolute_discount(np.fromiter(grams.values(), np.int64, len(grams)))
        totals: defaultdict[tuple[int, ...], int] = defaultdict(int)
        kinds: defaultdict[tuple[int, ...], int] = defaultdict(int)
        for gram, count in grams.items():
            totals[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        for context, total in totals.items():
            backoffs[context] = discount * kinds[context] / total
        if length == 1:
            # Every word but the beginning of a sentence, seen or not.
            uniform = backoffs[()] / (vocabulary - 1)
            for one in range(vocabulary):
                seen = max(grams[(one,)] - discount, 0) / totals[()]
                probabilities[(one,)] = 0.0 if one == begin else seen + uniform
        else:
            for gram, count in grams.items():
                context = gram[:-1]
                lower = probabilities[gram[1:]]
                probabilities[gram] = (count - discount) / totals[context] + backoffs[context] * lower
    by_length: list[list[tuple[int, ...]]] = [[] for _ in counts]
    for gram in probabilities:
        by_length[len(gram) - 1].append(gram)
    for length, grams in enumerate(by_length, 1):
        values = np.array([probabilities[gram] for gram in grams])
        log_probs = np.full(len(grams), _NEVER)
        np.log10(values, out=log_probs, where=values > 0)
        weights = np.array([backoffs.get(gram, 1.0) for gram in grams])
        yield NgramTable(np.array(grams, np.int32).reshape(-1, length), log_probs, np.log10(weights))
