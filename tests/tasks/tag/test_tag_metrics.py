"""Scores against seqeval, which follows the reference scorer conlleval, and by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report

from recurra.data.text.conll import Sentence
from recurra.tasks.tag.scores import score
from recurra.training.counts import Counts

TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("LOC", "PER"))]
pairs = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=8), min_size=1, max_size=4
)


def check_against_seqeval(true: list[list[str]], found: list[list[str]]) -> None:
    sentences = [Sentence(("w",) * len(tags), tuple(tags)) for tags in true]
    scores = score(sentences, found, entities=True)
    assert scores.accuracy == pytest.approx(accuracy_score(true, found))
    report: Any = classification_report(true, found, output_dict=True, zero_division=0)  # type: ignore[arg-type]
    assert scores.overall is not None
    expected = {**scores.by_tag, "micro avg": scores.overall}
    for name, counts in expected.items():
        one = report[name]
        values = (counts.precision, counts.recall, counts.f1, counts.true)
        assert values == pytest.approx((one["precision"], one["recall"], one["f1-score"], one["support"])), name


@given(pairs)
def test_equal_to_conlleval_whatever_the_tags(sentences: list[list[tuple[str, str]]]) -> None:
    if all(tag == "O" for sentence in sentences for pair in sentence for tag in pair):
        return  # seqeval reports nothing where there is no entity
    check_against_seqeval([[tag for tag, _ in s] for s in sentences], [[tag for _, tag in s] for s in sentences])


@pytest.mark.parametrize(
    ("true", "found"),
    [
        ("B-PER I-PER O", "I-PER I-PER O"),  # no B: an entity still
        ("B-PER I-PER O", "B-PER I-LOC O"),  # a change of type within
        ("B-PER B-PER", "B-PER I-PER"),  # two joined to one
        ("I-PER B-PER O", "I-PER I-PER O"),  # IOB1
        ("B-PER I-PER O I-PER", "B-PER O O I-PER"),
        ("S-PER B-LOC E-LOC", "S-PER B-LOC I-LOC"),  # IOBES, not closed
        ("O B-LOC E-LOC S-LOC", "O I-LOC E-LOC E-LOC"),
        ("O O", "B-PER O"),
        ("B-PER O", "O O"),
        ("B-PER I-PER", "B-PER I-PER"),
    ],
)
def test_tricky_cases(true: str, found: str) -> None:
    check_against_seqeval([true.split(), ["O"]], [found.split(), ["O"]])


def test_entities_do_not_cross_sentences() -> None:
    sentences = [Sentence(("a",), ("I-PER",)), Sentence(("b",), ("I-PER",))]
    scores = score(sentences, [["I-PER"], ["I-PER"]])
    assert scores.overall == Counts(2, 2, 2)


def test_tags_of_no_entity() -> None:
    sentences = [Sentence(("a", "b", "c"), ("NOUN", "VERB", None)), Sentence(("d",), ("NOUN",))]
    scores = score(sentences, [["NOUN", "NOUN", "VERB"], ["X"]])
    assert (scores.words, scores.accuracy, scores.overall) == (3, pytest.approx(1 / 3), None)
    assert scores.by_tag == {"NOUN": Counts(2, 2, 1), "VERB": Counts(1, 0, 0), "X": Counts(0, 1, 0)}
    assert (scores.by_tag["NOUN"].precision, scores.by_tag["NOUN"].recall, scores.by_tag["NOUN"].f1) == (0.5, 0.5, 0.5)
    assert Counts().precision == Counts().recall == Counts().f1 == 0


def test_nothing_is_known() -> None:
    scores = score([Sentence(("a",), (None,)), Sentence(("b",))], [["X"], ["Y"]])
    assert (scores.words, scores.accuracy, scores.by_tag) == (0, 0.0, {})
