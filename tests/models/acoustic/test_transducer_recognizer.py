"""A transducer's network: its prediction network in one run and step by step, its loss, and its encoder as a stream."""

from typing import Any

import pytest
import torch

from covering import parametrize
from recurra.cells import GRU, LSTM
from recurra.errors import ParameterError
from recurra.kernels.native import extension
from recurra.models.acoustic import Frames, TransducerRecognizer
from recurra.models.decoding import TransducerSearch
from recurra.models.transducer import joined_transducer_loss, transducer_loss
from recurra.streaming import Stepper


def recognizer(**options: Any) -> TransducerRecognizer:
    torch.manual_seed(0)
    values: dict[str, Any] = {"cell": LSTM(), "input_size": 10, "num_units": 6, "hidden_size": 8, "num_layers": 2}
    values |= {"channels": 3, "bidirectional": False, "prediction_size": 5, "joiner_size": 7}
    model = TransducerRecognizer(**{**values, **options})
    torch.nn.init.normal_(model.joiner.weight, 0, 2)
    return model.eval()


@parametrize({"cell": [LSTM(), GRU()], "bidirectional": [True, False]})
def test_predictions_are_those_of_the_steps(cell, bidirectional):
    model = recognizer(cell=cell, bidirectional=bidirectional)
    units = torch.tensor([[3, 1, 5], [2, 2, 0]])
    with torch.no_grad():
        scores, _ = model(Frames(torch.randn(2, 9, 10), torch.tensor([9, 4]), units))
        assert scores.predictions is not None
        output, state = model.predict(torch.zeros(2, dtype=torch.int64), None)
        torch.testing.assert_close(scores.predictions[:, 0], output)
        for k in range(3):
            output, state = model.predict(units[:, k], state)
            torch.testing.assert_close(scores.predictions[:, k + 1], output)
        log_probs = model.join(scores.frames[:, 0], output)
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(2))
    assert scores.frames.shape == (2, 3, 7)
    assert scores.logits.shape == (2, 3, 6)


def test_every_weight_learns_from_both_losses():
    model = recognizer().train()
    units, counts = torch.tensor([[3, 1, 5], [2, 2, 0]]), torch.tensor([3, 2])
    scores, _ = model(Frames(torch.randn(2, 17, 10), torch.tensor([17, 12]), units))
    loss = joined_transducer_loss(
        model.joint_logits, scores.frames, scores.predictions, units, scores.lengths, counts, reduction="none"
    )
    logits = model.joint_logits(scores.frames.unsqueeze(2), scores.predictions.unsqueeze(1))
    torch.testing.assert_close(loss, transducer_loss(logits, units, scores.lengths, counts, reduction="none"))
    (loss.sum() + scores.logits.square().sum()).backward()
    assert [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()] == []


@pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
@parametrize({"cell": [LSTM(), GRU()], "look_ahead": [0, 3], "size": [1, 4, 100]})
def test_its_stream_is_what_the_joiner_reads(cell, look_ahead, size):
    model = recognizer(cell=cell, look_ahead=look_ahead)
    features = torch.randn(40, 10)
    with torch.no_grad():
        expected = model(Frames(features[None], torch.tensor([40])))[0].frames[0]
    frames = torch.nn.functional.pad(features, (0, 0, 0, 4 * look_ahead)).reshape(-1, 1, 40)
    stepper = Stepper(model)
    state, outputs = stepper.new_state(), []
    for start in range(0, len(frames), size):
        output, state = stepper(frames[start : start + size], state)
        outputs.append(output[:, 0])
    torch.testing.assert_close(torch.cat(outputs)[look_ahead:], expected, atol=1e-5, rtol=1e-4)


def test_it_is_searched():
    model = recognizer(bidirectional=True)
    with torch.no_grad():
        scores, _ = model(Frames(torch.randn(3, 24, 10), torch.tensor([24, 8, 0])))
    assert scores.predictions is None
    search = TransducerSearch(model, ["<blank>", *"abcde"], beam_size=4, batch_dim=1)
    whole, short, empty = search(scores.frames, scores.lengths)
    assert whole[0].text
    assert short[0].log_prob > whole[0].log_prob
    assert empty[0].text == ""


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ParameterError, match="joiner_size"):
        recognizer(joiner_size=0)
    with pytest.raises(ParameterError, match="prediction_size"):
        recognizer(prediction_size=0)
