"""A drawing as a stream of points: its densities are those of the whole drawing."""

from typing import Any

import numpy as np
import pytest
import torch

from made_drawings import drawings, turning
from made_handwriting import handwriting
from recurra import DrawingModel
from recurra.data.drawings.stroke_batches import encode_strokes
from recurra.errors import DataError, StreamError
from recurra.kernels.native import extension
from recurra.models.stroke_decoder import StrokeDecoder

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")
SMALL: dict[str, Any] = {"hidden_size": 8, "mixtures": 2, "max_steps": 4, "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(**SMALL).fit(*drawings(30), progress=False)


@torch.no_grad()
def test_the_densities_are_those_of_the_whole_drawing(model: DrawingModel) -> None:
    strokes = turning("left", 3)
    stream, learned, network = model.open_stream(), model.fitted.learned, model.fitted.network
    assert isinstance(network, StrokeDecoder)
    state = stream.new_state()
    results = []
    for piece in ([], strokes[:1], strokes[1:4], strokes[4:]):
        results += stream.step([{"points": np.asarray(piece).tolist(), "label": "left"}], [state])
    data = model.data_for([strokes], ["left"])
    inputs, _ = encode_strokes(*learned.encode(data))
    density = network.density(network(inputs)[0][0, [0, 1, 4, len(strokes)]])
    for k, result in enumerate(results):
        np.testing.assert_allclose(result["weights"], density.log_weights[k].exp(), rtol=1e-4)
        np.testing.assert_allclose(result["means"], density.mean[k] * learned.scale, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(result["deviations"], density.log_deviation[k].exp() * learned.scale, rtol=1e-3)
        np.testing.assert_allclose(result["correlations"], density.shear[k].tanh(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(list(result["pen"].values()), density.log_pen[k].exp(), rtol=1e-4)
    # An item that begins with points reads the origin before them.
    again = stream.new_state()
    (whole,) = stream.step([{"points": strokes.tolist(), "label": "left"}], [again])
    np.testing.assert_allclose(whole["weights"], results[-1]["weights"], rtol=1e-5)


def test_items_that_cannot_be_read(model: DrawingModel) -> None:
    stream = model.open_stream()
    state = stream.new_state()
    stream.step([stream.example], [state])
    before = state.copy().values
    for item in (
        [[1, 2, 0]], {"points": []}, {"points": [[1, 2]]}, {"points": [[1, 2, 0]], "label": "up"},
        {"points": [[1, 2, 0]]}, {"points": [[1e39, 2, 0]], "label": "left"}, {"points": [[1, 2, 7]], "label": "left"},
        {"points": [[1, 2, 0]] * 5001, "label": "left"},
    ):  # fmt: skip
        with pytest.raises(DataError):
            stream.step([item], [state])
    np.testing.assert_array_equal(state.values, before)


def test_models_that_do_not_stream() -> None:
    codes = DrawingModel(**SMALL, latent_size=2, encoder_size=4).fit(drawings(16)[0], progress=False)
    with pytest.raises(StreamError, match="latent_size"):
        codes.open_stream()
    hand = DrawingModel(**SMALL).fit([(handwriting("vl", seed), "vl") for seed in range(8)], progress=False)
    with pytest.raises(StreamError, match="window"):
        hand.open_stream()
