"""Greedy searches that are fed in chunks: units, times, blanks, and a new beginning."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.cells import LSTM
from recurra.models.acoustic import TransducerRecognizer
from recurra.models.decoding import TransducerGreedyStream, TransducerSearch

TOKENS = ["<blank>", "a", "b", "c", "d", "e"]


def transducer() -> TransducerRecognizer:
    torch.manual_seed(1)
    model = TransducerRecognizer(LSTM(), 4, 6, hidden_size=3, num_layers=1, prediction_size=5, joiner_size=7)
    torch.nn.init.normal_(model.joiner.weight, 0, 3)
    return model.eval()


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 8), min_size=1, max_size=8))
def test_chunks_give_what_the_whole_gives(sizes: list[int]) -> None:
    model = transducer()
    frames = torch.randn(sum(sizes), 7)
    (whole,) = TransducerSearch(model, TOKENS, batch_dim=1)(frames[None])
    stream, start = TransducerGreedyStream(model), 0
    assert not stream.save().any()
    for size in sizes:
        stream.accept(frames[start : start + size].numpy())
        start += size
        # Another goes on from what it remembers.
        memory, before = stream.save(), stream
        assert memory.shape == (stream.memory_size,)
        stream = TransducerGreedyStream(model)
        stream.emissions, stream.step, stream.blank_steps = before.emissions, before.step, before.blank_steps
        stream.load(memory)
    assert [(one.token, one.start, one.end) for one in stream.emissions] == [
        (one.token, one.start, one.end) for one in whole[0].tokens
    ]
    assert stream.step == sum(sizes)
    last = whole[0].tokens[-1].start if whole[0].tokens else -1
    assert stream.blank_steps == sum(sizes) - 1 - last


def test_an_utterance_begins_anew() -> None:
    model = transducer()
    frames = np.random.default_rng(0).standard_normal((12, 7)).astype(np.float32)
    first, both = TransducerGreedyStream(model), TransducerGreedyStream(model)
    first.accept(frames)
    both.accept(frames[::-1])
    both.emissions.clear()
    both.start_anew()
    assert both.blank_steps == 0
    both.accept(frames)
    assert [(one.token, one.start - 12) for one in both.emissions] == [
        (one.token, one.start) for one in first.emissions
    ]
