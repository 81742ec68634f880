import numpy as np
import torch

from recurra.data.text.word_encoding import UNKNOWN, EncodedSentences, WordEncoding, vector_table
from recurra.data.text.word_vectors import WordVectors

SENTENCES = [("The", "cat", "the", "THE"), ("cat", UNKNOWN)]


def test_lower_case_is_for_words_only() -> None:
    encoding = WordEncoding.of(SENTENCES, True, 1)
    assert encoding.words.symbols == (UNKNOWN, "the", "cat")
    assert encoding.counts == (0, 3, 2)
    assert encoding.word("tHe") == encoding.word("the") == 1
    assert encoding.word("dog") == encoding.word(UNKNOWN) == 0
    assert encoding.spelling("Tx")[0] > 0
    assert encoding.spelling("Tx") != encoding.spelling("tx")
    assert encoding.spelling("é") == [0]
    cased = WordEncoding.of(SENTENCES, False, 2)
    assert cased.words.symbols == (UNKNOWN, "cat")


def test_the_share_of_unknown_words() -> None:
    encoding = WordEncoding.of(SENTENCES, True, 1)
    torch.testing.assert_close(encoding.unknown_fractions(0.5), torch.tensor([0, 0.5 / 3.5, 0.5 / 2.5]))
    assert encoding.unknown_fractions(0).tolist() == [0, 0, 0]


def test_pretrained_vectors_by_form_then_by_lower_case() -> None:
    vectors = WordVectors(("the", UNKNOWN, "The", "cat"), np.zeros((4, 2), np.float32))
    encoding = WordEncoding.of(SENTENCES, True, 1, vectors)
    assert vector_table(vectors).shape == (4, 2)
    assert [encoding.vector(form) for form in ("The", "THE", "the", "Cat", "dog")] == [2, 1, 1, 3, 0]


def test_long_words_are_cut_in_the_middle() -> None:
    encoding = WordEncoding.of([("abcdefghij",)], True, 1)
    spelled = encoding.spelling("a" * 1000 + "b" * 1000)
    assert spelled == encoding.spelling("a" * 24 + "b" * 24)


def test_batches() -> None:
    encoding = WordEncoding.of(SENTENCES, True, 1)
    encoded = EncodedSentences(encoding, SENTENCES)
    tokens = encoded.tokens(np.array([1, 0]))
    assert tokens.words[0, :2].tolist() == [2, 0]
    assert tokens.words[1].tolist() == [1, 2, 1, 1]
    assert tokens.lengths.tolist() == [2, 4]
    for row, sentence in ((1, SENTENCES[0]), (0, SENTENCES[1])):
        for place, word in enumerate(sentence):
            spelling = tokens.spellings[row, place]
            length = int(tokens.character_lengths[spelling])
            assert tokens.characters[spelling, :length].tolist() == encoding.spelling(word)
    alone = encoded.tokens(np.array([0]))
    assert len(alone.characters) == 4
    assert alone.characters.shape[1] == 3
