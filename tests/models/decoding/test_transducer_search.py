"""Search with a transducer against the sum over all alignments, and streams against whole utterances."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recurra import transducer_loss
from recurra.errors import ParameterError, ShapeError
from recurra.models.decoding import TransducerSearch

TOKENS = ["-", "a", "b", " "]


class Model(nn.Module):
    """A prediction network and a joiner with random weights, sharp enough to emit."""

    def __init__(self, seed: int = 0, blank_bias: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(len(TOKENS), 5)
        self.layer = nn.LSTM(5, 6)
        self.output = nn.Linear(6, len(TOKENS))
        with torch.no_grad():
            self.output.weight.mul_(4)
            self.output.bias[0] += blank_bias
        self.widest = 0

    def predict(self, labels: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.widest = max(self.widest, len(labels))
        output, state = self.layer(self.embedding(labels).unsqueeze(0), state)
        return output.squeeze(0), state

    def join(self, frames: Tensor, outputs: Tensor) -> Tensor:
        return self.output(torch.tanh(frames + 3 * outputs)).log_softmax(1)

    def log_prob(self, frames: Tensor, labels: list[int]) -> float:
        """log p of labels after frames (T, J), by the loss."""
        shifted = torch.tensor([0, *labels]).unsqueeze(1)
        output, _ = self.layer(self.embedding(shifted))
        logits = self.output(torch.tanh(frames.unsqueeze(1) + 3 * output.squeeze(1)))
        sizes = (torch.tensor([len(frames)]), torch.tensor([len(labels)]))
        return -transducer_loss(logits.unsqueeze(0), torch.tensor([labels], dtype=torch.int64), *sizes).item() * max(
            len(labels), 1
        )


@settings(max_examples=5)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 2))
@torch.no_grad()
def test_a_wide_beam_sums_over_all_alignments(seed: int, steps: int) -> None:
    model = Model(seed)
    frames = torch.randn(steps, 6)
    search = TransducerSearch(model, TOKENS, beam_size=100_000, beam_threshold=math.inf, max_symbols=3, batch_dim=1)
    (found,) = search(frames.unsqueeze(0), n_best=100_000)
    by_labels = {tuple(t.token for t in one.tokens): one for one in found}
    assert len(by_labels) == len(found)
    # With up to three labels a frame, texts of up to three labels have all of their alignments.
    for labels in itertools.chain.from_iterable(itertools.product((1, 2, 3), repeat=n) for n in range(4)):
        assert by_labels[labels].log_prob == pytest.approx(model.log_prob(frames, list(labels)), abs=1e-4)
    assert [one.log_prob for one in found] == sorted((one.log_prob for one in found), reverse=True)


@torch.no_grad()
def plain_greedy(model: Model, frames: Tensor, max_symbols: int) -> tuple[list[tuple[int, int]], float]:
    output, state = model.predict(torch.tensor([0]), None)
    found, total = [], 0.0
    for t in range(len(frames)):
        for emitted in range(max_symbols + 1):
            log_probs = model.join(frames[t : t + 1], output)[0]
            label = 0 if emitted == max_symbols else int(log_probs.argmax())
            total += float(log_probs[label])
            if label == 0:
                break
            found.append((label, t))
            output, state = model.predict(torch.tensor([label]), state)
    return found, total


@pytest.mark.parametrize("max_symbols", [1, 3])
def test_greedy_is_a_plain_loop(max_symbols: int) -> None:
    model = Model(3)
    frames, lengths = 2 * torch.randn(3, 12, 6), [12, 0, 7]
    found = TransducerSearch(model, TOKENS, max_symbols=max_symbols, batch_dim=1)(frames, lengths)
    for row, length in enumerate(lengths):
        tokens, total = plain_greedy(model, frames[row, :length], max_symbols)
        assert [(t.token, t.start) for t in found[row][0].tokens] == tokens
        assert found[row][0].log_prob == pytest.approx(total, abs=1e-4)
    assert len(found[0][0].tokens) > 3


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("size", [1, 3, 40])
def test_streams_beside_each_other_in_any_chunks(beam_size: int, size: int) -> None:
    model = Model(5, blank_bias=1.0)
    frames, lengths = 2 * torch.randn(3, 30, 6), torch.tensor([30, 11, 23])
    search = TransducerSearch(model, TOKENS, beam_size=beam_size, batch_dim=1)
    stream = search.stream(3)
    for first in range(0, 30, size):
        chunk = frames[:, first : first + size]
        stream.advance(chunk, (lengths - first).clamp(0, chunk.shape[1]))
    found = stream.best(4)
    for row, length in enumerate(lengths.tolist()):
        (alone,) = search(frames[row : row + 1, :length], n_best=4)
        assert [one.text for one in found[row]] == [one.text for one in alone]
        for one, other in zip(found[row], alone, strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
            assert [(t.token, t.start) for t in one.tokens] == [(t.token, t.start) for t in other.tokens]
    assert model.widest <= 3 * beam_size
    assert len(found[0][0].tokens) > 3
    assert [len(one) for one in found] == ([1] * 3 if beam_size == 1 else [4] * 3)


def test_a_beam_finds_what_greedy_search_does_not() -> None:
    better = 0
    for seed in range(8):
        model = Model(seed)
        frames = torch.randn(1, 10, 6)
        (greedy,), (beam,) = (
            TransducerSearch(model, TOKENS, beam_size=size, batch_dim=1)(frames)[0] for size in (1, 16)
        )
        labels = [t.token for t in greedy.tokens]
        with torch.no_grad():
            total = model.log_prob(frames[0], labels)
        assert beam.log_prob >= total - 1e-3
        better += beam.log_prob > total + 1e-3
    assert better > 2


def test_refusals() -> None:
    search = TransducerSearch(Model(), TOKENS, batch_dim=1)
    with pytest.raises(ShapeError, match=r"frames: .* B = 2, got \(3, 5, 6\)"):
        search.stream(2).advance(torch.zeros(3, 5, 6))
    with pytest.raises(ShapeError, match=r"lengths: .* 0 to T = 5, got 6 to 6"):
        search(torch.zeros(1, 5, 6), [6])
    with pytest.raises(ParameterError, match=r"beam_size: .* got 0"):
        TransducerSearch(Model(), TOKENS, beam_size=0)
    with pytest.raises(ParameterError, match=r"blank: .* got 4"):
        TransducerSearch(Model(), TOKENS, blank=4)
    with pytest.raises(ParameterError, match=r"max_symbols: .* got 0"):
        TransducerSearch(Model(), TOKENS, max_symbols=0)
    with pytest.raises(ParameterError, match=r"beam_threshold: .* got 0"):
        TransducerSearch(Model(), TOKENS, beam_threshold=0)
