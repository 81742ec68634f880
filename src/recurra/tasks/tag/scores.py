"""How good tags are: precision, recall and F1 of entities as conlleval has them, and the share of right tags."""

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
        words: with a tag in the reference.
        accuracy: the share of them with the right tag.
        by_tag: counts of entities by type, or of words by tag where tags are of no entity.
        overall: counts of all entities, of which F1 is the micro average; None for tags of no entity.
    """

    words: int
    accuracy: float
    by_tag: dict[str, Counts]
    overall: Counts | None


def score(sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]], entities: bool | None = None) -> Scores:
    """Compare tags with those of the reference; of words without a tag there nothing counts.

    Entities are read from the tags as the reference scorer conlleval does, whatever their scheme: an entity is right
    where both its words and its type are.

    Args:
        sentences: the reference.
        predicted: tags of each, one a word.
        entities: whether tags are of entities; whether those of the reference are where None.
    """
    pairs = [
        [(tag, found) for tag, found in zip(sentence.tags or (), tags, strict=False) if tag is not None]
        for sentence, tags in zip(sentences, predicted, strict=True)
    ]
    words = sum(map(len, pairs))
    right = sum(tag == found for sentence in pairs for tag, found in sentence)
    accuracy = right / words if words else 0.0
    references = [[tag for tag, _ in sentence] for sentence in pairs]
    if entities is None:
        entities = recognise_scheme(references) is not None
    true, said, both = Counter[str](), Counter[str](), Counter[str]()
    for sentence, reference in zip(pairs, references, strict=True):
        if entities:
            one, other = set(spans_of(reference)), set(spans_of([found for _, found in sentence]))
            parts = ([span.type for span in spans] for spans in (one, other, one & other))
        else:
            parts = (reference, [found for _, found in sentence], [tag for tag, found in sentence if tag == found])
        for counter, kinds in zip((true, said, both), parts, strict=True):
            counter.update(kinds)
    by_tag = {kind: Counts(true[kind], said[kind], both[kind]) for kind in sorted(true | said)}
    overall = Counts(true.total(), said.total(), both.total()) if entities else None
    return Scores(words, accuracy, by_tag, overall)
