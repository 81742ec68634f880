"""How good tags are: precision, recall and F1 of entities as in conlleval, and the fraction of right tags."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from recurra.data.text.conll import Sentence
from recurra.data.text.tag_schemes import recognise_scheme, spans_of
from recurra.training.counts import Counts

__all__ = ["Scores", "score"]


@dataclass(frozen=True)
class Scores:
    """The scores of tags.

    Attributes:
        words: the words with a tag in the reference.
        accuracy: the fraction of them with the right tag.
        by_tag: counts of entities by type, or of words by tag if the tags are not of entities.
        overall: counts of all entities, whose F1 is the micro average; None: the tags are not of entities.
    """

    words: int
    accuracy: float
    by_tag: dict[str, Counts]
    overall: Counts | None


def score(sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]], entities: bool | None = None) -> Scores:
    """Compare tags with those of the reference. Words without a tag in the reference do not count.

    Entities are read from the tags as the reference scorer conlleval does, whatever their scheme: an entity is right
    if both its words and its type are.

    Args:
        sentences: the reference.
        predicted: the tags of each sentence, one for each word.
        entities: whether tags are of entities; None: whether those of the reference are.
    """
    pairs = [
        [(tag, guess) for tag, guess in zip(sentence.tags or (), tags, strict=False) if tag is not None]
        for sentence, tags in zip(sentences, predicted, strict=True)
    ]
    words = sum(map(len, pairs))
    right = sum(tag == guess for sentence in pairs for tag, guess in sentence)
    accuracy = right / words if words else 0.0
    references = [[tag for tag, _ in sentence] for sentence in pairs]
    if entities is None:
        entities = recognise_scheme(references) is not None
    true, guessed, both = Counter[str](), Counter[str](), Counter[str]()
    for sentence, reference in zip(pairs, references, strict=True):
        if entities:
            one, other = set(spans_of(reference)), set(spans_of([guess for _, guess in sentence]))
            parts = ([span.type for span in spans] for spans in (one, other, one & other))
        else:
            parts = (reference, [guess for _, guess in sentence], [tag for tag, guess in sentence if tag == guess])
        for counter, kinds in zip((true, guessed, both), parts, strict=True):
            counter.update(kinds)
    by_tag = {kind: Counts(true[kind], guessed[kind], both[kind]) for kind in sorted(true | guessed)}
    overall = Counts(true.total(), guessed.total(), both.total()) if entities else None
    return Scores(words, accuracy, by_tag, overall)
