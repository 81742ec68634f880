"""The best of the texts that a search wrote, by a language model of words and hot words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from recurra.data.text.ngram_model import NgramModel
from recurra.models.decoding.timed import TimedHypothesis

__all__ = ["rescored"]

_UNKNOWN_LOG_PROB = -16.0  # of a word that the model has not, as in `CTCBeamSearch`


def rescored(
    hypotheses: Sequence[TimedHypothesis],
    language_model: NgramModel | None = None,
    *,
    weight: float = 0.5,
    bonus: float = 0.0,
    closed: bool = False,
    hot_words: Mapping[str, float] | None = None,
) -> list[TimedHypothesis]:
    """Hypotheses by the sum of their own score and of what `CTCBeamSearch` adds to it, best first.

    A text that no hypothesis has cannot become the best one: a beam that is fused as it is searched can do more.

    Args:
        hypotheses: of a search.
        language_model: an n-gram model of words; None: none.
        weight: of its log-probability.
        bonus: for each word, in nats.
        closed: leave out texts with words that the model has not, which may be all.
        hot_words: words, or phrases, that score more by these weights, in nats, each time they are in a text.
    """
    phrases = {tuple(phrase.split()): value for phrase, value in (hot_words or {}).items()}
    added = []
    for one in hypotheses:
        words = one.text.split()
        score = one.score + bonus * len(words)
        if language_model is not None:
            if closed and any(word not in language_model.ids for word in words):
                continue
            score += weight * sum(max(each, _UNKNOWN_LOG_PROB) for each in language_model.score(words))
        for phrase, value in phrases.items():
            starts = range(len(words) - len(phrase) + 1)
            score += value * sum(tuple(words[k : k + len(phrase)]) == phrase for k in starts)
        added.append(replace(one, score=score))
    return sorted(added, key=lambda one: -one.score)
