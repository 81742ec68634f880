"""A recurrent language model over texts, and within a beam over its characters."""

from itertools import pairwise

import pytest
import torch

from recurra.cells import LSTM
from recurra.data.text.tokens import Characters, Words
from recurra.kernels.native import extension
from recurra.models import RecurrentLanguageModel
from recurra.models.decoding import CTCBeamSearch
from recurra.models.decoding.language_fusion import RecurrentScorer, character_fusion

needs_extension = pytest.mark.skipif(not extension.is_installed(), reason="a beam needs the C++ extension")
SYMBOLS = ("<blank>", " ", "a", "b")


def model_of(size: int) -> RecurrentLanguageModel:
    torch.manual_seed(0)
    return RecurrentLanguageModel(LSTM(), size, 4, 5, dropout=0.5)


def test_texts_are_scored_as_one_by_one() -> None:
    tokens = Words.learn("ab ba c\n")
    network = model_of(len(tokens))
    texts = ["ab", "", "ba c ab", "other"]
    scores = RecurrentScorer(network, tokens)(texts)
    for text, score in zip(texts, scores, strict=True):
        ids = [tokens.line_end, *tokens.ids(text).tolist(), tokens.line_end]
        state, expected = None, 0.0
        for before, after in pairwise(ids):
            features, state = network(torch.tensor([[before]]), state)
            expected += network.log_probabilities(features)[0, 0, after].item()
        assert score == pytest.approx(expected, rel=1e-5)
    assert RecurrentScorer(network, tokens)([]) == []


@needs_extension
def test_a_beam_adds_what_the_model_says_of_the_whole_text() -> None:
    tokens = Characters.learn("ab ba\n")
    network = model_of(len(tokens))
    fusion = character_fusion(network, tokens, SYMBOLS, 0.7)
    assert fusion is not None
    log_probs = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    best = CTCBeamSearch(SYMBOLS, beam_size=30, fusion=fusion)(log_probs, n_best=20)
    scores = RecurrentScorer(network, tokens)([one.text for one in best])
    assert len(best) == 20
    for one, by_model in zip(best, scores, strict=True):
        if one.text == "".join(SYMBOLS[token.token] for token in one.tokens):  # no space is left out of the text
            assert one.score - one.log_prob == pytest.approx(0.7 * by_model, rel=1e-4, abs=1e-4)


def test_other_tokens_are_not_fused_within_a_beam() -> None:
    words, fewer = Words.learn("ab ba\n"), Characters.learn("ab\n")
    assert character_fusion(model_of(len(words)), words, SYMBOLS, 0.5) is None
    assert character_fusion(model_of(len(fewer)), fewer, SYMBOLS, 0.5) is None
