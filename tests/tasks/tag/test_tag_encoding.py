import numpy as np
import pytest
import torch

from recurra.data.conll import Sentence
from recurra.data.word_vectors import WordVectors
from recurra.errors import DataError
from recurra.tasks.tag.baseline import MostFrequentTags
from recurra.tasks.tag.encoding import UNKNOWN, EncodedSentences, Encoding, TagSet
from recurra.tasks.tag.settings import TagSettings

SENTENCES = [
    Sentence(("The", "cat", "the", "THE"), ("O", "I-A", "B-A", "O")),
    Sentence(("cat", UNKNOWN), ("I-A", "O")),
]


def test_lower_case_is_for_words_only() -> None:
    encoding = Encoding.of(SENTENCES, TagSettings())
    assert encoding.words.symbols == (UNKNOWN, "the", "cat")
    assert encoding.counts == (0, 3, 2)
    assert encoding.word("tHe") == encoding.word("the") == 1
    assert encoding.word("dog") == encoding.word(UNKNOWN) == 0
    assert encoding.spelling("Tx")[0] > 0
    assert encoding.spelling("Tx") != encoding.spelling("tx")
    assert encoding.spelling("é") == [0]
    cased = Encoding.of(SENTENCES, TagSettings(lowercase=False, min_count=2))
    assert cased.words.symbols == (UNKNOWN, "cat")


def test_the_share_of_unknown_words() -> None:
    encoding = Encoding.of(SENTENCES, TagSettings())
    torch.testing.assert_close(encoding.unknown_shares(0.5), torch.tensor([0, 0.5 / 3.5, 0.5 / 2.5]))
    assert encoding.unknown_shares(0).tolist() == [0, 0, 0]


def test_pretrained_vectors_by_form_then_by_lower_case() -> None:
    vectors = WordVectors(("the", UNKNOWN, "The", "cat"), np.zeros((4, 2), np.float32))
    encoding = Encoding.of(SENTENCES, TagSettings(), vectors)
    assert [encoding.vector(form) for form in ("The", "THE", "the", "Cat", "dog")] == [2, 1, 1, 3, 0]


def test_long_words_are_cut_in_the_middle() -> None:
    encoding = Encoding.of([Sentence(("abcdefghij",), ("O",))], TagSettings())
    spelled = encoding.spelling("a" * 1000 + "b" * 1000)
    assert spelled == encoding.spelling("a" * 24 + "b" * 24)


def test_batches() -> None:
    encoding = Encoding.of(SENTENCES, TagSettings())
    encoded = EncodedSentences(encoding, [sentence.words for sentence in SENTENCES])
    tokens = encoded.tokens(np.array([1, 0]))
    assert tokens.words[0, :2].tolist() == [2, 0]
    assert tokens.words[1].tolist() == [1, 2, 1, 1]
    assert tokens.lengths.tolist() == [2, 4]
    for row, sentence in ((1, SENTENCES[0]), (0, SENTENCES[1])):
        for place, word in enumerate(sentence.words):
            spelling = tokens.spellings[row, place]
            length = int(tokens.character_lengths[spelling])
            assert tokens.characters[spelling, :length].tolist() == encoding.spelling(word)
    alone = encoded.tokens(np.array([0]))
    assert len(alone.characters) == 4
    assert alone.characters.shape[1] == 3


def test_entities_are_learned_in_another_scheme_and_given_back_in_their_own() -> None:
    tag_set = TagSet.of(SENTENCES, "iobes", "here")
    assert (tag_set.scheme, tag_set.given) == ("iobes", "iob1")
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
    assert (tag_set.scheme, tag_set.given) == (None, None)
    assert tag_set.encode(Sentence(("a", "b", "c"), ("Y", "Z", None))) == [1, -100, -100]
    assert tag_set.decode([1, 0], "iob2") == ["Y", "X"]
    with pytest.raises(DataError, match=r"here: no word has a tag\. Name the tags' column"):
        TagSet.of([Sentence(("a",), (None,))], "iobes", "here")


def test_the_baseline_is_the_most_frequent_tag() -> None:
    sentences = [Sentence(("a", "a", "b", "c", "c"), ("X", "Y", "Y", "Z", None)), Sentence(("a",), ("X",))]
    baseline = MostFrequentTags.of(sentences)
    assert baseline.tag(["a", "b", "c", "new"]) == ["X", "Y", "Z", "X"]
    assert MostFrequentTags.from_json(baseline.to_json()) == baseline
