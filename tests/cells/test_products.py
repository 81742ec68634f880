"""Cells with learned matrices of their own: what they compute, and who refuses them, saying why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor

import recurra
from agreement import assert_agree
from every_cell import WITH_PRODUCTS, LowRank, draw_state, draw_weights, fitting
from recurra import Recurrent, Stepper, kernels
from recurra.cells import RHN, UGRNN, Cell, Gates, PerUnit, Product, State
from recurra.codegen import write_cell
from recurra.errors import BackendError, CellError, ParameterError, ShapeError
from recurra.inspection import gate_activations, gate_values, record
from recurra.kernels import Weights, describe_cell, unpacked_products
from recurra.layers import initialize


def test_a_recurrent_highway_network() -> None:
    cell = RHN(depth=3)

    def write(weights: Weights) -> Step:
        W, U = by_gate(cell, weights.weight_ih), by_gate(cell, weights.weight_hh)
        b, d = by_gate(cell, weights.bias_ih), by_gate(cell, weights.bias_hh)
        assert weights.products is not None
        R = unpacked_products(cell, weights.products, 4)

        def product(name: str, h: Tensor) -> Tensor:
            weight, bias = R[name]
            assert bias is not None
            return h @ weight.T + bias

        def step(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            n, t = (x @ W[gate].T + b[gate] + h @ U[gate].T + d[gate] for gate in "nt")
            h = torch.sigmoid(t) * torch.tanh(n) + (1 - torch.sigmoid(t)) * h
            for k in (2, 3):
                n, t = (product(f"{gate}{k}", h) for gate in "nt")
                h = torch.sigmoid(t) * torch.tanh(n) + (1 - torch.sigmoid(t)) * h
            return (h,)

        return step

    assert_as_written(cell, write)


def test_a_highway_of_one_layer_is_an_update_gate_network() -> None:
    weights, state, x = draw_weights(RHN(depth=1), 3, 4), draw_state(RHN(depth=1), 2, 4), torch.randn(5, 2, 3).double()

    def turned(tensor: Tensor) -> Tensor:
        candidate, gate = tensor.chunk(2)
        return torch.cat([-gate, candidate])

    w, u, b, d = weights[:4]
    assert u is not None
    assert b is not None
    assert d is not None
    gated = Weights(*map(turned, (w, u, b, d)))
    expected = kernels.run("reference", UGRNN(), x, state, gated)
    assert_agree(kernels.run("reference", RHN(depth=1), x, state, weights), expected)


def test_weights_of_a_low_rank_are_a_product_of_two() -> None:
    weights, state, x = draw_weights(LowRank(), 3, 5), draw_state(LowRank(), 2, 5), torch.randn(6, 2, 3).double()
    assert weights.products is not None
    (down, _), (up, bias) = unpacked_products(LowRank(), weights.products, 5).values()
    whole = Weights(weights.weight_ih, up @ down, weights.bias_ih, bias)
    expected = kernels.run("reference", recurra.cells.Elman("tanh"), x, state, whole)
    assert_agree(kernels.run("reference", LowRank(), x, state, weights), expected)


def test_parameters() -> None:
    layer = Recurrent(LowRank(rank=2), 3, 5, bias=False)
    shapes = {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}
    own = {"weight_down_l0": (2, 5), "weight_up_l0": (5, 2), "bias_up_l0": (5,)}
    assert shapes == {"weight_ih_l0": (5, 3), **own}
    assert layer.get_parameter("bias_up_l0").tolist() == [0.5] * 5
    assert 0 < layer.get_parameter("weight_up_l0").abs().max() <= 5**-0.5


def test_initialization() -> None:
    layer = Recurrent(RHN(depth=2), 3, 8, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("bias_t2_l0").fill_(7)
    done = initialize(layer)
    assert (done["weight_n2_l0"], done["bias_t2_l0"]) == ("orthogonal", "as the cell says")
    weight = layer.get_parameter("weight_n2_l0").detach()
    assert_agree(weight @ weight.T, torch.eye(8, dtype=torch.float64))
    assert layer.get_parameter("bias_t2_l0").tolist() == [-2.0] * 8


@pytest.mark.parametrize("cell", WITH_PRODUCTS, ids=str)
def test_what_compiles_equations_says_why_it_does_not(cell: Cell) -> None:
    with pytest.raises(CellError, match=r"has products of its own \(.*\), which run on the reference kernel"):
        write_cell(cell, "Cell")
    layer = Recurrent(cell, 3, fitting(cell, 4))
    with pytest.raises(CellError, match="has products of its own"):
        Stepper(layer)
    for backend, reason in (("native", "products of its own"), ("scan", "products of"), ("newton", "products of")):
        with pytest.raises(BackendError, match=reason):
            Recurrent(cell, 3, 4, backend=backend)(torch.zeros(2, 1, 3))
    with pytest.raises(ParameterError, match=r"^proj_size: expected 0"):
        Recurrent(cell, 3, 4, proj_size=2)
    with pytest.raises(ParameterError, match=r"^cell: expected .* products"):
        recurra.ConvRecurrent(cell, 3, 4, 3)
    assert describe_cell(cell)["kernels, CPU"] == "reference"


def test_the_gates_of_every_layer_of_a_highway_are_inspected() -> None:
    cell = RHN(depth=2)
    assert {(a.gate, a.function) for a in gate_activations(cell)} == {
        ("n", "tanh"),
        ("t", "sigmoid"),
        ("n2", "tanh"),
        ("t2", "sigmoid"),
    }
    layer = Recurrent(cell, 3, 4, dtype=torch.float64)
    (segment,) = record(layer, torch.randn(5, 2, 3, dtype=torch.float64)).segments
    values = {a.gate: value.unflatten(0, (5, 2)) for a, value in gate_values(segment).items()}
    (h,), (before,) = segment.after(), segment.before()
    first = before + values["t"] * (values["n"] - before)
    assert_agree(first + values["t2"] * (values["n2"] - first), h)


def of_one_product(product: Product, name: str = "own") -> Cell:
    """A cell whose next state is a product of its own."""

    @dataclass(frozen=True)
    class Own(Cell):
        gates = ("h",)
        state = ("h",)
        per_unit = ("scale",)

        def products(self) -> Mapping[str, Product]:
            return {name: product}

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=getattr(p, name)(s.h))

    return Own()


@pytest.mark.parametrize(
    ("name", "product", "error", "words"),
    [
        ("scale", Product(), ParameterError, r"^Own\.products: expected names other than"),
        ("hh", Product(), ParameterError, r"^Own\.products: expected names other than"),
        ("own", Product(rows=0), ParameterError, r"^Own\.products \(own\): expected a whole number"),
        ("own", Product(columns=3), ShapeError, "argument of the product own: expected 3 columns"),
        ("own", Product(rows=3), CellError, r"the part 'h' of the state has the shape \(1, 3\)"),
    ],
)
def test_products_that_do_not_fit_are_refused(name: str, product: Product, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        Recurrent(of_one_product(product, name), 2, 4)
