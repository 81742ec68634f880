import pytest

from recurra.data.text.conll import Sentence
from recurra.errors import DataError
from recurra.tasks.tag.learned import MostFrequentTags, TagSet

SENTENCES = [
    Sentence(("The", "cat", "the", "THE"), ("O", "I-A", "B-A", "O")),
    Sentence(("cat", "dog"), ("I-A", "O")),
]


def test_entities_are_learned_in_another_scheme_and_given_back_in_their_own() -> None:
    tag_set = TagSet.of(SENTENCES, "iobes", "here")
    assert (tag_set.scheme, tag_set.file_scheme) == ("iobes", "iob1")
    assert tag_set.tags.symbols == ("O", "B-A", "I-A", "E-A", "S-A")
    numbers = tag_set.encode(SENTENCES[0])
    assert tag_set.tags.decode(numbers) == ["O", "S-A", "S-A", "O"]
    assert tag_set.decode(numbers) == ["O", "I-A", "B-A", "O"]
    assert tag_set.decode(numbers, "iob2") == ["O", "B-A", "B-A", "O"]
    assert tag_set.encode(Sentence(("x", "y", "z"), ("I-B", None, "I-A"))) == [-100, -100, 4]
    assert TagSet.from_json(tag_set.to_json()).decode(numbers) == ["O", "I-A", "B-A", "O"]


def test_other_tags_are_as_they_are() -> None:
    sentences = [Sentence(("a", "b", "c"), ("X", None, "Y"))]
    tag_set = TagSet.of(sentences, "iobes", "here")
    assert (tag_set.scheme, tag_set.file_scheme) == (None, None)
    assert tag_set.encode(Sentence(("a", "b", "c"), ("Y", "Z", None))) == [1, -100, -100]
    assert tag_set.decode([1, 0], "iob2") == ["Y", "X"]
    with pytest.raises(DataError, match=r"here: no word has a tag\. Name the tags' column"):
        TagSet.of([Sentence(("a",), (None,))], "iobes", "here")


def test_the_baseline_is_the_most_frequent_tag() -> None:
    sentences = [Sentence(("a", "a", "b", "c", "c"), ("X", "Y", "Y", "Z", None)), Sentence(("a",), ("X",))]
    baseline = MostFrequentTags.of(sentences)
    assert baseline.tag(["a", "b", "c", "new"]) == ["X", "Y", "Z", "X"]
    assert MostFrequentTags.from_json(baseline.to_json()) == baseline
