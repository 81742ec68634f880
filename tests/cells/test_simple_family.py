"""What is particular to Jordan networks, IndRNN, FastGRNN and CfC."""

from typing import Any

import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor

import covering
from agreement import assert_agree, gradients
from every_cell import assemble, draw_state, draw_weights, flat, per_unit
from recurra import Recurrent, kernels
from recurra.cells import CfC, Elman, FastGRNN, IndRNN, Jordan
from recurra.errors import ParameterError
from recurra.kernels import Weights
from recurra.layers.parameters import as_weights

FUNCTIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda v: v}


@covering.parametrize(
    {"nonlinearity": ["tanh", "relu", "sigmoid"], "output_nonlinearity": FUNCTIONS, "proj_size": [0, 2, 4, 7]}
)
def test_a_jordan_network(nonlinearity: str, output_nonlinearity: str, proj_size: int) -> None:
    f, g = FUNCTIONS[nonlinearity], FUNCTIONS[output_nonlinearity]

    def write(w: Weights) -> Step:
        assert w.weight_hh is not None
        assert w.weight_hr is not None
        matrix, context, out = w.weight_ih.T, w.weight_hh.T, w.weight_hr.T
        return lambda x, y: (g(f(x @ matrix + w.bias_ih + y @ context + w.bias_hh) @ out + w.bias_hr),)

    assert_as_written(Jordan(nonlinearity, output_nonlinearity), write, proj_size=proj_size)


def test_a_jordan_network_with_the_identity_is_a_projected_elman_network() -> None:
    jordan, elman = Jordan(output_nonlinearity="identity"), Elman()
    weights = draw_weights(jordan, 3, 5, proj_size=2)
    state, x = draw_state(jordan, 2, 5, proj_size=2), torch.randn(6, 2, 3).double()
    assert weights.weight_hr is not None
    assert weights.bias_hr is not None
    unbiased = assemble(weights, [*flat(weights)[:-1], torch.zeros_like(weights.bias_hr)])
    plain = Weights(weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh, weights.weight_hr)
    expected = kernels.run("reference", elman, x, state, plain)
    assert_agree(kernels.run("reference", jordan, x, state, unbiased), expected)
    assert (kernels.run("reference", jordan, x, state, weights)[0] - expected[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nonlinearity": "identity"}, r"^nonlinearity: expected 'tanh', 'relu' or 'sigmoid', got 'identity'\."),
        (
            {"output_nonlinearity": "softmax"},
            r"^output_nonlinearity: expected 'tanh', 'relu', 'sigmoid' or 'identity', got 'softmax'\.",
        ),
    ],
)
def test_options_of_a_jordan_network_are_checked(options: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        Jordan(**options)


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
def test_an_indrnn(nonlinearity: str) -> None:
    def write(w: Weights) -> Step:
        assert w.weight_hh is not None
        matrix, own = w.weight_ih.T, w.weight_hh[:, 0]
        return lambda x, h: (FUNCTIONS[nonlinearity](x @ matrix + w.bias_ih + own * h + w.bias_hh),)

    assert_as_written(IndRNN(nonlinearity), write)


def test_an_indrnn_is_an_elman_network_with_a_diagonal_matrix() -> None:
    weights, x = draw_weights(IndRNN(), 3, 4), torch.randn(6, 2, 3).double()
    state = draw_state(IndRNN(), 2, 4)
    assert weights.weight_hh is not None
    assert weights.weight_hh.shape == (4, 1)
    diagonal = Weights(weights.weight_ih, weights.weight_hh[:, 0].diag(), weights.bias_ih, weights.bias_hh)
    expected = kernels.run("reference", Elman("relu"), x, state, diagonal)
    assert_agree(kernels.run("reference", IndRNN(), x, state, weights), expected)


def test_no_unit_of_an_indrnn_reads_another() -> None:
    weights, x = draw_weights(IndRNN("tanh"), 3, 4), torch.randn(3, 1, 3).double()

    def last(h: Tensor) -> Tensor:
        return kernels.run("reference", IndRNN("tanh"), x, (h,), weights)[0][-1]

    jacobian = torch.autograd.functional.jacobian(last, 0.5 * torch.ones(1, 4).double())[0, :, 0]
    assert torch.equal(jacobian, jacobian.diag().diag())
    assert jacobian.diag().all()


def test_options_of_an_indrnn_are_checked() -> None:
    with pytest.raises(ParameterError, match=r"^nonlinearity: expected 'relu' or 'tanh', got 'sigmoid'\."):
        IndRNN("sigmoid")


def test_a_fast_grnn() -> None:
    def write(w: Weights) -> Step:
        assert w.weight_hh is not None
        assert w.bias_ih is not None
        assert w.bias_hh is not None
        matrix, recurrent, bias = w.weight_ih.T, w.weight_hh.T, w.bias_ih + w.bias_hh
        p = per_unit(FastGRNN(), w)
        zeta, nu = (torch.sigmoid(p[name]) for name in ("zeta", "nu"))

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            shared = x @ matrix + h @ recurrent + bias
            z = torch.sigmoid(shared + p["bias_z"])
            candidate = torch.tanh(shared + p["bias_h"])
            return ((zeta * (1 - z) + nu) * candidate + z * h,)

        return step

    assert_as_written(FastGRNN(), write)


def test_all_units_of_a_fast_grnn_share_its_two_numbers() -> None:
    layer, x = Recurrent(FastGRNN(), 3, 4, dtype=torch.float64), torch.randn(5, 2, 3).double()
    found = gradients(layer(x), [layer.get_parameter("zeta_l0"), layer.get_parameter("nu_l0")])
    parameters = {name.removesuffix("_l0"): parameter for name, parameter in layer.named_parameters()}
    together = as_weights(layer.cell, parameters)
    assert together.per_unit is not None
    own = together.per_unit.detach().requires_grad_()
    state = (torch.zeros(2, 4).double(),)
    (of_each,) = gradients(kernels.run("reference", layer.cell, x, state, together._replace(per_unit=own)), [own])
    assert [tuple(gradient.shape) for gradient in found] == [(1,), (1,)]
    assert_agree(found, [of_each[FastGRNN.per_unit.index(name)].sum().reshape(1) for name in FastGRNN.scalars])


def test_first_values_of_a_fast_grnn() -> None:
    layer = Recurrent(FastGRNN(), 3, 4)
    first = {name: getattr(layer, f"{name}_l0").tolist() for name in FastGRNN.per_unit}
    assert first == {"bias_z": [1.0] * 4, "bias_h": [1.0] * 4, "zeta": [1.0], "nu": [-4.0]}


@pytest.mark.parametrize("interval", [1.0, 0.25, 3])
def test_a_cfc(interval: float) -> None:
    cell = CfC(interval)

    def write(w: Weights) -> Step:
        inputs, recurrent = by_gate(cell, w.weight_ih), by_gate(cell, w.weight_hh)
        biases, others = by_gate(cell, w.bias_ih), by_gate(cell, w.bias_hh)

        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            # One weight matrix over input and last output side by side, as the paper's heads have.
            side_by_side = torch.cat([x, h], dim=1)

            def head(name: str) -> Tensor:
                matrix = torch.cat([inputs[name], recurrent[name]], dim=1)
                return side_by_side @ matrix.T + biases[name] + others[name]

            f = head("a") + head("b") / interval
            gate = torch.sigmoid(-f * interval)
            return (gate * torch.tanh(head("g")) + (1 - gate) * torch.tanh(head("h")),)

        return step

    assert_as_written(cell, write)


def test_the_interval_of_a_cfc_stretches_its_time() -> None:
    weights, state, x = draw_weights(CfC(), 3, 4), draw_state(CfC(), 2, 4), torch.randn(5, 2, 3).double()
    stretch = torch.ones(16).double()
    stretch[8:12] = 2.5  # the rows of a

    def stretched(tensor: Tensor) -> Tensor:
        return tensor * (stretch.unsqueeze(1) if tensor.dim() == 2 else stretch)

    other = assemble(weights, map(stretched, flat(weights)))
    expected = kernels.run("reference", CfC(), x, state, other)
    assert_agree(kernels.run("reference", CfC(2.5), x, state, weights), expected)
    assert CfC(2.5) != CfC() == CfC(1.0)


@pytest.mark.parametrize("interval", [0, -1.0, float("inf"), float("nan"), "1", True, None])
def test_the_interval_of_a_cfc_is_checked(interval: Any) -> None:
    with pytest.raises(ParameterError, match=r"^interval: expected a positive number, got "):
        CfC(interval)
