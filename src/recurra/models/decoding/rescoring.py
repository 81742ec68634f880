"""The best of the texts that a search wrote, by a language model of words and hot words."""

from collections.abc import Callable, Container, Mapping, Sequence
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
    text_scores: Callable[[Sequence[str]], Sequence[float]] | None = None,
    lexicon: Container[str] | None = None,
    hot_words: Mapping[str, float] | None = None,
) -> list[TimedHypothesis]:
    """Hypotheses by the sum of their own score and of what `CTCBeamSearch` adds to it, best first.

    A text that no hypothesis has cannot become the best one: a beam that is fused as it is searched can do more.

    Args:
        hypotheses: of a search.
        language_model: an n-gram model of words; None: none.
        weight: of its log-probability.
        bonus: for each word, in nats.
        text_scores: the log-probabilities of texts by another model, such as a recurrent one; they have this weight
            too.
        lexicon: leave out texts with other words, which may be all; None: any.
        hot_words: words, or phrases, that score more by these weights, in nats, each time they are in a text.
    """
    phrases = {tuple(phrase.split()): value for phrase, value in (hot_words or {}).items()}
    if lexicon is not None:
        hypotheses = [one for one in hypotheses if all(word in lexicon for word in one.text.split())]
    texts = [one.text for one in hypotheses]
    by_text = [0.0] * len(texts) if text_scores is None else text_scores(texts)
    added = []
    for one, by_model in zip(hypotheses, by_text, strict=True):
        words = one.text.split()
        score = one.score + bonus * len(words) + weight * by_model
        if language_model is not None:
            score += weight * sum(max(each, _UNKNOWN_LOG_PROB) for each in language_model.score(words))
        for phrase, value in phrases.items():
            starts = range(len(words) - len(phrase) + 1)
            score += value * sum(tuple(words[k : k + len(phrase)]) == phrase for k in starts)
        added.append(replace(one, score=score))
    return sorted(added, key=lambda one: -one.score)
