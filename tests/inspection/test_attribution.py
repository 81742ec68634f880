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


def test_the_way_is_divided_where_the_output_all_but_jumps() -> None:
    """On its way the first sequence passes a slope that a few points cannot find, the second none."""

    def function(x: Tensor) -> Tensor:
        total = x.sum((1, 2))
        return torch.stack([torch.tanh(400 * (total[0] - 0.7)), total[1]])

    x, zero = torch.full((2, 3, 2), 1 / 3, dtype=torch.float64), torch.zeros(2)
    missed = integrated_gradients(function, [x], [zero], points=8)
    assert missed.missed(0) > 0.1
    assert missed.missed(1) < 1e-12
    found = integrated_gradients(function, [x], [zero], points=8, tolerance=1e-3)
    assert found.missed(0) < 1e-3
    assert found.relative_residual < 1e-3
    assert np.allclose(found.by_step[0], (found.output - found.baseline_output)[0] / 3, rtol=1e-3)
    assert 8 < found.evaluations < 400
    assert np.allclose(found.values[0][1], missed.values[0][1])
    of_the_second = integrated_gradients(function, [x], [zero], points=8, tolerance=1e-3, sequences=[1])
    assert of_the_second.evaluations < found.evaluations
    assert np.allclose(of_the_second.values[0], missed.values[0], rtol=0, atol=1e-12)


def test_a_jump_is_given_up_on() -> None:
    found = integrated_gradients(
        lambda x: x.sum((1, 2)) + (x.sum((1, 2)) > 1).to(x.dtype),
        [torch.ones(1, 2, 1)],
        [torch.zeros(1)],
        tolerance=0.01,
    )
    assert np.allclose(found.residual, 1)
    assert found.missed(0) == pytest.approx(1 / 3)
    assert found.evaluations < 400


def test_padding_is_no_input() -> None:
    layer = linear(0.5 * torch.eye(2, dtype=torch.float64))
    x, lengths = torch.randn(2, 6, 2, dtype=torch.float64), torch.tensor([6, 4])
    valid = torch.arange(6) < lengths.unsqueeze(1)
    x[~valid] = 1e6

    def last(output: tuple[Tensor, Tensor]) -> Tensor:
        return output[1][-1].sum(1)

    function, inputs = function_of_inputs(layer, (x,), last, kwargs={"lengths": lengths})
    (mean,) = mean_baselines(inputs, [valid])
    assert torch.allclose(mean.flatten(), torch.cat([x[0], x[1, :4]]).mean(0))
    for method in (integrated_gradients, gradient_times_input):
        found = method(function, inputs, valid=[valid])
        assert [len(found.of(row)[0]) for row in (0, 1)] == [6, 4]
        assert np.allclose(found.of(1)[0], found.by_step[1, :4])
        assert np.allclose(found.residual, 0)
    distance = torch.where(valid, lengths.unsqueeze(1) - 1 - torch.arange(6), -1)
    forgotten = forgetting(function, inputs, distances=[distance])
    assert forgotten.lags.tolist() == list(range(7))
    alone = forgetting(*function_of_inputs(layer, (x[1:, :4],), last), [mean.flatten()])
    assert np.allclose(forgotten.change[:5, 1], alone.change[:, 0])
    assert np.allclose(forgotten.change[4:, 1], 0)
    with pytest.raises(ShapeError, match=r"valid: expected \(B, T\) .* \[\(2, 6\)\]"):
        integrated_gradients(function, inputs, valid=[valid[:, 1:]])


def test_what_is_near_may_lie_on_both_sides() -> None:
    """The output is the sum of three steps around the middle one."""
    x = torch.randn(2, 7, 1, dtype=torch.float64)
    distance = (torch.arange(7) - 3).abs().expand(2, 7)
    zero = torch.zeros(1)
    found = forgetting(lambda x: x[:, 2:5].sum((1, 2)), [x], [zero], distances=[distance])
    assert found.lags.tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(found.change[1], (x[:, 2] + x[:, 4]).flatten())
    assert np.allclose(found.change[2:], 0)


def test_several_modules_may_read() -> None:
    model = EncoderDecoder(recurra.cells.GRU(), 3, 2, 4)
    args = (torch.randn(2, 5, 3), torch.randn(2, 4, 2))
    whole, both = (function_of_inputs(model, args, _last, reads) for reads in ("", ["encoder", "decoder"]))
    assert all(torch.equal(a, b) for a, b in zip(whole[1], both[1], strict=True))
    assert [tuple(x.shape) for x in both[1]] == [(2, 5, 3), (2, 4, 2)]
    changed = [x + 1 for x in both[1]]
    assert torch.allclose(whole[0](*changed), both[0](*changed))


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
    with pytest.raises(ParameterError, match="positional floating-point"):
        function_of_inputs(model, (words,), lambda output: output.sum(1))
    with pytest.raises(ParameterError, match=r"reads: expected .* module inside, got 'nothing'"):
        function_of_inputs(model, (words,), lambda output: output.sum(1), "nothing")


def test_functions_and_shapes_that_do_not_fit() -> None:
    x = torch.randn(2, 5, 3)
    with pytest.raises(ShapeError, match=r"one number .* \(B,\) = \(2,\), got \(\)"):
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
