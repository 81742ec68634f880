import numpy as np
import pytest
import torch

from covering import parametrize
from every_cell import KINDS
from recurra.cells import LSTM, LayerNormLSTM
from recurra.data.batches.ignored import IGNORED
from recurra.data.drawings.stroke_batches import ENDED, StrokeBatches, Strokes, encode_strokes
from recurra.errors import ParameterError
from recurra.models.stroke_decoder import StrokeDecoder

STROKES = [
    np.array([[1, 2, 0], [3, 4, 1]], dtype=np.float32),
    np.array([[5, 6, 1], [7, 8, 0], [9, 10, 0], [11, 12, 1]], dtype=np.float32),
]


def test_what_is_read_and_what_comes_next() -> None:
    inputs, target = encode_strokes(STROKES, [0, 1])
    assert inputs.lengths.tolist() == [3, 5]
    assert inputs.points[0, :3].tolist() == [[0, 0, 1, 0, 0], [1, 2, 1, 0, 0], [3, 4, 0, 1, 0]]
    assert target.offset[0, :2].tolist() == [[1, 2], [3, 4]]
    assert target.pen.tolist() == [[0, 1, ENDED, IGNORED, IGNORED], [1, 0, 0, 1, ENDED]]


def test_batches_are_a_function_of_the_step_and_weigh_their_points() -> None:
    def vary(strokes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return np.column_stack([strokes[:, :2] * np.float32(generator.integers(2, 5)), strokes[:, 2]])

    many = [STROKES[k % 2] for k in range(9)]
    one, other = (StrokeBatches(many, [0] * 9, 4, seed=3, vary=vary) for _ in range(2))
    other(7)
    for step in (1, 4, 2):
        assert torch.equal(one(step).inputs.points, other(step).inputs.points)
    assert sum(one(step).weight for step in range(1, one.steps_per_epoch + 1)) == sum(map(len, many))


@parametrize({"cell": KINDS, "classes": [1, 3], "num_layers": [1, 2]})
def test_padding_and_the_batch_change_nothing(cell: object, classes: int, num_layers: int) -> None:
    network = StrokeDecoder(cell, 8, num_layers, 2, classes=classes).double().eval()  # type: ignore[arg-type]
    inputs, target = encode_strokes(STROKES, [0, classes - 1])
    inputs = inputs._replace(points=inputs.points.double())
    raw, _ = network(inputs)
    offset, pen = network.surprise(raw, target._replace(offset=target.offset.double()))
    assert (offset[0, 2:] == 0).all()
    assert (pen[0, 3:] == 0).all()
    alone, expected = encode_strokes(STROKES[:1], [0])
    raw, state = network(alone._replace(points=alone.points.double()))
    parts = network.surprise(raw, expected._replace(offset=expected.offset.double()))
    torch.testing.assert_close(parts[0][0], offset[0, :3])
    torch.testing.assert_close(parts[1][0], pen[0, :3])
    # The whole is a prefix and what follows it.
    points = alone.points.double()
    first = Strokes(points[:, :1], torch.tensor([1]), alone.labels)
    begun, state = network(first)
    rest, _ = network(Strokes(points[:, 1:], torch.tensor([2]), alone.labels), state)
    torch.testing.assert_close(torch.cat([begun, rest], dim=1), raw)


def test_a_class_changes_the_density() -> None:
    network = StrokeDecoder(LayerNormLSTM(), 8, mixtures=2, classes=2)
    inputs, _ = encode_strokes([STROKES[0]] * 2, [0, 1])
    raw, _ = network(inputs)
    assert not torch.allclose(raw[0], raw[1])


def test_parameters_out_of_range() -> None:
    with pytest.raises(ParameterError, match="mixtures"):
        StrokeDecoder(LSTM(), 8, mixtures=0)
    with pytest.raises(ParameterError, match="smallest_deviation"):
        StrokeDecoder(LSTM(), 8, smallest_deviation=0.0)
