from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from recurra.data.text.tag_schemes import (
    SCHEMES,
    Span,
    allowed_transitions,
    entity_types,
    recognise_scheme,
    scheme_tags,
    spans_of,
    split_tag,
    tags_of,
)
from recurra.errors import ParameterError

TYPES = ["A", "B-x", "PER"]  # a type may have a dash in it
any_tags = st.lists(
    st.sampled_from(["O", *(f"{p}-{kind}" for p in "BIES" for kind in TYPES), *"BIES"]), min_size=1, max_size=12
)


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Spans in order, some of them adjoining, and the number of words."""
    spans, end = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = end + draw(st.integers(0, 2))
        end = start + draw(st.integers(1, 3))
        spans.append(Span(draw(st.sampled_from(["", *TYPES])), start, end))
    return spans, end + draw(st.integers(0 if end else 1, 2))


@given(any_tags)
def test_spans_are_those_of_conlleval(tags: list[str]) -> None:
    """seqeval follows conlleval; it calls a missing type _, and its ends are the last word's place."""
    expected = [(kind, start, end + 1) for kind, start, end in get_entities(tags)]
    assert [(span.type or "_", span.start, span.end) for span in spans_of(tags)] == expected


@given(entities(), st.sampled_from(SCHEMES))
def test_tags_and_back(given_spans: tuple[list[Span], int], scheme: str) -> None:
    spans, length = given_spans
    tags = tags_of(spans, length, scheme)
    assert len(tags) == length
    assert spans_of(tags) == spans


@given(entities(), st.sampled_from(SCHEMES))
def test_what_a_scheme_writes_it_allows(given_spans: tuple[list[Span], int], scheme: str) -> None:
    spans, length = given_spans
    tags = tags_of(spans, length, scheme)
    known = scheme_tags(["", *TYPES], scheme)
    pairs, starts, ends = allowed_transitions(known, scheme)
    numbers = [known.index(tag) for tag in tags]
    assert starts[numbers[0]]
    assert ends[numbers[-1]]
    assert all(pairs[one, other] for one, other in pairwise(numbers))


@given(st.data(), st.sampled_from(SCHEMES))
def test_what_a_scheme_allows_it_writes(data: st.DataObject, scheme: str) -> None:
    """Any path of allowed transitions is how its entities are written."""
    known = scheme_tags(["A", "PER"], scheme)
    pairs, starts, ends = allowed_transitions(known, scheme)
    path = [data.draw(st.sampled_from(np.flatnonzero(starts).tolist()))]
    for _ in range(data.draw(st.integers(0, 8))):
        path.append(data.draw(st.sampled_from(np.flatnonzero(pairs[path[-1]]).tolist())))
    tags = [known[number] for number in path]
    assert (tags_of(spans_of(tags), len(tags), scheme) == tags) == bool(ends[path[-1]])


def test_the_schemes_by_hand() -> None:
    spans = [Span("PER", 0, 2), Span("PER", 2, 3), Span("LOC", 3, 4), Span("LOC", 5, 8)]
    assert tags_of(spans, 9, "iob1") == ["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC", "I-LOC", "I-LOC", "O"]
    assert tags_of(spans, 9, "iob2") == ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC", "I-LOC", "I-LOC", "O"]
    assert tags_of(spans, 9, "iobes") == ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "B-LOC", "I-LOC", "E-LOC", "O"]


@given(st.lists(entities(), min_size=1, max_size=5), st.sampled_from(SCHEMES))
def test_a_scheme_is_recognised(sentences: list[tuple[list[Span], int]], scheme: str) -> None:
    spans = [span for found, _ in sentences for span in found]
    tags = [tags_of(found, length, scheme) for found, length in sentences]
    found = recognise_scheme(tags)
    if not spans:
        assert found is None
    elif scheme == "iob1" and all("I" not in tag[0] for sentence in tags for tag in sentence):
        assert found == "iob2"
    else:
        assert found == scheme


def test_what_is_no_scheme() -> None:
    assert recognise_scheme([["NOUN", "VERB"], ["O"]]) is None
    assert recognise_scheme([["B-PER", "X-PER"]]) is None
    assert recognise_scheme([["O", "O"]]) is None
    assert recognise_scheme([]) is None
    assert split_tag("B-") is None
    assert split_tag("O-PER") is None
    assert split_tag("") is None
    assert split_tag("I-B-x") == ("I", "B-x")
    assert spans_of(["NOUN", "B-PER"]) == [Span("PER", 1, 2)]
    assert entity_types([["B-PER", "O"], ["I-A", "NOUN"]]) == ["A", "PER"]


def test_refusals() -> None:
    with pytest.raises(ParameterError, match=r"scheme: expected .* iob1, iob2, iobes, got 'bilou'"):
        tags_of([], 3, "bilou")
    with pytest.raises(ParameterError, match=r"tags: expected .* iob2, got 'E-A'"):
        allowed_transitions(["O", "E-A"], "iob2")
