"""CTC beam search with a recurrent model over tokens: the sum over paths, and the model's own score of each text."""

import math
from typing import Any

import pytest
import torch
from enumeration_of_paths import text_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.models.decoding import CTCBeamSearch, TokenFusion

TOKENS = ["-", "a", "b", " "]
COLUMNS, BEGIN, END = [-1, 3, 1, 2], 0, 4  # the model's tokens are others


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.embedding, self.layer, self.output = nn.Embedding(5, 6), nn.LSTM(6, 7), nn.Linear(7, 5)
        self.calls = self.rows = 0

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.calls, self.rows = self.calls + 1, self.rows + len(tokens)
        output, state = self.layer(self.embedding(tokens).unsqueeze(0), state)
        return (3 * self.output(output.squeeze(0))).log_softmax(1), state

    def fusion(self, weight: float, end: int | None = END) -> TokenFusion:
        zeros = torch.zeros(1, 1, 7)
        return TokenFusion(self.step, (zeros, zeros), BEGIN, COLUMNS, end, weight, batch_dim=1)

    @torch.no_grad()
    def score(self, labels: tuple[int, ...]) -> float:
        columns = [COLUMNS[label] for label in labels]
        output, _ = self.layer(self.embedding(torch.tensor([[BEGIN, *columns]]).t()))
        log_probs = (3 * self.output(output.squeeze(1))).log_softmax(1)
        return sum(float(log_probs[t, token]) for t, token in enumerate([*columns, END]))


def frames(seed: int, steps: int, scale: float = 1.5) -> Tensor:
    return (scale * torch.randn(steps, 4, generator=torch.Generator().manual_seed(seed))).log_softmax(1)


@settings(max_examples=4)
@given(seed=st.integers(0, 1000), weight=st.sampled_from([0.4, 1.5]))
def test_every_text_is_scored_by_both(seed: int, weight: float) -> None:
    model = Model()
    log_probs = frames(seed, 4)
    search = CTCBeamSearch(
        TOKENS, beam_size=10_000, beam_threshold=math.inf, token_threshold=math.inf, fusion=model.fusion(weight)
    )
    texts = text_log_probs(log_probs, 0)
    results = search(log_probs, 10_000)
    assert len(results) == len(texts)
    for one in results:
        labels = tuple(t.token for t in one.tokens)
        assert one.score == pytest.approx(texts[labels] + weight * model.score(labels), abs=1e-4)
    # Once for each text, in one call for the empty one and one for each frame.
    assert (model.calls, model.rows) == (5, len(texts))


@pytest.mark.parametrize("size", [1, 7, 200])
def test_any_chunks_and_many_frames(size: int) -> None:
    model = Model()
    log_probs = frames(3, 200, scale=3)
    search = CTCBeamSearch(TOKENS, beam_size=6, fusion=model.fusion(0.5))
    stream = search.stream()
    for chunk in log_probs.split(size):
        stream.advance(chunk)
    (best, *_) = stream.finish(6)
    assert best.text == search(log_probs)[0].text
    labels = tuple(t.token for t in best.tokens)
    assert len(labels) > 40
    # States of prefixes that were freed, and made again, are those of the same tokens.
    assert best.score == pytest.approx(best.log_prob + 0.5 * model.score(labels), abs=1e-3)


def test_refusals() -> None:
    model = Model().fusion(0.5)
    for columns in ([-1, 3, 1], [0, -1, 1, 2]):
        fusion = TokenFusion(model.step, model.state, BEGIN, columns)
        with pytest.raises(ParameterError, match=r"fusion.columns: expected .* 4 symbols"):
            CTCBeamSearch(TOKENS, fusion=fusion)
    with pytest.raises(ParameterError, match=r"fusion.weight: .* got 0"):
        CTCBeamSearch(TOKENS, fusion=TokenFusion(model.step, model.state, BEGIN, COLUMNS, weight=0))
