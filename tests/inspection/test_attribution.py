import numpy as np
import pytest
import torch
from known_systems import delay_line, linear
from torch import Tensor, nn

import recurra
from recurra.errors import ParameterError, ShapeError
from recurra.inspection import (
    forgetting,
    function_of_inputs,
    gradient_times_input,
    integrated_gradients,
    mean_baselines,
)
from recurra.models import EncoderDecoder


def _last(output: tuple[Tensor, object]) -> Tensor:
    return output[0][:, -1].sum(1)


def test_attributions_of_a_linear_recurrence_are_exact() -> None:
    layer = linear(0.5 * torch.eye(2, dtype=torch.float64))
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    function, inputs = function_of_inputs(layer, (x,), _last)
    baseline = torch.tensor([1.0, -2.0], dtype=torch.float64)
    expected = ((x - baseline) * 0.5 ** torch.arange(5, -1, -1)[:, None]).numpy()
    for method in (integrated_gradients, gradient_times_input):
        found = method(function, inputs, [baseline])
        assert np.allclose(found.values[0], expected)
        assert np.allclose(found.by_step, expected.sum(2))
        assert np.allclose(found.residual, 0)
        assert found.relative_residual < 1e-12


@pytest.mark.parametrize("cell", [recurra.cells.LSTM(), recurra.cells.GRU()], ids=repr)
def test_integrated_gradients_are_complete(cell: recurra.cells.Cell) -> None:
    layer = recurra.Recurrent(cell, 3, 8, num_layers=2, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 3
    x = 2 * torch.randn(4, 12, 3, dtype=torch.float64)
    function, inputs = function_of_inputs(layer, (x,), _last)
    found = integrated_gradients(function, inputs)
    assert np.allclose(found.output - found.baseline_output, found.by_step.sum(1), atol=1e-4)
    assert np.allclose(found.output, layer(x)[0][:, -1].sum(1).detach().numpy())
    assert found.relative_residual < 1e-3
    coarse = integrated_gradients(function, inputs, points=1)
    assert coarse.relative_residual > 10 * found.relative_residual
    assert (found.evaluations, coarse.evaluations) == (32, 1)
    assert gradient_times_input(function, inputs).relative_residual > 0.05


def test_an_unused_input_gets_nothing() -> None:
    layer = recurra.LSTM(3, 4, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0[:, 1] = 0  # type: ignore[index]
    function, inputs = function_of_inputs(layer, (torch.randn(2, 6, 3),), lambda output: output[0][:, 3].sum(1))
    values = integrated_gradients(function, inputs).values[0]
    assert (values[:, :, 1] == 0).all()
    assert (values[:, 4:] == 0).all()  # steps after the one read
    assert (np.abs(values[:, 3, ::2]) > 0).all()


def test_what_a_delay_line_forgets() -> None:
    """The output sums the last three of four inputs held: what is older than three steps cannot matter."""
    layer = delay_line(4)
    x = torch.randn(5, 10, 1, dtype=torch.float64)
    function, inputs = function_of_inputs(layer, (x,), lambda output: output[0][:, -1, :3].sum(1))
    zero = torch.zeros(1, dtype=torch.float64)
    found = forgetting(function, inputs, [zero])
    assert found.lags.tolist() == list(range(11))
    values = x[:, :, 0].numpy()
    for k in range(11):
        assert np.allclose(found.change[k], values[:, 7 : 10 - min(k, 3)].sum(1))
    assert found.reach() == 3
    assert np.allclose(found.effect[3:], 0)
    assert np.allclose(found.output, values[:, 7:].sum(1))


def test_what_is_forgotten_goes_through_several_inputs() -> None:
    model = EncoderDecoder(recurra.cells.GRU(), 3, 2, 4)
    args = (torch.randn(2, 30, 3), torch.randn(2, 25, 2))
    function, inputs = function_of_inputs(model, args, _last)
    assert [tuple(x.shape) for x in inputs] == [(2, 30, 3), (2, 25, 2)]
    found = forgetting(function, inputs, most_lags=12)
    assert (found.lags[0], found.lags[-1]) == (0, 55)
    assert len(found.lags) <= 13
    assert np.allclose(found.change[-1], 0)
    base = [b.expand_as(x) for x, b in zip(inputs, mean_baselines(inputs), strict=True)]
    assert np.allclose(found.change[0], (function(*inputs) - function(*base)).detach().numpy(), atol=1e-6)
    k = int(found.lags[-3])
    partly = torch.cat([base[0][:, : 55 - k], inputs[0][:, 55 - k :]], dim=1)
    expected = (function(*inputs) - function(partly, inputs[1])).detach().numpy()
    assert np.allclose(found.change[-3], expected, atol=1e-6)


class _Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = nn.Embedding(10, 3), recurra.LSTM(3, 4)

    def forward(self, words: Tensor) -> Tensor:
        return self.layer(self.embedding(words))[0][-1]


def test_what_a_layer_inside_reads() -> None:
    model = _Words()
    words = torch.randint(10, (6, 2))
    function, (x,) = function_of_inputs(model, (words,), lambda output: output.sum(1), "layer")
    assert torch.equal(x, model.embedding(words).transpose(0, 1).detach())
    assert torch.allclose(function(x), model(words).sum(1))
    assert not torch.allclose(function(x + 1), model(words).sum(1))
    assert integrated_gradients(function, (x,)).relative_residual < 1e-2


def test_what_cannot_be_read() -> None:
    model, words = _Words(), torch.randint(10, (6, 2))
    with pytest.raises(ParameterError, match="positional floating-point inputs of three dimensions"):
        function_of_inputs(model, (words,), lambda output: output.sum(1))
    with pytest.raises(ParameterError, match="reads: expected the name of a module inside, got 'nothing'"):
        function_of_inputs(model, (words,), lambda output: output.sum(1), "nothing")


def test_functions_and_shapes_that_do_not_fit() -> None:
    x = torch.randn(2, 5, 3)
    with pytest.raises(ShapeError, match=r"one number a sequence, shape \(B,\) = \(2,\), got \(\)"):
        integrated_gradients(lambda x: x.sum(), [x])
    with pytest.raises(ShapeError, match="floating-point tensors"):
        integrated_gradients(lambda x: x.sum((1, 2)), [x[0]])
    with pytest.raises(ShapeError, match="baselines"):
        integrated_gradients(lambda x: x.sum((1, 2)), [x], [torch.zeros(4)])
    with pytest.raises(ShapeError, match="baselines: expected 1 tensors"):
        forgetting(lambda x: x.sum((1, 2)), [x], [torch.zeros(3), torch.zeros(3)])
    with pytest.raises(ParameterError, match="at least one tensor"):
        integrated_gradients(lambda: x, [])
    with pytest.raises(ParameterError, match="differentiable"):
        integrated_gradients(lambda x: x.detach().sum((1, 2)), [x])
