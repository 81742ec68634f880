from typing import Any

import numpy as np
import pytest
import torch

import covering
from recurra import cells
from recurra.data.drawings.stroke_batches import Strokes, encode_strokes
from recurra.errors import ParameterError
from recurra.models.handwriting_decoder import HandwritingDecoder, HandwritingState, WindowState

STROKES = [np.array([[1, 0, 0], [0, 1, 1], [2, 1, 0], [1, -1, 1]]), np.array([[0, 2, 0], [1, 1, 1]])]
TEXTS = [np.array([0, 1, 1]), np.array([2])]


def decoder(cell: cells.Cell, num_layers: int = 2, **options: Any) -> HandwritingDecoder:
    torch.manual_seed(0)
    return HandwritingDecoder(cell, 6, 3, num_layers, mixtures=2, window=2, pace=0.4, **options)


@covering.parametrize({"cell": [cells.LayerNormLSTM(), cells.GRU()], "num_layers": [1, 3], "classes": [1, 2]})
def test_a_step_at_a_time_is_the_whole(cell: cells.Cell, num_layers: int, classes: int) -> None:
    network = decoder(cell, num_layers, classes=classes).eval()
    batch, _ = encode_strokes(STROKES, [0, 1], TEXTS)
    raw, windows, _ = network.read(batch)
    assert windows.shape == (2, 5, 4)
    state = None
    for t in range(5):
        step = batch._replace(points=batch.points[:, t : t + 1])
        one, state = network(step, state)
        torch.testing.assert_close(one[:, 0], raw[:, t])
    # Each drawing and text is as it is alone.
    alone, _ = network(encode_strokes(STROKES[1:], [1], TEXTS[1:])[0])
    torch.testing.assert_close(alone, raw[1:, :3])


def test_the_text_matters_and_gradients_reach_every_weight() -> None:
    network = decoder(cells.LayerNormLSTM(), recurrent_dropout=0.3, dropout=0.1)
    batch, target = encode_strokes(STROKES, [0, 0], TEXTS)
    sum(part.sum() for part in network.surprise(network(batch)[0], target)).backward()  # type: ignore[union-attr]
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in network.parameters())
    network.eval()
    other, _ = encode_strokes(STROKES, [0, 0], [TEXTS[0], np.array([1])])
    assert not torch.equal(network(batch)[0][1], network(other)[0][1])


def test_recurrent_dropout_has_one_mask_for_a_sequence() -> None:
    network = decoder(cells.LayerNormLSTM(), 1, recurrent_dropout=0.5).train()
    seen = []
    network.first.cell.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["recurrent_mask"]), with_kwargs=True
    )
    network(encode_strokes(STROKES, [0, 0], TEXTS)[0])
    assert len(seen) == 5
    assert all(mask is seen[0] for mask in seen)
    assert set(seen[0].unique().tolist()) == {0.0, 2.0}


def test_a_drawing_ends_where_the_window_has_passed_the_text() -> None:
    network = decoder(cells.LSTM(), 1)
    weights = torch.tensor([[3.0, 1, 2, 0], [1, 3, 2, 0], [0, 1, 3, 0], [0, 0, 0, 0], [0, 2, 0, 0]])
    position = torch.tensor([[1.0], [2], [3], [50], [2]])
    state = HandwritingState(WindowState(None, weights, position, weights), ())
    may, has_to = network.ending(state, torch.tensor([2, 2, 2, 2, 1]))
    assert may.tolist() == [False, True, True, True, True]
    assert has_to.tolist() == [False, False, True, True, True]


def test_refusals() -> None:
    batch, _ = encode_strokes(STROKES, [0, 0])
    with pytest.raises(ParameterError, match="texts"):
        decoder(cells.LSTM())(Strokes(*batch))
    with pytest.raises(ParameterError, match="num_layers"):
        decoder(cells.LSTM(), 0)
    with pytest.raises(ParameterError, match="smallest_deviation"):
        decoder(cells.LSTM(), smallest_deviation=0.0)
