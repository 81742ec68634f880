"""Keras's weights in Recurra's layers."""

from typing import Any

import numpy as np
import pytest
import torch

import recurra
from recurra.errors import ParameterError, ShapeError

RNG = np.random.default_rng(3)
KINDS = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def arrays(kind: str, *, bias: bool = True, reset_after: bool = True) -> list[np.ndarray]:
    rows = KINDS[kind] * 5
    shapes: list[tuple[int, ...]] = [(3, rows), (5, rows)]
    if bias:
        shapes.append((2, rows) if kind == "GRU" and reset_after else (rows,))
    return [RNG.normal(size=shape) for shape in shapes]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def of_keras(kind: str, weights: list[np.ndarray], x: np.ndarray, reset_after: bool) -> np.ndarray:
    """The outputs (T, H) for one sequence (T, I), by the equations of Keras's documentation."""
    kernel, recurrent, *bias = weights
    b = bias[0] if bias else np.zeros(kernel.shape[1])
    b_in, b_rec = b if b.ndim == 2 else (b, np.zeros_like(b))
    h, c, outputs, gates = np.zeros(5), np.zeros(5), [], KINDS[kind]
    for row in x:
        a, r = np.split(row @ kernel + b_in, gates), np.split(h @ recurrent + b_rec, gates)
        if kind == "LSTM":
            i, f, o = (sigmoid(a[k] + r[k]) for k in (0, 1, 3))
            c = f * c + i * np.tanh(a[2] + r[2])
            h = o * np.tanh(c)
        elif kind == "SimpleRNN":
            h = np.tanh(a[0] + r[0])
        else:
            update, reset = sigmoid(a[0] + r[0]), sigmoid(a[1] + r[1])
            product = reset * r[2] if reset_after else (reset * h) @ recurrent[:, 10:]
            h = update * h + (1 - update) * np.tanh(a[2] + product)
        outputs.append(h)
    return np.array(outputs)


CASES = [
    ("LSTM", True, True),
    ("LSTM", False, True),
    ("GRU", True, True),
    ("GRU", True, False),
    ("GRU", False, True),
    ("SimpleRNN", True, True),
]


@pytest.mark.parametrize(("kind", "bias", "reset_after"), CASES)
@pytest.mark.parametrize("directions", [1, 2])
def test_arrays(kind: str, bias: bool, reset_after: bool, directions: int) -> None:
    weights = [arrays(kind, bias=bias, reset_after=reset_after) for _ in range(directions)]
    x = RNG.normal(size=(7, 3))
    expected = [of_keras(kind, weights[0], x, reset_after)]
    if directions == 2:
        expected.append(of_keras(kind, weights[1], x[::-1], reset_after)[::-1])
    layer = recurra.from_keras([array for part in weights for array in part], kind)
    assert layer.batch_first
    assert not layer.training
    output, _ = layer(torch.from_numpy(x).unsqueeze(0))
    np.testing.assert_allclose(output[0].detach(), np.concatenate(expected, axis=1), rtol=1e-9, atol=1e-12)


def test_refusals() -> None:
    weights = arrays("LSTM")
    with pytest.raises(ParameterError, match="kind: expected one of LSTM, GRU, SimpleRNN, got 'RNN'"):
        recurra.from_keras(weights, "RNN")
    for wrong in ([], weights[:1], [w.T for w in weights], [*weights[:2], weights[2][:-1]], arrays("SimpleRNN")):
        with pytest.raises(ShapeError, match=r"layer: expected a kernel \(I, 4 H\)"):
            recurra.from_keras(wrong, "LSTM")
    with pytest.raises(ParameterError, match="layer: expected a Keras LSTM, GRU, SimpleRNN or Bidirectional"):
        recurra.from_keras(torch.nn.LSTM(3, 5))
    with pytest.raises(ParameterError, match="kind: expected None with a Keras layer"):
        recurra.from_keras(torch.nn.LSTM(3, 5), "LSTM")


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="needs keras")
    assert keras.backend.backend() == "torch"
    return keras


def run(keras: Any, layer: Any, x: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    with torch.no_grad():
        return keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(x), mask=mask))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Keras's own
@pytest.mark.parametrize(("kind", "bias", "reset_after"), [*CASES, ("GRU", False, False)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_keras_layers(keras: Any, kind: str, bias: bool, reset_after: bool, bidirectional: bool) -> None:
    options = {"reset_after": reset_after} if kind == "GRU" else {}
    theirs = getattr(keras.layers, kind)(
        5, use_bias=bias, bias_initializer="random_normal", return_sequences=True, **options
    )
    theirs = keras.layers.Bidirectional(theirs) if bidirectional else theirs
    x = RNG.normal(size=(4, 7, 3)).astype(np.float32)
    expected = run(keras, theirs, x)
    output, _ = recurra.from_keras(theirs)(torch.from_numpy(x))
    np.testing.assert_allclose(output.detach(), expected, rtol=1e-5, atol=2e-6)
    if reset_after or bias:
        output, _ = recurra.from_keras(theirs.get_weights(), kind)(torch.from_numpy(x))
        np.testing.assert_allclose(output.detach(), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_masks_with_holes_and_left_padding(keras: Any) -> None:
    theirs = keras.layers.LSTM(5)  # the last output
    x = RNG.normal(size=(3, 7, 3)).astype(np.float32)
    mask = np.array([[0, 0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0]], dtype=bool)
    expected = run(keras, theirs, x, keras.ops.convert_to_tensor(mask))
    # As the page about migration says.
    valid = torch.from_numpy(mask)
    order = valid.int().argsort(dim=1, descending=True, stable=True)
    moved = torch.from_numpy(x).gather(1, order.unsqueeze(2).expand(-1, -1, 3))
    _, (h, _) = recurra.from_keras(theirs)(moved, lengths=valid.sum(dim=1))
    np.testing.assert_allclose(h[-1].detach(), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_keras_layers_that_are_refused(keras: Any) -> None:
    layers = keras.layers
    x = np.zeros((2, 4, 3), dtype=np.float32)
    with pytest.raises(ParameterError, match=r"built.*Call it once"):
        recurra.from_keras(layers.LSTM(5))
    for make, words in (
        (lambda: layers.LSTM(5, activation="relu"), "activation: expected 'tanh', got 'relu'"),
        (lambda: layers.GRU(5, recurrent_activation="hard_sigmoid"), "recurrent_activation: expected 'sigmoid'"),
        (lambda: layers.SimpleRNN(5, activation="selu"), "nonlinearity: expected"),
        (lambda: layers.Bidirectional(layers.LSTM(5), merge_mode="sum"), "merge_mode: expected 'concat', got 'sum'"),
        (lambda: layers.Dense(5), "layer: expected a Keras LSTM"),
    ):
        layer = make()
        layer(keras.ops.convert_to_tensor(x))
        with pytest.raises(ParameterError, match=words):
            recurra.from_keras(layer)
