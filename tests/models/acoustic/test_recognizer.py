"""A recogniser of units: what its steps read, what padding changes, and that a stream equals the whole."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from covering import parametrize
from recurra.cells import GRU, LSTM
from recurra.errors import ParameterError, ShapeError, StreamError
from recurra.kernels.native import extension
from recurra.models.acoustic import CTCRecognizer, Frames, LookAhead, Subsampling
from recurra.program import compile_program
from recurra.streaming import Stepper


def recognizer(**options: Any) -> CTCRecognizer:
    torch.manual_seed(0)
    values: dict[str, Any] = {"cell": LSTM(), "input_size": 10, "num_units": 6, "hidden_size": 8, "num_layers": 2}
    model = CTCRecognizer(**{**values, "channels": 3, "bidirectional": False, **options})
    for module in model.modules():
        if isinstance(module, LookAhead):
            torch.nn.init.uniform_(module.weight, -1, 1)
    return model.eval()


def whole(model: CTCRecognizer, features: Tensor) -> Tensor:
    with torch.no_grad():
        scores, _ = model(Frames(features[None], torch.tensor([len(features)])))
    return scores.logits[0].log_softmax(-1)


@parametrize(
    {
        "bidirectional": [True, False],
        "subsampling": [2, 4, 8],
        "look_ahead": [0, 3],
        "bins": [7, 8, 10, 13],
        "cell": [LSTM(), GRU()],
        "layer_norm": [True, False],
    },
    where=lambda bidirectional, subsampling, look_ahead, *others: not (bidirectional and look_ahead),
)
def test_padding_is_never_read(bidirectional, subsampling, look_ahead, bins, cell, layer_norm):
    model = recognizer(
        cell=cell,
        input_size=bins,
        bidirectional=bidirectional,
        subsampling=subsampling,
        look_ahead=look_ahead,
        layer_norm=layer_norm,
    )
    lengths = torch.tensor([21, 1, 8, 16])
    features = torch.full((4, 21, bins), float("nan"))
    for row, length in enumerate(lengths):
        features[row, :length] = torch.randn(int(length), bins)
    with torch.no_grad():
        scores, _ = model(Frames(features, lengths))
    assert scores.lengths.tolist() == [-(-int(length) // subsampling) for length in lengths]
    for row, length in enumerate(lengths):
        alone = whole(model, features[row, :length])
        torch.testing.assert_close(scores.logits[row, : len(alone)].log_softmax(-1), alone, atol=1e-5, rtol=1e-5)


def test_a_causal_step_reads_its_own_frames_and_those_looked_ahead_to():
    for look_ahead in (0, 3):
        model = recognizer(look_ahead=look_ahead)
        features = torch.randn(1, 40, 10, requires_grad=True)
        scores, _ = model(Frames(features, torch.tensor([40])))
        (gradient,) = torch.autograd.grad(scores.logits[0, 4].sum(), features)
        read = gradient[0].abs().sum(1).nonzero().flatten()
        assert int(read.max()) == 4 * (4 + look_ahead + 1) - 1
        assert int(read.min()) == 0


def test_the_convolutions_are_those_of_torch():
    torch.manual_seed(0)
    model = Subsampling(9, channels=2, factor=4)
    frames = torch.randn(1, 11, 9)
    output, lengths = model(frames, torch.tensor([11]))
    padded = torch.nn.functional.pad(frames[:, None], (1, 1, 1, 1))
    first = torch.nn.functional.pad(model.convolutions[0](padded).relu(), (1, 1, 1, 0))
    expected = model.convolutions[1](first).relu()
    expected = model.norm(expected.permute(0, 2, 3, 1).reshape(1, 3, -1))
    assert lengths.tolist() == [3]
    torch.testing.assert_close(output, expected)


def test_look_ahead_begins_as_a_delay():
    x = torch.randn(2, 5, 3)
    output = LookAhead(3, 2)(x)
    torch.testing.assert_close(output[:, 2:], x[:, :-2])
    assert not output[:, :2].any()


@pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_streamed_is_whole(data):
    model = recognizer(
        cell=data.draw(st.sampled_from([LSTM(), GRU()])),
        input_size=data.draw(st.sampled_from([1, 7, 8, 20, 37])),
        subsampling=data.draw(st.sampled_from([2, 4, 8])),
        look_ahead=data.draw(st.integers(0, 5)),
        num_layers=data.draw(st.integers(1, 3)),
        layer_norm=data.draw(st.booleans()),
    )
    bins, factor = model.subsampling.input_size, model.subsampling.factor
    features = torch.randn(data.draw(st.integers(1, 60)), bins)
    expected = whole(model, features)
    late = model.delay * factor
    frames = torch.nn.functional.pad(features, (0, 0, 0, -len(features) % factor + late)).reshape(-1, factor * bins)
    stepper = Stepper(model)
    state, outputs, start = stepper.new_state(), [], 0
    while start < len(frames):
        size = data.draw(st.integers(1, len(frames)))
        output, state = stepper(frames[start : start + size, None], state)
        outputs.append(output[:, 0])
        start += size
    torch.testing.assert_close(torch.cat(outputs)[model.delay :], expected, atol=1e-4, rtol=1e-4)


def test_what_cannot_be_is_refused():
    with pytest.raises(ParameterError, match="look_ahead"):
        recognizer(bidirectional=True, look_ahead=2)
    with pytest.raises(ParameterError, match="factor"):
        Subsampling(10, factor=3)
    with pytest.raises(ShapeError, match="F = 10"):
        recognizer()(Frames(torch.zeros(1, 4, 11), torch.tensor([4])))
    with pytest.raises(StreamError, match="bidirectional"):
        compile_program(recognizer(bidirectional=True))


def test_an_empty_recording_has_no_steps():
    scores, _ = recognizer(look_ahead=2)(Frames(torch.zeros(1, 0, 10), torch.tensor([0])))
    assert scores.logits.shape == (1, 0, 6)
